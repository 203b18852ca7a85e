//! `[[pipelines.NAME.to]]`: where rows go.

use super::kafka::KafkaDestination;
use super::keywords::keywords;
use super::sql::Sql;
use crate::config::span::Spanned;

/// One `[[pipelines.NAME.to]]`.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The key of the destination's progress.
    pub id: Spanned<String>,
    /// Where rows go.
    pub kind: DestinationKind,
    /// Only rows for which this is true.
    pub when: Option<Sql>,
    /// Only these columns, in this order; `None`: all.
    pub columns: Option<Vec<Spanned<String>>>,
    /// When rows leave.
    pub deliver: Deliver,
    /// What the rows are for, for those who query them.
    pub about: Option<String>,
    /// What columns hold, by name.
    pub about_columns: Vec<(Spanned<String>, String)>,
}

impl Destination {
    /// The Delta table that it writes.
    pub fn table(&self) -> Option<&Spanned<String>> {
        match &self.kind {
            DestinationKind::Delta(table) | DestinationKind::Alerts(table) => Some(&table.table),
            DestinationKind::Console(_) | DestinationKind::Kafka(_) => None,
        }
    }
}

/// Where rows go.
#[derive(Debug, Clone)]
pub enum DestinationKind {
    /// A Delta table.
    Delta(TableDestination),
    /// A Delta table of alerts, each with a stable id.
    Alerts(TableDestination),
    /// The terminal.
    Console(Console),
    /// A Kafka topic.
    Kafka(KafkaDestination),
}

impl DestinationKind {
    /// The name in `pipelines.toml`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delta(_) => "delta",
            Self::Alerts(_) => "alerts",
            Self::Console(_) => "console",
            Self::Kafka(_) => "kafka",
        }
    }
}

/// A Delta table under `<data>/tables`.
#[derive(Debug, Clone)]
pub struct TableDestination {
    /// The table's name, unique in the file.
    pub table: Spanned<String>,
    /// How its files are laid out; by event date unless said otherwise, and not at all for alerts.
    pub partition_by: Partitioning,
    /// The columns by which compaction sorts its rows; `None`: by those that suit it, empty: by
    /// none.
    pub sort_by: Option<Vec<Spanned<String>>>,
}

/// How a table's files are laid out.
#[derive(Debug, Clone, PartialEq)]
pub enum Partitioning {
    /// By the column `event_date`, which the sink adds: the date of the event time, UTC.
    EventDate,
    /// Not at all.
    None,
}

/// The terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// Rows printed per run.
    pub rows: u64,
}

/// When rows leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliver {
    /// After their epoch is committed: exactly once where the receiver can tell.
    Committed,
    /// At once, with an id made from the input; the committed copy is the one that lands in tables.
    Immediately,
}
keywords!(Deliver { "committed" => Committed, "immediately" => Immediately });
