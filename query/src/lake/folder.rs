//! The tables of a data folder, and SQL over them.
//!
//! Each query reads every table that it names at one version, the newest when the query starts;
//! commits during the query change nothing. Tables of one pipeline are committed one after the
//! other, so two tables of one query may be some epochs apart: bound both by `event_date` or an
//! epoch column where that matters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{SessionConfig, SessionContext};
use riskstream_sinks::{DeltaRuntime, TableSnapshot};

use super::constants::physical_rules;
use super::listing::table_names;
use super::provider::DeltaProvider;
use crate::error::QueryError;
use crate::suggest::suggest;

const STATEMENT_CHARS_SHOWN: usize = 60;

/// The Delta tables in a folder, each in a folder of its own name.
#[derive(Debug, Clone)]
pub struct Catalog {
    tables_dir: PathBuf,
    runtime: DeltaRuntime,
}

/// One line of the table listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// The table's name.
    pub name: String,
    /// The table's folder.
    pub location: PathBuf,
    /// The newest version.
    pub version: u64,
    /// Rows, if every file's statistics say.
    pub rows: Option<u64>,
    /// Data files of this version.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Names of the columns, partition columns last.
    pub columns: Vec<String>,
}

impl Catalog {
    /// Opens a folder of tables.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn open(tables_dir: impl Into<PathBuf>) -> Result<Self, QueryError> {
        let tables_dir = tables_dir.into();
        if !tables_dir.is_dir() {
            return Err(QueryError::NoTables { location: tables_dir });
        }
        Ok(Self { tables_dir, runtime: DeltaRuntime::new()? })
    }

    /// The names of the tables, sorted.
    ///
    /// # Errors
    /// The folder can't be listed.
    pub fn table_names(&self) -> Result<Vec<String>, QueryError> {
        table_names(&self.tables_dir)
    }

    /// All tables with their sizes.
    ///
    /// # Errors
    /// A table's log can't be read.
    pub fn tables(&self) -> Result<Vec<TableInfo>, QueryError> {
        self.table_names()?.into_iter().map(|name| self.table_info(name)).collect()
    }

    /// Runs a query, for a caller on a thread of its own.
    ///
    /// # Errors
    /// Unknown tables or columns, no SQL, a statement that changes something, or a failing disk.
    pub fn sql(&self, query: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.runtime.block_on(self.sql_async(query))
    }

    /// Runs a query within an async task.
    ///
    /// # Errors
    /// As [`Catalog::sql`].
    pub async fn sql_async(&self, query: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let config = SessionConfig::new().with_information_schema(true);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_physical_optimizer_rules(physical_rules())
            .build();
        let context = SessionContext::new_with_state(state);
        let state = context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state.sql_to_statement(query, &dialect)?;
        let names = self.table_names()?;
        for reference in state.resolve_table_references(&statement)? {
            if reference.schema().is_some_and(|schema| schema != "public") {
                continue;
            }
            let wanted = reference.table();
            let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(wanted)) else {
                return Err(QueryError::UnknownTable {
                    name: wanted.to_owned(),
                    help: suggest(wanted, &names),
                });
            };
            let snapshot = TableSnapshot::open_async(&self.tables_dir.join(name)).await?;
            context.register_table(reference, Arc::new(DeltaProvider::new(&snapshot)?))?;
        }
        let plan = context.state().statement_to_plan(statement).await.map_err(explain)?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|_| QueryError::NotAQuery {
                statement: query.trim().chars().take(STATEMENT_CHARS_SHOWN).collect(),
            })?;
        let frame = context.execute_logical_plan(plan).await?;
        let schema = Arc::clone(frame.schema().inner());
        let mut batches = frame.collect().await?;
        if batches.is_empty() {
            // An empty result still has columns to show.
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }

    /// The folder of tables.
    pub fn tables_dir(&self) -> &Path {
        &self.tables_dir
    }

    fn table_info(&self, name: String) -> Result<TableInfo, QueryError> {
        let location = self.tables_dir.join(&name);
        let snapshot = TableSnapshot::open(&self.runtime, &location)?;
        let files = snapshot.files()?;
        let partitions = snapshot.partition_by()?;
        let file_schema = snapshot.file_schema()?;
        let columns = file_schema.fields().iter().map(|field| field.name().clone());
        Ok(TableInfo {
            version: snapshot.version(),
            rows: files.iter().map(|file| file.rows).sum(),
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
            columns: columns.chain(partitions).collect(),
            name,
            location,
        })
    }
}

/// Turns DataFusion's error about a column into ours, which names the nearest one.
fn explain(error: DataFusionError) -> QueryError {
    if let DataFusionError::SchemaError(schema_error, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema_error.as_ref()
    {
        let mut names: Vec<String> =
            valid_fields.iter().map(|column: &Column| column.name.clone()).collect();
        names.dedup();
        return QueryError::UnknownColumn {
            name: field.name.clone(),
            help: suggest(&field.name, &names),
        };
    }
    QueryError::Sql(error)
}
