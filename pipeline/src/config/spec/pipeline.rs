//! `[pipelines.NAME]`: steps from one source to destinations.

use std::fmt;
use std::time::Duration;

use super::{OnFailure, Sql, keywords};
use crate::config::span::Spanned;

/// One pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The NAME of `[pipelines.NAME]`, unique.
    pub name: Spanned<String>,
    /// The source whose rows it takes.
    pub from: Spanned<String>,
    /// In which order rows meet the keyed steps.
    pub order: Order,
    /// What happens to a row behind the watermark.
    pub late: Late,
    /// What becomes of the program when the pipeline fails.
    pub on_failure: OnFailure,
    /// The steps, in order; ids unique within the pipeline.
    pub steps: Vec<Step>,
    /// The destinations, at least one; ids unique within the pipeline.
    pub to: Vec<Destination>,
}

/// In which order rows meet the keyed steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By event time, ties by `ties_by`; waits for the watermark. The same rows whatever batches,
    /// workers and epochs were.
    EventTime,
    /// As they arrive: the lowest latency.
    Arrival,
}
keywords!(Order { "event-time" => EventTime, "arrival" => Arrival });

/// What happens to a late row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It is processed where it stands, and flagged in the column `late`.
    Apply,
    /// It goes to the dead-letter table.
    DeadLetter,
}
keywords!(Late { "apply" => Apply, "dead-letter" => DeadLetter });

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The key of the step's state.
    pub id: Spanned<String>,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// Keeps rows for which the expression is true.
    Filter(Sql),
    /// Adds columns. Every expression sees the columns before the step, not its siblings.
    Derive(Vec<DerivedColumn>),
    /// Adds aggregates over trailing windows of the row's key.
    Features(Features),
    /// Turns versions of records into rows that are taken back and added.
    Changelog(Changelog),
    /// Adds rows up per key and window of event time; what leaves are windows, not the rows.
    Aggregate(Aggregation),
    /// Adds columns of the row before of the same key.
    Previous(Previous),
    /// Gives every record's row as of each period's end.
    Sample(Sample),
    /// Adds each window's share of its group.
    Shares(Shares),
    /// Says which of these do not hold for a row: a name and a condition each.
    Identities(Vec<DerivedColumn>),
    /// Adds scores by models of the registry.
    Score(Vec<ScoreColumn>),
    /// Adds `decision` and `reasons`.
    Decide(Decide),
}

impl StepKind {
    /// The key that names the step's kind in `pipelines.toml`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Filter(_) => "filter",
            Self::Derive(_) => "derive",
            Self::Features(_) => "features",
            Self::Changelog(_) => "changelog",
            Self::Aggregate(_) => "aggregate",
            Self::Previous(_) => "previous",
            Self::Sample(_) => "sample",
            Self::Shares(_) => "shares",
            Self::Identities(_) => "identities",
            Self::Score(_) => "score",
            Self::Decide(_) => "decide",
        }
    }
}

impl StepKind {
    /// Whether the step keeps something of the rows that it has seen: a row that it sees again
    /// counts again.
    pub fn has_state(&self) -> bool {
        match self {
            Self::Features(_)
            | Self::Changelog(_)
            | Self::Aggregate(_)
            | Self::Previous(_)
            | Self::Sample(_)
            | Self::Shares(_) => true,
            Self::Filter(_)
            | Self::Derive(_)
            | Self::Identities(_)
            | Self::Score(_)
            | Self::Decide(_) => false,
        }
    }

    /// The columns by which the step's rows belong together; none where it looks at each row for
    /// itself.
    pub fn key(&self) -> &[Spanned<String>] {
        match self {
            Self::Features(features) => &features.by,
            Self::Changelog(changelog) => &changelog.key,
            Self::Aggregate(aggregation) => &aggregation.by,
            Self::Previous(previous) => &previous.by,
            Self::Sample(sample) => &sample.by,
            Self::Shares(shares) => &shares.of,
            Self::Filter(_)
            | Self::Derive(_)
            | Self::Identities(_)
            | Self::Score(_)
            | Self::Decide(_) => &[],
        }
    }
}

