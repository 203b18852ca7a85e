//! `identities`: says of each row which conditions do not hold.

use std::sync::Arc;

use arrow::datatypes::DataType;
use riskstream_operators::IdentitiesOperator;
use riskstream_operators::identities::{BROKEN, BROKEN_VALUES};

use super::chain::Chain;
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage, told};
use super::read::{Named, sql_texts};
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Sql;
use crate::config::values::NameKind;

/// `identities = { NAME = "SQL" }`.
pub(crate) static KIND: Kind = Kind { key: "identities", others: &[], read };

/// Says which of these do not hold for a row: a name and a condition each.
#[derive(Debug)]
struct Identities(Vec<Named>);

/// `identities = { NAME = "SQL" }`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let identities = table.table("identities", problems)?;
    if identities.entries().is_empty() {
        let problem = Problem::new(identities.span, "`identities` names none");
        problems
            .push(problem.help("such as identities = { par-is-nested = \"bal_60p <= bal_30p\" }"));
    }
    let mut read = Vec::new();
    for entry in identities.entries() {
        reader::check_name(NameKind::Id, &entry.key, "an identity", problems);
        let sql = reader::sql(&entry.node, &format!("`{}`", entry.key), problems);
        read.push(sql.map(|sql| Named { name: entry.key.clone(), sql }));
    }
    let read = read.into_iter().collect::<Option<Vec<Named>>>()?;
    Some(Arc::new(Identities(read)))
}

impl StepKind for Identities {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        false
    }

    fn columns(&self, step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        for identity in &self.0 {
            flow.check_sql(&identity.sql, &[], problems);
        }
        for column in [BROKEN, BROKEN_VALUES] {
            flow.add(column, step.span, Some(DataType::Utf8), problems);
        }
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let texts = sql_texts(&self.0);
        let sqls: Vec<Sql> = self.0.iter().map(|identity| identity.sql.clone()).collect();
        let (id, schema, time) =
            (step.value.clone(), Arc::clone(&chain.schema), chain.event_time.clone());
        chain.add_stateless(&step.value, (&sqls, step.span), move || {
            IdentitiesOperator::new(&id, &texts, &schema)?.with_event_time(&time)
        })
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let (mut says, mut read) = (Vec::new(), Vec::new());
        for identity in &self.0 {
            let (text, columns) = told(&identity.sql);
            says.push(format!("{} = {text}", identity.name));
            read.extend(columns);
        }
        lineage.added(around.input, around.output, |_| says.join(", "), &read);
    }

    fn explain(&self) -> Explained {
        let says = |identity: &Named| format!("{}: {}", identity.name, identity.sql.as_str());
        Explained {
            details: self.0.iter().map(says).collect(),
            columns: vec![BROKEN.to_owned(), BROKEN_VALUES.to_owned()],
        }
    }
}
