//! GetSqlInfo: what the port can do. Everything that there is to ask has an answer: JDBC's driver
//! falls over what has none.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel,
    SqlSupportedCaseSensitivity, SqlSupportedGroupBy, SqlSupportedResultSetConcurrency,
    SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions,
    SqlTransactionIsolationLevel, SupportedSqlGrammar,
};

/// The abilities that are asked for; all where none is named.
pub(super) fn rows(mut command: CommandGetSqlInfo) -> Result<RecordBatch> {
    let all = all()?;
    if !command.info.is_empty() {
        // The builder looks at all abilities for each number, however often it is named.
        let known = all.record_batch(None)?;
        let known = known.column(0).as_primitive::<UInt32Type>().values().to_vec();
        let asked: BTreeSet<u32> = std::mem::take(&mut command.info).into_iter().collect();
        command.info = known.into_iter().filter(|number| asked.contains(number)).collect();
        if command.info.is_empty() {
            command.info.push(u32::MAX);
        }
    }
    command.into_builder(&all).build()
}

fn all() -> Result<SqlInfoData> {
    let mut all = SqlInfoDataBuilder::new();
    all.append(SqlInfo::FlightSqlServerName, "riskstream");
    all.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    all.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    all.append(SqlInfo::FlightSqlServerReadOnly, true);
    all.append(SqlInfo::FlightSqlServerSql, true);
    all.append(SqlInfo::FlightSqlServerSubstrait, false);
    all.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::Transaction as i32);
    all.append(SqlInfo::FlightSqlServerCancel, true);
    all.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    all.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    // None: the limits of the service and of the user's roles hold.
    all.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    all.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
    changes(&mut all);
    names(&mut all);
    words(&mut all);
    statements(&mut all);
    limits(&mut all);
    transactions(&mut all);
    results(&mut all);
    all.build()
}

fn changes(all: &mut SqlInfoDataBuilder) {
    for nothing in [
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        all.append(nothing, false);
    }
    for nothing in [
        SqlInfo::SqlSchemasSupportedActions,
        SqlInfo::SqlCatalogsSupportedActions,
        SqlInfo::SqlSupportedPositionedCommands,
    ] {
        all.append(nothing, bits(&[]));
    }
}

fn names(all: &mut SqlInfoDataBuilder) {
    all.append(
        SqlInfo::SqlIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
    );
    all.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32,
    );
    all.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    all.append(SqlInfo::SqlSearchStringEscape, "\\");
    all.append(SqlInfo::SqlExtraNameCharacters, "");
    all.append(SqlInfo::SqlCatalogTerm, "database");
    all.append(SqlInfo::SqlSchemaTerm, "schema");
    all.append(SqlInfo::SqlProcedureTerm, "function");
    all.append(SqlInfo::SqlCatalogAtStart, true);
    all.append(SqlInfo::SqlAllTablesAreSelectable, true);
}

fn words(all: &mut SqlInfoDataBuilder) {
    let lists: [(SqlInfo, &[&str]); 5] = [
        (SqlInfo::SqlKeywords, &["explain", "ilike", "limit", "offset"]),
        (
            SqlInfo::SqlNumericFunctions,
            &["abs", "ceil", "exp", "floor", "ln", "log", "power", "random", "round", "sqrt"],
        ),
        (
            SqlInfo::SqlStringFunctions,
            &["concat", "length", "lower", "ltrim", "replace", "rtrim", "substr", "trim", "upper"],
        ),
        (SqlInfo::SqlSystemFunctions, &["coalesce", "current_database", "nullif", "version"]),
        (SqlInfo::SqlDatetimeFunctions, &["current_date", "date_trunc", "now", "to_char"]),
    ];
    for (what, names) in lists {
        all.append(what, names);
    }
}

fn statements(all: &mut SqlInfoDataBuilder) {
    for can in [
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        all.append(can, true);
    }
    all.append(SqlInfo::SqlSupportsDifferentTableCorrelationNames, false);
    all.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    all.append(
        SqlInfo::SqlSupportedGroupBy,
        bits(&[
            SqlSupportedGroupBy::SqlGroupByUnrelated as i32,
            SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
        ]),
    );
    all.append(
        SqlInfo::SqlOuterJoinsSupportLevel,
        SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
    );
    all.append(
        SqlInfo::SqlSupportedSubqueries,
        bits(&[
            SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
            SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
            SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
        ]),
    );
    all.append(
        SqlInfo::SqlSupportedGrammar,
        bits(&[
            SupportedSqlGrammar::SqlMinimumGrammar as i32,
            SupportedSqlGrammar::SqlCoreGrammar as i32,
            SupportedSqlGrammar::SqlExtendedGrammar as i32,
        ]),
    );
    // The first bit: entry level.
    all.append(SqlInfo::SqlAnsi92SupportedLevel, bits(&[0]));
    // None by the function CONVERT; casts are PostgreSQL's.
    all.append(SqlInfo::SqlSupportsConvert, BTreeMap::<i32, Vec<i32>>::new());
    all.append(
        SqlInfo::SqlSupportedUnions,
        bits(&[SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32]),
    );
}

/// 0: no limit, or none that is known.
fn limits(all: &mut SqlInfoDataBuilder) {
    for unlimited in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatementLength,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        all.append(unlimited, 0_i64);
    }
    all.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
}

fn results(all: &mut SqlInfoDataBuilder) {
    all.append(
        SqlInfo::SqlSupportedResultSetTypes,
        bits(&[SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32]),
    );
    all.append(
        SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly,
        bits(&[SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32]),
    );
    for none in [
        SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
    ] {
        all.append(none, bits(&[]));
    }
}

fn transactions(all: &mut SqlInfoDataBuilder) {
    let level = SqlTransactionIsolationLevel::SqlTransactionRepeatableRead;
    all.append(SqlInfo::SqlTransactionsSupported, true);
    // 64 bits, as JDBC's driver takes it.
    all.append(SqlInfo::SqlDefaultTransactionIsolation, i64::from(level as i32));
    all.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, bits(&[level as i32]));
}

/// A mask with these bits.
fn bits(bits: &[i32]) -> i32 {
    bits.iter().fold(0, |mask, bit| mask | (1 << bit))
}
