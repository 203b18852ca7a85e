//! Destinations looked at without being changed: whether they are there, what they hold, and how
//! far a pipeline's rows have come.

use std::path::PathBuf;

use riskstream_engine::protocol::Origin;
use riskstream_sinks::{DeltaRuntime, SinkError, TableSnapshot};

use super::names::KnownAs;
use super::places::table_location;
use crate::config::spec::{Deliver, Destination, DestinationKind, Pipeline};
use crate::config::{Config, defaults};

/// Where rows of a pipeline go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A Delta table of this name.
    Table(String),
    /// A topic.
    Topic(String),
    /// The terminal.
    Console,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table(table) => write!(f, "table {table}"),
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::Console => f.write_str("console"),
        }
    }
}

/// A destination as it is.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    /// The sink's id.
    pub(crate) sink: String,
    /// Where its rows go.
    pub(crate) target: Target,
    /// A table, as it is.
    pub(crate) table: Option<LookedTable>,
}

/// A table as it is.
#[derive(Debug, Clone)]
pub(crate) struct LookedTable {
    /// The last epoch that it records for the pipeline.
    pub(crate) recorded: Option<u64>,
    /// Its rows, if the statistics of all files give them.
    pub(crate) rows: Option<u64>,
}

/// The store's name for a destination; none for one that records nothing.
pub(crate) fn destination_name(to: &Destination) -> Option<String> {
    match &to.kind {
        DestinationKind::Delta(table) | DestinationKind::Alerts(table) => {
            Some(table_name(&table.table.value))
        }
        // The topic does not record what is delivered immediately, so that a change of `deliver`
        // counts as a change of the destination.
        DestinationKind::Kafka(kafka) if to.deliver == Deliver::Immediately => {
            Some(format!("topic {} (immediately)", kafka.topic))
        }
        DestinationKind::Kafka(kafka) => Some(format!("topic {}", kafka.topic)),
        DestinationKind::Console(_) => None,
    }
}

/// What the store calls a table.
pub(crate) fn table_name(table: &str) -> String {
    format!("table {table}")
}

/// Under which names a pipeline's rows are delivered, and where to.
pub(crate) fn origin(pipeline: &Pipeline, known_as: &KnownAs) -> Origin {
    let dead =
        (defaults::DEAD_LETTER_TABLE.to_owned(), Some(table_name(defaults::DEAD_LETTER_TABLE)));
    let destinations =
        pipeline.to.iter().map(|to| (to.id.value.clone(), destination_name(to))).chain([dead]);
    Origin {
        program: known_as.program.clone(),
        pipeline: known_as.pipeline.clone(),
        destinations: destinations.collect(),
    }
}

/// The destinations of a pipeline, the dead letters' last.
pub(crate) fn targets(pipeline: &Pipeline) -> Vec<(String, Target)> {
    let target = |to: &Destination| match &to.kind {
        DestinationKind::Delta(table) | DestinationKind::Alerts(table) => {
            Target::Table(table.table.value.clone())
        }
        DestinationKind::Kafka(kafka) => Target::Topic(kafka.topic.value.clone()),
        DestinationKind::Console(_) => Target::Console,
    };
    let dead = (
        defaults::DEAD_LETTER_TABLE.to_owned(),
        Target::Table(defaults::DEAD_LETTER_TABLE.to_owned()),
    );
    pipeline.to.iter().map(|to| (to.id.value.clone(), target(to))).chain([dead]).collect()
}

/// Looks at the destinations of a pipeline; nothing is made, and no cluster is asked.
///
/// # Errors
/// When a table's log can't be read.
pub(crate) fn look(
    config: &Config,
    pipeline: &Pipeline,
    known_as: &KnownAs,
    runtime: &DeltaRuntime,
) -> Result<Vec<Looked>, SinkError> {
    let look = |(sink, target): (String, Target)| {
        let table = match &target {
            Target::Table(table) => {
                look_at_table(table_location(config, table), &known_as.app_id(&sink), runtime)?
            }
            Target::Topic(_) | Target::Console => None,
        };
        Ok(Looked { sink, target, table })
    };
    targets(pipeline).into_iter().map(look).collect()
}

fn look_at_table(
    location: PathBuf,
    app_id: &str,
    runtime: &DeltaRuntime,
) -> Result<Option<LookedTable>, SinkError> {
    let snapshot = match TableSnapshot::open(runtime, &location) {
        Ok(snapshot) => snapshot,
        Err(SinkError::NotATable { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let recorded = runtime.block_on(snapshot.delivered_through(app_id))?;
    let rows = snapshot.files()?.iter().map(|file| file.rows).sum();
    Ok(Some(LookedTable { recorded: recorded.and_then(|epoch| u64::try_from(epoch).ok()), rows }))
}