/// `derive = { NAME = "SQL" }`.
#[derive(Debug, Clone)]
pub struct DerivedColumn {
    /// The new column.
    pub name: Spanned<String>,
    /// Its value.
    pub sql: Sql,
}

/// `features = { NAME = "avg(col)" }`, `by`, `over`, `delay`, `include_current`, `empty`, `keep`.
#[derive(Debug, Clone)]
pub struct Features {
    /// What is computed, in the order of the file.
    pub features: Vec<Feature>,
    /// The key: rows with equal values in these columns share windows. Nulls are equal, as in SQL's
    /// `partition by`.
    pub by: Vec<Spanned<String>>,
    /// Trailing windows, shortest first as written; empty where no feature has a window.
    pub over: Vec<Spanned<Window>>,
    /// Windows end this long before the row's event time (labels that become known later). Zero: at
    /// the row.
    pub delay: Duration,
    /// Whether the row itself counts. With a `delay` it never does, whatever this says.
    pub include_current: bool,
    /// The value of every `avg` where a window holds no value, instead of null (a sum of nothing is
    /// null, as in SQL).
    pub empty: Option<f64>,
    /// How far behind the watermark a row may come and still get its windows.
    pub keep: Duration,
}

impl Features {
    /// The columns that this step adds: feature by feature, each window in order. A feature without
    /// windows adds one column.
    pub fn columns(&self) -> impl Iterator<Item = (String, &Feature, Option<&Window>)> {
        self.features.iter().flat_map(|feature| {
            let windows: Vec<Option<&Window>> = match feature.aggregate.is_windowed() {
                true => self.over.iter().map(|window| Some(&window.value)).collect(),
                false => vec![None],
            };
            windows.into_iter().map(move |window| (feature.column(window), feature, window))
        })
    }
}

/// `changelog = { key, columns, operation, deleted, previous, ever }`, `keep`.
#[derive(Debug, Clone)]
pub struct Changelog {
    /// The columns that tell records apart.
    pub key: Vec<Spanned<String>>,
    /// What a record consists of; all columns where it is not given.
    pub columns: Option<Vec<Spanned<String>>>,
    /// Of captured changes: the column that says what happened. Without it rows are versions of
    /// records.
    pub operation: Option<Spanned<String>>,
    /// True for a row that says that the record is gone.
    pub deleted: Option<Sql>,
    /// Of captured changes: columns with what another was before; name, and which.
    pub previous: Vec<(Spanned<String>, Spanned<String>)>,
    /// Columns that are true from the first row on for which the expression was.
    pub ever: Vec<DerivedColumn>,
    /// How far behind the watermark a row may come and still be put in its place; rows that come
    /// later are dead letters.
    pub keep: Duration,
}

/// `previous = { NEW = "COLUMN" }`, `by`, `keep`.
#[derive(Debug, Clone)]
pub struct Previous {
    /// New columns, and the columns of the row before that they show.
    pub columns: Vec<(Spanned<String>, Spanned<String>)>,
    /// The key whose rows follow one another.
    pub by: Vec<Spanned<String>>,
    /// How far behind the watermark a row may come and still be put in its place; rows that come
    /// later are dead letters.
    pub keep: Duration,
}

/// `sample = "1mo"`, `by`.
#[derive(Debug, Clone)]
pub struct Sample {
    /// How often.
    pub every: Period,
    /// The key of the records.
    pub by: Vec<Spanned<String>>,
}

/// `shares = { NAME = "share(col)" }`, `of`.
#[derive(Debug, Clone)]
pub struct Shares {
    /// What is computed, in the order of the file.
    pub shares: Vec<Share>,
    /// Rows of one window that are equal in these are a group; none: all rows of a window.
    pub of: Vec<Spanned<String>>,
}

