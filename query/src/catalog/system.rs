//! `system`: how the program and its statements are, as tables.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};

use super::seen::{SYSTEM, see};
use super::shown::{ShownColumn, ShownSchema, ShownTable};
use super::system_table::SystemTable;
use crate::rules::{Rules, Seen};
use crate::user::User;

/// What the program says of itself: the query layer asks for it when a statement names it.
pub trait SystemTables: Debug + Send + Sync {
    /// The tables that there are.
    fn tables(&self) -> Vec<SystemTable>;

    /// The rows of one as they are now.
    ///
    /// # Errors
    /// What they are read from can't be read.
    fn rows(&self, name: &str) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>>;
}

/// A program that says nothing of itself.
#[derive(Debug)]
pub struct NoSystemTables;

impl SystemTables for NoSystemTables {
    fn tables(&self) -> Vec<SystemTable> {
        Vec::new()
    }

    fn rows(&self, name: &str) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("there is no table system.{name}").into())
    }
}

/// The schema `system`: the tables of all who say something of themselves.
#[derive(Debug, Clone)]
pub(crate) struct System {
    tellers: Vec<Arc<dyn SystemTables>>,
}

impl System {
    /// The schema of these tables; of two with one name, the first counts.
    pub(crate) fn new(tellers: Vec<Arc<dyn SystemTables>>) -> Self {
        Self { tellers }
    }

    fn tables(&self) -> Vec<SystemTable> {
        let mut tables: Vec<_> = self.tellers.iter().flat_map(|teller| teller.tables()).collect();
        tables.sort_by_key(|table| table.name);
        tables.dedup_by_key(|table| table.name);
        tables
    }

    /// The columns of a table; none where there is no such.
    pub(crate) fn columns(&self, name: &str) -> Option<SchemaRef> {
        self.tables().into_iter().find(|table| table.name == name).map(|table| table.schema)
    }

    /// The tables that a user sees, as catalogs show them.
    pub(crate) fn shown(&self, user: &User, rules: Option<&Rules>) -> ShownSchema {
        let is_seen = |table: &SystemTable| {
            !matches!(see(rules, user, SYSTEM, table.name, &table.schema), Seen::Hidden)
        };
        let shown = |table: SystemTable| ShownTable {
            name: table.name.to_owned(),
            is_view: true,
            about: Some(table.about.to_owned()),
            columns: table
                .schema
                .fields()
                .iter()
                .map(|field| ShownColumn { field: Arc::clone(field), about: None })
                .collect(),
            key: Vec::new(),
            rows: None,
            bytes: None,
        };
        ShownSchema {
            name: SYSTEM.to_owned(),
            about: Some("how the program and its statements are".to_owned()),
            tables: self.tables().into_iter().filter(is_seen).map(shown).collect(),
        }
    }
}

#[async_trait::async_trait]
impl SchemaProvider for System {
    fn table_names(&self) -> Vec<String> {
        self.tables().into_iter().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = self.tellers.iter().find_map(|teller| {
            let table = teller.tables().into_iter().find(|table| table.name == name)?;
            Some((Arc::clone(teller), table))
        });
        let Some((teller, table)) = found else { return Ok(None) };
        // Stores and registries are read by blocking calls.
        let rows = tokio::task::spawn_blocking(move || teller.rows(table.name))
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))?
            .map_err(DataFusionError::External)?;
        Ok(Some(Arc::new(MemTable::try_new(table.schema, vec![vec![rows]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables().iter().any(|table| table.name == name)
    }
}
