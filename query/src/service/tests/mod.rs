//! Statements through the service.

mod forms;
mod hidden;
mod kept;
mod lake;
mod rules;
mod sqlstates;
mod stopping;
mod waiting;

use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use tempfile::TempDir;

use super::*;
use crate::catalog::{NoSystemTables, TableFacts};
use crate::error::QueryError;
use crate::rules::Rules;

/// A service over a folder of its own.
struct Tried {
    service: QueryService,
    folder: TempDir,
}

impl Tried {
    fn new() -> Self {
        Self::with(Limits::default(), None)
    }

    fn with(limits: Limits, rules: Option<Arc<Rules>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("tables")).unwrap();
        let settings = ServiceSettings {
            data: folder.path().to_owned(),
            tables: TableFacts::default(),
            limits: Limits { threads: 2, ..limits },
            system: Arc::new(NoSystemTables),
            rules,
            audit: None,
        };
        Self { service: QueryService::open(settings).unwrap(), folder }
    }

    fn session(&self) -> Session {
        self.service.session(User::local("ada"))
    }

    /// The rows of a statement as texts, with commas between.
    fn ask(&self, session: &mut Session, text: &str) -> Result<Vec<String>, QueryError> {
        self.ask_with(session, text, &[])
    }

    fn ask_with(
        &self,
        session: &mut Session,
        text: &str,
        parameters: &[ScalarValue],
    ) -> Result<Vec<String>, QueryError> {
        let statement = statement(text);
        self.service.block_on(async {
            let mut answer = session.run(&statement, parameters, &Cancel::default()).await?;
            let mut rows = Vec::new();
            while let Some(batch) = answer.next().await {
                let batch = batch?;
                let options = FormatOptions::new();
                let columns: Vec<_> = batch
                    .columns()
                    .iter()
                    .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
                    .collect();
                rows.extend((0..batch.num_rows()).map(|row| {
                    let cells = columns.iter().map(|column| column.value(row).to_string());
                    cells.collect::<Vec<_>>().join(",")
                }));
            }
            Ok(rows)
        })
    }
}

fn statement(text: &str) -> Statement {
    parse(text).unwrap().remove(0)
}
