//! What a features step computes, as the configuration says it.

/// What is computed over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `count(*)`, or the values of a column that are not null. Int64.
    Count,
    /// Exact sum: Int64 of integers, Decimal128(38, s) of decimals, Float64 of floats (the float
    /// nearest to the sum). Null where it does not fit, which a dead letter says.
    Sum,
    /// Mean: Float64, the exact sum, rounded, divided once.
    Mean,
    /// Smallest value, in the column's type.
    Min,
    /// Largest value, in the column's type.
    Max,
    /// Sample standard deviation (divided by n - 1), Float64, from exact sums of values and
    /// squares, right to within 2 units in the last place; null for fewer than two values.
    StdDev,
    /// Different values, Int64. Text is told apart by its 128-bit XXH3 hash.
    Distinct,
    /// The latest value that is not null, in the column's type.
    Last,
    /// Seconds since the key's latest row before this one, Float64; null for the first. Has no
    /// window and no delay.
    SecondsSinceLast,
}

impl Function {
    /// As the configuration writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::StdDev => "stddev",
            Self::Distinct => "count distinct",
            Self::Last => "last",
            Self::SecondsSinceLast => "seconds_since_last",
        }
    }
}

/// One feature; it becomes a column per window.
#[derive(Debug, Clone)]
pub struct FeatureSpec {
    /// The column's name, before the window's label.
    pub name: String,
    /// What is computed.
    pub function: Function,
    /// Of which column; none for `count(*)` and seconds since last.
    pub column: Option<String>,
    /// A mean of nothing, instead of null.
    pub empty: Option<f64>,
}

/// A trailing window.
#[derive(Debug, Clone)]
pub struct Window {
    /// Ends the column's name, e.g. `7d`.
    pub label: String,
    /// Length in microseconds, above 0.
    pub micros: i64,
}

/// The order in which rows are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By event time, ties, source partition and offset, when the epoch closes.
    EventTime,
    /// As rows come.
    Arrival,
}

/// A features step. For a row at time `t` a window of length `w` with delay `d` holds the key's
/// rows with time in (`t-d-w`, `t-d`] that were processed before the row, and the row itself if
/// `include_current` (and `d` is 0).
#[derive(Debug, Clone)]
pub struct FeaturesSpec {
    /// The step's id.
    pub step_id: String,
    /// Key columns.
    pub by: Vec<String>,
    /// What is computed.
    pub features: Vec<FeatureSpec>,
    /// Over which windows.
    pub windows: Vec<Window>,
    /// How far back the windows end, microseconds.
    pub delay_micros: i64,
    /// Whether a row is in its own windows.
    pub include_current: bool,
    /// The order of processing.
    pub order: Order,
    /// The event time column in the input.
    pub event_time: usize,
    /// Columns that order rows of equal time.
    pub ties: Vec<usize>,
    /// Bytes of history to hold in memory, per worker, about.
    pub history_memory_bytes: usize,
}

/// Why a features step can't be built.
#[derive(Debug, thiserror::Error)]
pub enum FeaturesError {
    /// A column that is not there.
    #[error("step {step}: there is no column {column}; there are: {known}")]
    NoColumn {
        /// The step.
        step: String,
        /// The column.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// A column of a type that the function does not take.
    #[error(
        "step {step}: {function} can't be computed of column {column}, which is {found}; {advice}"
    )]
    Type {
        /// The step.
        step: String,
        /// The feature's function.
        function: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// Anything else that does not fit together.
    #[error("step {step}: {reason}")]
    Spec {
        /// The step.
        step: String,
        /// What, and what to do.
        reason: String,
    },
}
