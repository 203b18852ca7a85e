//! `previous`: adds columns of the row before of the same key.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::DataType;
use riskstream_operators::changelog::DIFF;
use riskstream_operators::previous::{PreviousOperator, PreviousSpec};

use super::chain::{Chain, micros};
use super::columns::{Flow, Known};
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use super::read::{Pair, key_columns, names, pairs, texts};
use crate::config::defaults;
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::values::{NameKind, duration_text};

/// `previous = { NEW = "COLUMN" }`, `by`, `keep`.
pub(crate) static KIND: Kind = Kind { key: "previous", others: &["by", "keep"], read };

/// `previous = { NEW = "COLUMN" }`, `by`, `keep`.
#[derive(Debug)]
struct Previous {
    /// New columns, and the columns of the row before that they show.
    columns: Vec<Pair>,
    /// The key whose rows follow one another.
    by: Vec<Spanned<String>>,
    /// How far behind the watermark a row may come and still be put in its place; rows that come
    /// later are dead letters.
    keep: Duration,
}

/// `previous`, `by`, `keep`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let by = key_columns(table, problems);
    let keep = table.duration("keep", problems).map_or(defaults::KEEP_MIN, |keep| keep.value);
    let columns = pairs(
        table.table("previous", problems)?,
        "previous = { from_status = \"status\" }",
        problems,
    )?;
    columns
        .iter()
        .for_each(|(name, _)| reader::check_name(NameKind::Identifier, name, "a column", problems));
    Some(Arc::new(Previous { columns, by: by?, keep }))
}

impl StepKind for Previous {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        true
    }

    fn by(&self) -> &[Spanned<String>] {
        &self.by
    }

    fn columns(&self, step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        flow.refuse_windows(step, problems);
        for key in &self.by {
            flow.find(key, problems);
        }
        let mut types = Vec::new();
        for (_, from) in &self.columns {
            types.push(flow.find(from, problems).and_then(|known| known.data_type.clone()));
        }
        flow.columns.retain(|column| column.name != defaults::LATE_COLUMN && column.name != DIFF);
        for ((name, _), data_type) in self.columns.iter().zip(types) {
            flow.add(name, name.span, data_type, problems);
        }
        flow.is_of_changes = true;
        flow.columns.push(Known::new(DIFF).of_type(DataType::Int64));
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let spec = PreviousSpec {
            step_id: step.value.clone(),
            by: names(&self.by),
            columns: texts(&self.columns),
            keep: micros(self.keep),
            event_time: chain.event_time.clone(),
            ties: chain.ties.clone(),
            memory_bytes: chain.rows_memory(),
        };
        let (schema, feed) = (Arc::clone(&chain.schema), chain.lineage.feed());
        chain.add_made(step, &[], move |dir| {
            PreviousOperator::new(spec.clone(), &schema, dir)
                .map(|operator| operator.fed_by(feed.clone()))
        })
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let by = names(&self.by).join(", ");
        let says = format!("rows beside those before by {by}");
        lineage.rows_of(around.step, says, around.input, &names(&self.by));
        for (name, column) in &self.columns {
            let of = lineage.facts(around.input, std::slice::from_ref(&column.value));
            lineage.kept_by(around, &name.value, &format!("{column} before by {by}"), &of);
        }
    }

    fn explain(&self) -> Explained {
        let shows = |(name, from): &Pair| format!("{name} = {from} of the row before");
        let late = format!(
            "rows taken back and added; late rows put in their place for {}",
            duration_text(self.keep)
        );
        Explained {
            details: self.columns.iter().map(shows).chain([late]).collect(),
            columns: self.columns.iter().map(|(name, _)| name.value.clone()).collect(),
        }
    }
}
