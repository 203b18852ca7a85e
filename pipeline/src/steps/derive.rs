//! `derive`: adds columns by SQL expressions.

use std::sync::Arc;

use riskstream_operators::DeriveOperator;

use super::chain::Chain;
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage, told};
use super::read::{Named, expressions, sql_texts};
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::span::Spanned;
use crate::config::spec::Sql;

/// `derive = { NAME = "SQL" }`.
pub(crate) static KIND: Kind = Kind { key: "derive", others: &[], read };

/// Adds columns. Every expression sees the columns before the step, not its siblings.
#[derive(Debug)]
struct Derive(Vec<Named>);

/// `derive = { NAME = "SQL" }`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let columns = table.table("derive", problems)?;
    if columns.entries().is_empty() {
        problems.push(
            Problem::new(columns.span, "`derive` names no column")
                .help("such as derive = { is_night = \"extract(hour from tx_datetime) <= 6\" }"),
        );
    }
    let derived = expressions(&columns, problems)?;
    Some(Arc::new(Derive(derived)))
}

impl StepKind for Derive {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        false
    }

    fn columns(&self, _step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        let names: Vec<&Spanned<String>> = self.0.iter().map(|column| &column.name).collect();
        for column in &self.0 {
            flow.check_sql(&column.sql, &names, problems);
        }
        for name in names {
            flow.add(name, name.span, None, problems);
        }
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let texts = sql_texts(&self.0);
        let sqls: Vec<Sql> = self.0.iter().map(|column| column.sql.clone()).collect();
        let (id, schema, time) =
            (step.value.clone(), Arc::clone(&chain.schema), chain.event_time.clone());
        chain.add_stateless(&step.value, (&sqls, step.span), move || {
            DeriveOperator::new(&id, &texts, Arc::clone(&schema))?.with_event_time(&time)
        })
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        // Every expression sees the columns before the step.
        let before = lineage.clone();
        for column in &self.0 {
            let (text, read) = told(&column.sql);
            let of = before.facts(around.input, &read);
            lineage.made(around.output, &column.name.value, &text, &of);
        }
    }

    fn explain(&self) -> Explained {
        let says = |column: &Named| format!("{} = {}", column.name, column.sql.as_str());
        Explained {
            details: self.0.iter().map(says).collect(),
            columns: self.0.iter().map(|column| column.name.value.clone()).collect(),
        }
    }
}
