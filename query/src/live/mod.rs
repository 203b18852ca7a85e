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

mod lakes;
mod not_landed;
mod pin;
mod pinned;
mod stores;
mod union;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::facts::TableFacts;
use crate::catalog::seen::{self, CATALOG, NOW, SCHEMA};
use crate::catalog::shown::{ShownCatalog, ShownColumn, ShownSchema, ShownTable};
use crate::error::QueryError;
use crate::lake::table_names;
use crate::rules::{Rules, Seen};
use crate::service::User;

use lakes::Lakes;
pub(crate) use pinned::{Pinned, PinnedTable};
use stores::Stores;

/// The tables and stores of a data folder.
#[derive(Debug)]
pub(crate) struct Live {
    tables_dir: PathBuf,
    lakes: Lakes,
    stores: Stores,
    facts: Arc<TableFacts>,
}

impl Live {
    /// Those of the folder `data`, of which the configuration says `facts`.
    pub(crate) fn new(data: &Path, facts: TableFacts) -> Self {
        Self {
            tables_dir: data.join("tables"),
            lakes: Lakes::new(),
            stores: Stores::new(data.join("store")),
            facts: Arc::new(facts),
        }
    }

    /// What a user may know of the tables.
    pub(crate) async fn shown(
        &self,
        user: &User,
        rules: Option<&Rules>,
    ) -> Result<ShownCatalog, QueryError> {
        let mut tables = Vec::new();
        for name in table_names(&self.tables_dir)? {
            let lake = self.lakes.newest(&self.tables_dir.join(&name)).await?;
            let schema = lake.schema();
            let seen = seen::see(rules, user, SCHEMA, &name, &schema);
            if matches!(seen, Seen::Hidden) {
                continue;
            }
            let fact = self.facts.get(&name).cloned().unwrap_or_default();
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
            if fact.revision.is_some() && !fact.key.is_empty() {
                let about = format!("the newest revisions of {}", shown.name);
                tables.push(ShownTable {
                    name: format!("{}{}", shown.name, NOW),
                    is_view: true,
                    about: Some(about),
                    key: fact.key.clone(),
                    ..shown.clone()
                });
            }
            tables.push(shown);
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
