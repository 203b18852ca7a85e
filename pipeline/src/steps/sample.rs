//! `sample`: gives every record's row as of each period's end.

use std::sync::Arc;

use riskstream_operators::sample::{AS_OF, SampleOperator, SampleSpec};

use super::chain::{Chain, every};
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use super::read::{key_columns, names};
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::{Period, timestamp_type};
use crate::config::values::{self, period_text};

/// `sample = "1mo"`, `by`.
pub(crate) static KIND: Kind = Kind { key: "sample", others: &["by"], read };

/// `sample = "1mo"`, `by`.
#[derive(Debug)]
struct Sample {
    /// How often.
    every: Period,
    /// The key of the records.
    by: Vec<Spanned<String>>,
}

/// `sample = "1mo"`, `by`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let by = key_columns(table, problems);
    let text = table.string("sample", problems)?;
    let every = reader::parsed(&text.value, text.span, values::period, problems)?;
    Some(Arc::new(Sample { every, by: by? }))
}

impl StepKind for Sample {
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
        if !flow.is_of_changes {
            let message = format!(
                "step `{step}` samples records, and no `changelog` step before it says what they \
                 are"
            );
            let help = "put a step with changelog = { key = \"COLUMN\" } before it";
            problems.push(Problem::new(step.span, message).help(help));
        }
        for key in &self.by {
            flow.find(key, problems);
        }
        // The instant of the sample takes the place of the changes' times.
        let time = std::mem::replace(&mut flow.event_time, AS_OF.to_owned());
        flow.columns.retain(|column| column.name != time);
        flow.add(AS_OF, step.span, Some(timestamp_type()), problems);
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let spec = SampleSpec {
            step_id: step.value.clone(),
            by: names(&self.by),
            every: every(self.every),
            event_time: chain.event_time.clone(),
            memory_bytes: chain.rows_memory(),
        };
        let (schema, feed) = (Arc::clone(&chain.schema), chain.lineage.feed());
        chain.add_made(step, &[], move |dir| {
            SampleOperator::new(spec.clone(), &schema, dir)
                .map(|operator| operator.fed_by(feed.clone()))
        })?;
        // A row counts as of its sample's instant, at which its record has one row.
        chain.event_time = AS_OF.into();
        chain.ties = names(&self.by);
        chain.identity = chain.ties.iter().cloned().chain([AS_OF.into()]).collect();
        Ok(())
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let by = names(&self.by);
        let says = format!("samples every {:?} by {}", self.every, by.join(", "));
        lineage.rows_of(around.step, says, around.input, &by);
    }

    fn explain(&self) -> Explained {
        let every = period_text(self.every);
        Explained {
            details: vec![format!("every record's row as of the end of every {every}")],
            columns: vec![AS_OF.to_owned()],
        }
    }
}