/// One `NAME = "function(column)"` of a `shares` step.
#[derive(Debug, Clone)]
pub struct Share {
    /// The new column.
    pub name: Spanned<String>,
    /// What is computed.
    pub function: ShareOf,
    /// Of which column.
    pub column: Spanned<String>,
}

/// What a `shares` step computes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareOf {
    /// The row's value over the group's total.
    Share,
    /// The group's total.
    Total,
    /// The sum of the squares of the group's shares.
    Hhi,
    /// The largest share of the group.
    Top,
}
keywords!(ShareOf { "share" => Share, "total" => Total, "hhi" => Hhi, "top" => Top });

/// `aggregate = { NAME = "sum(col)" }`, `by`, `totals`, `windows`, `results`, `keep`.
#[derive(Debug, Clone)]
pub struct Aggregation {
    /// What is computed, in the order of the file: `count`, `sum`, `avg`, `min` and `max`.
    pub aggregates: Vec<Feature>,
    /// The key. Null is a value like others.
    pub by: Vec<Spanned<String>>,
    /// Columns of the key, each with a name under which every row counts too.
    pub totals: Vec<(Spanned<String>, Spanned<String>)>,
    /// The kinds of windows, at least one.
    pub windows: Vec<Spanned<WindowEvery>>,
    /// When windows leave.
    pub results: Results,
    /// How long after its end a window still takes late rows; rows that come later are dead
    /// letters.
    pub keep: Duration,
}

/// One of `windows`.
#[derive(Debug, Clone)]
pub struct WindowEvery {
    /// As written, spaces made single: what the column `window` says.
    pub label: String,
    /// From where to where they go.
    pub extent: WindowExtent,
}

/// From where to where windows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowExtent {
    /// `30d by 1d`: so many steps long, one every step.
    Steps {
        /// From one's start to the next one's.
        step: Period,
        /// At least one.
        count: u64,
    },
    /// `always by 1d`: from the beginning of time, one every step.
    Always {
        /// From one's end to the next one's.
        step: Period,
    },
    /// `session 30m`: rows of a key that are less than the gap apart.
    Session {
        /// The gap.
        gap: Duration,
    },
}

/// The longest month.
const MONTH_MAX: Duration = Duration::from_secs(31 * 86_400);

impl WindowExtent {
    /// The length of a window, at most; none of windows without a start.
    pub fn length(self) -> Duration {
        match self {
            Self::Steps { step: Period::Time(step), count } => {
                step.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
            }
            Self::Steps { step: Period::Months(months), count } => MONTH_MAX
                .saturating_mul(months.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))),
            Self::Always { .. } => Duration::ZERO,
            Self::Session { gap } => gap,
        }
    }
}

/// A stretch of time, the first of which began with 1970: a whole number of microseconds, or of
/// calendar months, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Such as `1d`.
    Time(Duration),
    /// Such as `1mo`, `1q`, `1y`.
    Months(u32),
}

/// When the windows of an `aggregate` step leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    /// With every epoch those that it changed, and once more when they are final.
    Changes,
    /// When they are final; and again whenever a late row changes them.
    Final,
}
keywords!(Results { "changes" => Changes, "final" => Final });

/// One `NAME = "function(column)"`.
#[derive(Debug, Clone)]
pub struct Feature {
    /// The column's name before `_<window>`.
    pub name: Spanned<String>,
    /// What is computed.
    pub aggregate: Aggregate,
    /// The place of the call.
    pub call: Sql,
}

impl Feature {
    /// The name of the column for `window`: `<name>_<window>`, or the name alone.
    pub fn column(&self, window: Option<&Window>) -> String {
        match window {
            Some(window) => format!("{}_{}", self.name.value, window.label),
            None => self.name.value.clone(),
        }
    }
}

