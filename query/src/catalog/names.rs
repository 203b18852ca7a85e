//! Names of a statement, and the tables that they stand for.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::common::{DataFusionError, Result};

use super::as_of::{self, At, Old, micros};
use super::now;
use super::postgres::{Known, SettingsShown, information_schema, pg_catalog};
use super::seen::{CATALOG, SCHEMA, SYSTEM, newest_of, see, see_newest};
use super::system::System;
use crate::live::{AsOf, Pinned, PinnedTable};
use crate::rules::{Rules, Seen, guard};
use crate::user::User;

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
    /// What the user sees of a table as `what`.
    fn seen(&self, table: &PinnedTable, what: What) -> Seen {
        let provider = table.provider();
        let Names { rules, user, .. } = &self.0;
        let (rules, columns) = (rules.as_deref(), provider.schema());
        match what {
            What::Rows => see(rules, user, SCHEMA, table.name(), &columns),
            What::Newest => see_newest(rules, user, SCHEMA, table.name(), &columns),
        }
    }

    /// The rows of a table that the user sees, or its newest revisions, where `what` is they; none
    /// where it sees no such table. What is granted and restricted of the table is of its newest
    /// revisions, too; they may be granted alone.
    fn seen_as(&self, table: &PinnedTable, what: What) -> Result<Option<Arc<dyn TableProvider>>> {
        let rows = table.provider();
        match (self.seen(table, what), what) {
            (Seen::Hidden, What::Rows | What::Newest) => Ok(None),
            (Seen::All, What::Rows) => Ok(Some(rows)),
            (Seen::All, What::Newest) => now::newest_revisions(table, rows),
            (Seen::Ruled(rule), What::Rows) => Ok(Some(guard(rows, rule, table.divided_by()))),
            (Seen::Ruled(rule), What::Newest) => now::newest_of_rule(table, rows, rule),
        }
    }

    /// The table that a name stands for, as it is now.
    fn named(&self, name: &str) -> Option<(Arc<PinnedTable>, What)> {
        let pinned = &self.0.pinned;
        let rows = pinned.table(name).map(|table| (table, What::Rows));
        rows.or_else(|| {
            let table = newest_of(name).and_then(|of| pinned.table(of))?;
            Some((table, What::Newest))
        })
    }

    /// A table as it was, by the rules that hold now.
    async fn old(&self, old: Old<'_>) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some((table, what)) = self.named(old.table) else { return Ok(None) };
        // Who does not see the table hears nothing of its versions.
        if self.seen_as(&table, what)?.is_none() {
            return Ok(None);
        }
        let pinned = &self.0.pinned;
        let as_of = match old.at {
            At::Version(version) => AsOf::Version(version),
            At::Time(text) => {
                let zone = self.0.settings.time_zone();
                AsOf::Micros(micros(text, &zone, pinned.at_micros())?)
            }
        };
        let was = pinned.old(&table, as_of).await?;
        match self.seen_as(&was, what)? {
            Some(rows) => Ok(Some(rows)),
            // It lacks a column by which rows are told apart.
            None => {
                let said = format!("the table '{}' is not shown as it was then", old.table);
                Err(DataFusionError::Execution(said))
            }
        }
    }
}

/// What of a table a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Its rows.
    Rows,
    /// Of each key the newest revision.
    Newest,
}

#[async_trait::async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.0.pinned.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(old) = as_of::old(name) {
            return self.old(old).await;
        }
        match self.named(name) {
            Some((table, what)) => self.seen_as(&table, what),
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
            Seen::Ruled(rule) => {
                let rows = system.table(name).await?;
                Ok(rows.map(|rows| guard(rows, rule, BTreeSet::new())))
            }
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.system.table_exist(name)
    }
}

#[cfg(test)]
mod tests;
