//! Landed and live rows in one answer.
//!
//! ```text
//!   newest versions of tables ──▶ epochs that they record ──▶ epochs committed since, from stores
//!              └───────────────────────── Pinned ─────────────────────────┘
//! ```
//! The border between the two is the epoch that a table's log records for a sink (`txn`): its
//! files hold the epochs up to it, the store those after. Tables are looked at first, stores then.
//! An epoch that a table lacks and whose file is gone by the time it is read has landed in between:
//! then both are looked at again.
//!
//! Invariants: a row of a committed epoch is seen once, landed or not; nothing that was pinned goes
//! while it is used, since it is in memory, or in files that only a vacuum takes.

mod eyes;
mod held;
mod lakes;
mod not_landed;
mod pin;
mod pinned;
mod reached;
mod stores;
#[cfg(test)]
mod tests;
mod union;

use std::path::Path;
use std::sync::Arc;

use crate::error::QueryError;
use crate::lake::Listing;
use crate::naming::facts::TableFacts;
use crate::naming::seen::{self, CATALOG, NOW, SCHEMA};
use crate::naming::shown::{ShownCatalog, ShownColumn, ShownSchema, ShownTable};
use crate::rules::Seen;

pub(crate) use eyes::Eyes;
pub use held::held_files;
pub(crate) use lakes::AsOf;
use lakes::Lakes;
pub(crate) use pinned::{Pinned, PinnedTable};
pub(crate) use reached::Reached;
use stores::Stores;

/// The tables and stores of a data folder.
#[derive(Debug)]
pub(crate) struct Live {
    tables: Listing,
    lakes: Arc<Lakes>,
    stores: Arc<Stores>,
    facts: Arc<TableFacts>,
}

impl Live {
    /// Those of the folder `data`, of which the configuration says `facts`.
    pub(crate) fn new(data: &Path, facts: TableFacts) -> Self {
        Self {
            tables: Listing::of_tables(data.join("tables")),
            lakes: Arc::new(Lakes::new()),
            stores: Arc::new(Stores::new(data.join("store"))),
            facts: Arc::new(facts),
        }
    }

    /// What a user may know of the tables. One that can't be opened is left out: who asks for it is
    /// told why.
    pub(crate) async fn shown(&self, eyes: &Eyes) -> Result<ShownCatalog, QueryError> {
        let (user, rules) = (&eyes.user, eyes.rules.as_deref());
        let mut tables = Vec::new();
        for name in self.tables.names()? {
            if !eyes.may_see(&name) {
                continue;
            }
            let lake = match self.lakes.newest(&self.tables.path().join(&name)).await {
                Ok(lake) => lake,
                Err(error) => {
                    tracing::debug!(table = name, %error, "a table is not shown");
                    continue;
                }
            };
            let schema = lake.schema();
            let fact = self.facts.get(&name).cloned().unwrap_or_default();
            let is_hidden = matches!(seen::see(rules, user, SCHEMA, &name, &schema), Seen::Hidden);
            let newest = seen::see_newest(rules, user, SCHEMA, &name, &schema);
            let has_newest =
                fact.revision.is_some() && !fact.key.is_empty() && !matches!(newest, Seen::Hidden);
            if is_hidden && !has_newest {
                continue;
            }
            let columns = schema.fields().iter().map(|field| ShownColumn {
                field: Arc::clone(field),
                about: fact.columns.get(field.name()).cloned(),
            });
            let shown = ShownTable {
                is_view: false,
                about: fact.about.clone(),
                columns: columns.collect(),
                key: Vec::new(),
                rows: None,
                bytes: None,
                name,
            };
            if has_newest {
                let about = format!("the newest revisions of {}", shown.name);
                tables.push(ShownTable {
                    name: format!("{}{}", shown.name, NOW),
                    is_view: true,
                    about: Some(about),
                    key: fact.key.clone(),
                    ..shown.clone()
                });
            }
            if !is_hidden {
                tables.push(shown);
            }
        }
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        let schema = ShownSchema { name: SCHEMA.to_owned(), about: None, tables };
        Ok(ShownCatalog {
            database: CATALOG.to_owned(),
            user: user.name.clone(),
            roles: user.roles.clone(),
            schemas: vec![schema],
        })
    }
}
