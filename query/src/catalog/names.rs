//! Names of a statement, and the tables that they stand for.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::common::Result;

use super::now;
use super::postgres::{Known, SettingsShown, information_schema, pg_catalog};
use super::seen::{CATALOG, SCHEMA, SYSTEM, see, table_of};
use super::system::System;
use crate::live::{Pinned, PinnedTable};
use crate::rules::{Rules, Seen, guard};
use crate::service::User;

/// What the names of a statement stand for, for a user at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// The moment.
    pub(crate) pinned: Arc<Pinned>,
    /// Who asks.
    pub(crate) user: Arc<User>,
    /// Who may see what; none: everybody all.
    pub(crate) rules: Option<Arc<Rules>>,
    /// How the program is.
    pub(crate) system: System,
    /// What the user may know of.
    pub(crate) known: Arc<Known>,
    /// What the connection has set.
    pub(crate) settings: SettingsShown,
}

impl Names {
    /// As DataFusion asks for them.
    pub(crate) fn catalogs(self) -> Arc<dyn CatalogProviderList> {
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(CATALOG.to_owned(), Arc::new(Database(self)));
        Arc::new(list)
    }
}

#[derive(Debug)]
struct Database(Names);

impl CatalogProvider for Database {
    fn schema_names(&self) -> Vec<String> {
        [SCHEMA, SYSTEM, "pg_catalog", "information_schema"].map(str::to_owned).to_vec()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let names = &self.0;
        match name {
            SCHEMA => Some(Arc::new(Tables(names.clone()))),
            SYSTEM => Some(Arc::new(SystemSeen(names.clone()))),
            "pg_catalog" => Some(pg_catalog(&names.known, &names.settings)),
            "information_schema" => Some(information_schema(&names.known, &names.settings)),
            _ => None,
        }
    }
}

/// The tables of pipelines, and the newest revisions beside them, as far as a user sees them.
#[derive(Debug)]
struct Tables(Names);

impl Tables {
    /// The rows of a table that the user sees under a name; none where it sees no such table.
    fn seen(&self, table: &PinnedTable, name: &str) -> Option<Arc<dyn TableProvider>> {
        let provider = table.provider();
        let Names { rules, user, .. } = &self.0;
        match see(rules.as_deref(), user, SCHEMA, name, &provider.schema()) {
            Seen::Hidden => None,
            Seen::All => Some(provider),
            Seen::Ruled(rule) => Some(guard(provider, rule)),
        }
    }
}

#[async_trait::async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.0.pinned.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.0.pinned.table(name) {
            return Ok(self.seen(&table, table.name()));
        }
        let Some(table) = table_of(name).and_then(|of| self.0.pinned.table(of)) else {
            return Ok(None);
        };
        // Restrictions of the table hold for its newest revisions too, as does what is granted.
        match self.seen(&table, table.name()) {
            Some(rows) => now::newest_revisions(&table, rows),
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.pinned.table(name).is_some()
    }
}

/// The schema `system`, as far as a user sees it.
#[derive(Debug)]
struct SystemSeen(Names);

#[async_trait::async_trait]
impl SchemaProvider for SystemSeen {
    fn table_names(&self) -> Vec<String> {
        self.0.system.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(columns) = self.0.system.columns(name) else { return Ok(None) };
        let Names { rules, user, system, .. } = &self.0;
        match see(rules.as_deref(), user, SYSTEM, name, &columns) {
            Seen::Hidden => Ok(None),
            Seen::All => system.table(name).await,
            Seen::Ruled(rule) => Ok(system.table(name).await?.map(|rows| guard(rows, rule))),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.system.table_exist(name)
    }
}