/// An aggregate over a window, with its column.
#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    /// `count(*)`: rows.
    CountAll,
    /// `count(col)`: rows in which the column isn't null.
    Count(Spanned<String>),
    /// `sum(col)`.
    Sum(Spanned<String>),
    /// `avg(col)` or `mean(col)`.
    Mean(Spanned<String>),
    /// `min(col)`.
    Min(Spanned<String>),
    /// `max(col)`.
    Max(Spanned<String>),
    /// `stddev(col)`: the sample standard deviation, as in SQL; null for fewer than two values.
    StdDev(Spanned<String>),
    /// `count(distinct col)`.
    CountDistinct(Spanned<String>),
    /// `last(col)`: the newest value that isn't null.
    Last(Spanned<String>),
    /// `seconds_since_last()`: seconds since the key's previous row, null for its first; it has no
    /// window.
    SecondsSinceLast,
}

impl Aggregate {
    /// The column that it reads.
    pub fn input(&self) -> Option<&Spanned<String>> {
        match self {
            Self::CountAll | Self::SecondsSinceLast => None,
            Self::Count(column)
            | Self::Sum(column)
            | Self::Mean(column)
            | Self::Min(column)
            | Self::Max(column)
            | Self::StdDev(column)
            | Self::CountDistinct(column)
            | Self::Last(column) => Some(column),
        }
    }

    /// Whether there is one value per window; otherwise one per row.
    pub fn is_windowed(&self) -> bool {
        !matches!(self, Self::SecondsSinceLast)
    }

    /// Whether the column must hold numbers.
    pub fn needs_number(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Mean(_) | Self::StdDev(_))
    }

    /// Whether the column must hold numbers, times or booleans.
    pub fn needs_value(&self) -> bool {
        matches!(self, Self::Min(_) | Self::Max(_) | Self::Last(_))
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CountAll => f.write_str("count(*)"),
            Self::Count(column) => write!(f, "count({column})"),
            Self::Sum(column) => write!(f, "sum({column})"),
            Self::Mean(column) => write!(f, "avg({column})"),
            Self::Min(column) => write!(f, "min({column})"),
            Self::Max(column) => write!(f, "max({column})"),
            Self::StdDev(column) => write!(f, "stddev({column})"),
            Self::CountDistinct(column) => write!(f, "count(distinct {column})"),
            Self::Last(column) => write!(f, "last({column})"),
            Self::SecondsSinceLast => f.write_str("seconds_since_last()"),
        }
    }
}

/// A trailing window: rows with event time in (t - length, t], t being the row's own less `delay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// As written, such as `7d`: the end of the column's name.
    pub label: String,
    /// Its length, a whole number of microseconds, at least one.
    pub length: Duration,
}

/// `score = { COLUMN = "model" }` or `score = { COLUMN = { model = "model", version = "3" } }`.
#[derive(Debug, Clone)]
pub struct ScoreColumn {
    /// The new column: the probability of fraud.
    pub column: Spanned<String>,
    /// The model in the registry.
    pub model: Spanned<String>,
    /// A pinned version; `None`: the newest, and a newer one is picked up at an epoch boundary.
    pub version: Option<Spanned<String>>,
}

impl ScoreColumn {
    /// The column that says which version of the model scored the row: `<column>_model`, holding
    /// `<model>@<version>`.
    pub fn model_column(&self) -> String {
        format!("{}_model", self.column.value)
    }
}

/// `decide = { score, review, decline, reasons }`: approve below `review`, decline from `decline`,
/// review between.
#[derive(Debug, Clone)]
pub struct Decide {
    /// The column of a `score` step before this one.
    pub score: Spanned<String>,
    /// Scores from here on are reviewed. Without `review` and `decline`: from the model's own
    /// threshold.
    pub review: Option<f64>,
    /// Scores from here on are declined; `None`: none is.
    pub decline: Option<f64>,
    /// How many features are named as reasons; 0: no reasons.
    pub reasons: usize,
}

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
    Kafka(super::KafkaDestination),
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
