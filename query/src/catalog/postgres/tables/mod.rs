//! The tables of `pg_catalog` and `information_schema`.
//!
//! All of PostgreSQL's are there with its columns. Those that clients read have rows; the others
//! are empty. Rows are made when a query reads a table, and only the columns that it reads.

mod attribute;
mod class;
pub(crate) mod columns;
pub(super) mod constraint;
mod description;
mod information;
mod roles;
mod rows;
mod server;
mod statistics;
mod typing;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use self::columns::{SystemTable, system_tables};
use self::rows::Rows;
use super::known::Known;
use super::settings::SettingsShown;

/// PostgreSQL's own schema `pg_catalog` for a user.
pub(crate) fn pg_catalog(known: &Arc<Known>, settings: &SettingsShown) -> Arc<dyn SchemaProvider> {
    SystemSchema::new("pg_catalog", known, settings)
}

/// The schema `information_schema` for a user.
pub(crate) fn information_schema(
    known: &Arc<Known>,
    settings: &SettingsShown,
) -> Arc<dyn SchemaProvider> {
    SystemSchema::new("information_schema", known, settings)
}

/// What rows are made from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) known: Arc<Known>,
    pub(super) settings: SettingsShown,
}

#[derive(Debug)]
struct SystemSchema {
    name: &'static str,
    source: Source,
}

impl SystemSchema {
    fn new(name: &'static str, known: &Arc<Known>, settings: &SettingsShown) -> Arc<Self> {
        let source = Source { known: Arc::clone(known), settings: settings.clone() };
        Arc::new(Self { name, source })
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = system_tables().all.iter().filter(|table| table.schema == self.name);
        tables.map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(system_tables().get(self.name, name).map(|table| {
            let source = self.source.clone();
            let provider: Arc<dyn TableProvider> = Arc::new(LazyTable { table, source });
            provider
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        system_tables().get(self.name, name).is_some()
    }
}

/// A table whose rows are made when they are read.
#[derive(Debug)]
struct LazyTable {
    table: &'static SystemTable,
    source: Source,
}

#[async_trait]
impl TableProvider for LazyTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.arrow)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = rows(self.table, &self.source, projection)?;
        let schema = batch.schema();
        let exec: Arc<dyn ExecutionPlan> =
            MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?;
        Ok(exec)
    }
}

/// Whether a table may have rows. Of the others it is known that they never have.
pub(super) fn has_rows(schema: &str, name: &str) -> bool {
    match schema {
        "pg_catalog" => FILLED.contains(&name),
        _ => information::FILLED.contains(&name),
    }
}

/// The tables of `pg_catalog` that have rows.
const FILLED: [&str; 31] = [
    "pg_am",
    "pg_attribute",
    "pg_authid",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_database",
    "pg_description",
    "pg_index",
    "pg_indexes",
    "pg_language",
    "pg_namespace",
    "pg_proc",
    "pg_range",
    "pg_roles",
    "pg_settings",
    "pg_shadow",
    "pg_stat_activity",
    "pg_stat_all_tables",
    "pg_stat_database",
    "pg_stat_user_tables",
    "pg_statio_all_tables",
    "pg_statio_user_tables",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_names",
    "pg_type",
    "pg_user",
    "pg_views",
    "pg_stat_ssl",
    "pg_stat_gssapi",
];

/// `pg_settings`, for the function that gives the same.
pub(super) fn settings_table(
    known: &Arc<Known>,
    settings: &SettingsShown,
) -> Result<Arc<dyn TableProvider>> {
    let source = Source { known: Arc::clone(known), settings: settings.clone() };
    match system_tables().get("pg_catalog", "pg_settings") {
        Some(table) => Ok(Arc::new(LazyTable { table, source })),
        None => internal_err!("pg_settings is a table of the file"),
    }
}

/// The rows of a table.
fn rows(
    table: &'static SystemTable,
    source: &Source,
    wanted: Option<&Vec<usize>>,
) -> Result<RecordBatch> {
    let mut rows = Rows::new(table, wanted);
    let known = source.known.as_ref();
    match (table.schema, table.name) {
        ("pg_catalog", "pg_class") => class::pg_class(known, &mut rows),
        ("pg_catalog", "pg_tables") => class::pg_tables(known, &mut rows),
        ("pg_catalog", "pg_views") => class::pg_views(known, &mut rows),
        ("pg_catalog", "pg_attribute") => attribute::pg_attribute(known, &mut rows),
        ("pg_catalog", "pg_type") => typing::pg_type(known, &mut rows),
        ("pg_catalog", "pg_range") => typing::pg_range(&mut rows),
        ("pg_catalog", "pg_proc") => typing::pg_proc(&mut rows),
        ("pg_catalog", "pg_constraint") => constraint::pg_constraint(known, &mut rows),
        ("pg_catalog", "pg_index") => constraint::pg_index(known, &mut rows),
        ("pg_catalog", "pg_indexes") => constraint::pg_indexes(known, &mut rows),
        ("pg_catalog", "pg_description") => description::pg_description(known, &mut rows),
        ("pg_catalog", "pg_namespace") => server::pg_namespace(known, &mut rows),
        ("pg_catalog", "pg_database") => server::pg_database(known, &mut rows),
        ("pg_catalog", "pg_am") => server::pg_am(&mut rows),
        ("pg_catalog", "pg_collation") => server::pg_collation(&mut rows),
        ("pg_catalog", "pg_tablespace") => server::pg_tablespace(&mut rows),
        ("pg_catalog", "pg_language") => server::pg_language(&mut rows),
        ("pg_catalog", "pg_settings") => server::pg_settings(&source.settings, &mut rows),
        ("pg_catalog", "pg_roles" | "pg_authid") => roles::pg_roles(known, &mut rows),
        ("pg_catalog", "pg_user" | "pg_shadow") => roles::pg_user(known, &mut rows),
        ("pg_catalog", "pg_stat_user_tables" | "pg_stat_all_tables") => {
            statistics::pg_stat_user_tables(known, &mut rows);
        }
        ("pg_catalog", "pg_statio_user_tables" | "pg_statio_all_tables") => {
            statistics::pg_statio_user_tables(known, &mut rows);
        }
        ("pg_catalog", "pg_stat_activity") => {
            statistics::pg_stat_activity(known, &source.settings, &mut rows);
        }
        ("pg_catalog", "pg_timezone_names") => server::pg_timezone_names(&mut rows),
        ("pg_catalog", "pg_stat_ssl" | "pg_stat_gssapi") => {
            statistics::pg_stat_ssl(table.name, &source.settings, &mut rows);
        }
        ("pg_catalog", "pg_stat_database") => statistics::pg_stat_database(known, &mut rows),
        ("information_schema", name) => information::fill(name, known, &mut rows),
        _ => {}
    }
    rows.finish()
}
