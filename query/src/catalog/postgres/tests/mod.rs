//! What clients ask, through DataFusion.

mod answers;
mod clients;
mod speed;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{
    CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::common::Result;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::*;
use crate::catalog::arithmetic::with_arithmetic;
use crate::catalog::shown::{ShownCatalog, ShownColumn, ShownSchema, ShownTable};

/// A catalog, a connection, and DataFusion over them.
struct Client {
    known: Arc<Known>,
    context: SessionContext,
}

/// Names of columns, and rows as texts.
#[derive(Debug)]
struct Answer {
    names: Vec<String>,
    types: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Client {
    fn new(shown: ShownCatalog) -> Self {
        let known = Known::new(Arc::new(shown));
        Self::with(known, "UTC")
    }

    /// A client with a zone of its own.
    fn with(known: Arc<Known>, zone: &str) -> Self {
        let settings = SettingsShown::new(&known.shown.user, 4711);
        settings.set("TimeZone", zone).unwrap();
        let context = FunctionContext { known: Arc::clone(&known), settings: settings.clone() };
        let functions = functions(&context);
        let config = SessionConfig::new()
            .with_target_partitions(2)
            .with_default_catalog_and_schema("postgres", "public")
            .with_create_default_catalog_and_schema(false)
            .set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
            .set_str("datafusion.execution.time_zone", &settings.time_zone());
        let builder = SessionStateBuilder::new().with_config(config).with_default_features();
        let state = with_arithmetic(builder).with_type_planner(functions.types).build();
        let context = SessionContext::new_with_state(state);
        for scalar in functions.scalar {
            context.register_udf(scalar.as_ref().clone());
        }
        for aggregate in functions.aggregate {
            context.register_udaf(aggregate.as_ref().clone());
        }
        for (name, table) in functions.table {
            context.register_udtf(name, table);
        }
        let catalog = MemoryCatalogProvider::new();
        for schema in &known.shown.schemas {
            let tables = MemorySchemaProvider::new();
            for table in &schema.tables {
                let fields: Vec<_> =
                    table.columns.iter().map(|column| Arc::clone(&column.field)).collect();
                let arrow = Arc::new(arrow::datatypes::Schema::new(fields));
                let empty = MemTable::try_new(arrow, vec![vec![]]).unwrap();
                tables.register_table(table.name.clone(), Arc::new(empty)).unwrap();
            }
            catalog.register_schema(&schema.name, Arc::new(tables)).unwrap();
        }
        catalog.register_schema("pg_catalog", pg_catalog(&known, &settings)).unwrap();
        let information = information_schema(&known, &settings);
        catalog.register_schema("information_schema", information).unwrap();
        context.register_catalog("postgres", Arc::new(catalog));
        Self { known, context }
    }

    async fn ask(&self, text: &str) -> Result<Answer> {
        let (schema, batches) = self.batches(text).await?;
        let names = schema.fields().iter().map(|field| column_name(field.name()).to_owned());
        let types = schema.fields().iter().map(|field| {
            let (oid, _) = crate::builtins::types::type_of(field);
            crate::builtins::types::types()
                .by_oid(oid)
                .map(|row| row.name.to_owned())
                .unwrap_or_default()
        });
        Ok(Answer { names: names.collect(), types: types.collect(), rows: texts(&batches) })
    }

    /// The columns of a statement and its rows.
    async fn batches(&self, text: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let dialect = PostgreSqlDialect {};
        let mut tree = Tokenizer::new(&dialect, text)
            .tokenize_with_location()
            .map_err(ParserError::from)
            .and_then(tokens_for_parser)
            .and_then(|tokens| {
                let parser = Parser::new(&dialect).with_recursion_limit(64);
                parser.with_tokens_with_locations(tokens).parse_statement()
            })
            .map_err(|error| datafusion::common::plan_datafusion_err!("{error}"))?;
        rewrite(&mut tree, &self.known, &super::known::default_path());
        let state = self.context.state();
        let plan = state.statement_to_plan(Statement::Statement(Box::new(tree))).await?;
        let plan = flatten(plan)?;
        let schema = output_columns(&plan);
        let settled = state.optimize(&plan)?;
        let fields = schema.fields().iter().zip(settled.schema().fields().iter());
        let fields = fields.map(|(field, settled)| {
            field.as_ref().clone().with_data_type(settled.data_type().clone())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let frame = self.context.execute_logical_plan(plan).await?;
        Ok((schema, frame.collect().await?))
    }

    /// The rows of a statement that has to work, as one text a row.
    async fn rows(&self, text: &str) -> Vec<String> {
        let answer = self.ask(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        answer.lines()
    }
}

impl Answer {
    fn lines(&self) -> Vec<String> {
        let line = |row: &Vec<Option<String>>| {
            let parts = row.iter().map(|one| one.as_deref().unwrap_or("∅"));
            parts.collect::<Vec<_>>().join("|")
        };
        self.rows.iter().map(line).collect()
    }
}

fn texts(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let texts = columns.iter().zip(batch.columns()).map(|(shown, column)| {
                let nulls = column.logical_nulls();
                let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
                (!is_null).then(|| shown.value(row).to_string())
            });
            rows.push(texts.collect());
        }
    }
    rows
}

fn column(name: &str, data: DataType, nullable: bool, about: Option<&str>) -> ShownColumn {
    let field = Arc::new(Field::new(name, data, nullable));
    ShownColumn { field, about: about.map(str::to_owned) }
}

fn table(name: &str, columns: Vec<ShownColumn>, key: &[&str]) -> ShownTable {
    ShownTable {
        name: name.to_owned(),
        is_view: false,
        about: None,
        columns,
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        rows: Some(7),
        bytes: Some(20_480),
    }
}

/// Three tables and a view, as the comparison with PostgreSQL has them too.
fn lending() -> ShownCatalog {
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let loans = ShownTable {
        about: Some("All loans".to_owned()),
        ..table(
            "loans",
            vec![
                column("loan_id", DataType::Int64, false, None),
                column("lender", DataType::Utf8, false, None),
                column("amount", DataType::Decimal128(12, 2), true, Some("What was lent")),
                column("opened", DataType::Date32, true, None),
                column("updated", micros(Some("UTC")), true, None),
                column("flags", DataType::new_list(DataType::Utf8, true), true, None),
                column("ratio", DataType::Float64, true, None),
                column("active", DataType::Boolean, true, None),
            ],
            &["loan_id"],
        )
    };
    let open_loans = ShownTable {
        is_view: true,
        ..table(
            "open_loans",
            vec![
                column("loan_id", DataType::Int64, true, None),
                column("amount", DataType::Decimal128(12, 2), true, None),
            ],
            &[],
        )
    };
    let payments = table(
        "payments",
        vec![
            column("loan_id", DataType::Int64, false, None),
            column("seq", DataType::Int32, false, None),
            column("paid", DataType::Decimal128(12, 2), true, None),
            column("at", micros(None), true, None),
        ],
        &["loan_id", "seq"],
    );
    let runs = table(
        "runs",
        vec![column("id", DataType::Int64, true, None), column("name", DataType::Utf8, true, None)],
        &[],
    );
    let schema = |name: &str, tables| ShownSchema { name: name.to_owned(), about: None, tables };
    ShownCatalog {
        database: "postgres".to_owned(),
        user: "ada".to_owned(),
        roles: vec!["analyst".to_owned()],
        schemas: vec![
            schema("public", vec![loans, open_loans, payments]),
            schema("system", vec![runs]),
        ],
    }
}

/// The numbers of relations, for statements that name them.
fn numbers(known: &Known) -> BTreeMap<String, u32> {
    let mut numbers = BTreeMap::new();
    for table in &known.tables {
        let name = known
            .relation_text(super::known::Relation::Table(table), &super::known::default_path());
        if let Some(key) = &table.key {
            numbers.insert(key.name.clone(), key.index);
        }
        numbers.insert(name, table.oid);
    }
    numbers
}
