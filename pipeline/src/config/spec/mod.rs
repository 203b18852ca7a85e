//! The typed form of `pipelines.toml`: plain data, every default filled in, nothing opened or
//! looked up yet.
//!
//! Paths are relative to the working directory, as the arguments of a command are. Names and
//! expressions keep their [`Span`](super::Span), so that the planner can still point at them once
//! the schema of the input is known.

mod kafka;
mod pipeline;
mod source;

pub use kafka::{
    Isolation, KafkaDestination, KafkaFormat, KafkaSource, KafkaStart, KafkaStop, MessagePart,
    Tombstones,
};
pub use pipeline::{
    Aggregate, Aggregation, Changelog, Console, Decide, Deliver, DerivedColumn, Destination,
    DestinationKind, Feature, Features, Late, Order, Partitioning, Period, Pipeline, Previous,
    Results, Sample, ScoreColumn, Share, ShareOf, Shares, Step, StepKind, TableDestination, Window,
    WindowEvery, WindowExtent,
};
pub use source::{
    Compression, CsvOptions, Debezium, Decimals, EventTime, Field, FileFormat, FileSource,
    GENERATOR_COLUMNS, GeneratorSource, Loans, MissingColumns, Payments, PostgresSource, Rate,
    Simulation, SimulationKind, Source, SourceKind, Stop, TimeFormat, Times, WhenQuiet,
};

pub(crate) use source::timestamp_type;

use std::path::PathBuf;
use std::time::Duration;

use super::span::Spanned;

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Spec {
    /// `[riskstream]`.
    pub riskstream: Riskstream,
    /// `[sources.NAME]`, in the order of the file.
    pub sources: Vec<Source>,
    /// `[pipelines.NAME]`, in the order of the file.
    pub pipelines: Vec<Pipeline>,
}

impl Spec {
    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| *source.name == name)
    }

    /// The pipeline of this name.
    pub fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.pipelines.iter().find(|pipeline| *pipeline.name == name)
    }

    /// Every Delta table that the pipelines write, in the order of the file.
    pub fn tables(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.pipelines.iter().flat_map(|pipeline| pipeline.to.iter()).filter_map(Destination::table)
    }
}

/// `[riskstream]`: what the program as a whole does.
#[derive(Debug, Clone)]
pub struct Riskstream {
    /// What status and table metadata call this program.
    pub name: Spanned<String>,
    /// The data folder: the store, the history and the tables.
    pub data: Spanned<PathBuf>,
    /// The folder of trained models.
    pub registry: Spanned<PathBuf>,
    /// Worker threads; `None` is one per core.
    pub workers: Option<Spanned<usize>>,
    /// When an epoch closes.
    pub epoch: EpochLimits,
    /// Epochs read but not committed, at least 1.
    pub in_flight_epochs: usize,
    /// Epochs between snapshots, at least 1.
    pub snapshot_every: u64,
    /// Bytes of window history that each worker keeps in memory.
    pub history_memory: u64,
    /// Bytes of a step's rows by key that each worker keeps in memory.
    pub rows_memory: u64,
    /// Bytes of staged files that may wait for destinations.
    pub staged_bytes_max: u64,
    /// Bytes of rows of one pipeline that may wait for the watermark.
    pub hold_memory: u64,
    /// Share (0 to 1) of an epoch's rows that may be dead letters before the run stops.
    pub dead_rows_max: f64,
    /// Dead rows in an epoch below which the share isn't looked at.
    pub dead_rows_min: u64,
}

/// `epoch = { min, max, rows, bytes }`: an epoch closes at the first of rows, bytes or `max`, but
/// not before `min` unless it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochLimits {
    /// An epoch stays open at least this long.
    pub min: Duration,
    /// An epoch with any row in it closes after this long.
    pub max: Duration,
    /// Rows of all sources together that fill an epoch.
    pub rows: u64,
    /// Arrow bytes of decoded rows that fill an epoch.
    pub bytes: u64,
}

/// An SQL expression as written, to be compiled by DataFusion once the schema is known.
#[derive(Debug, Clone)]
pub struct Sql {
    /// The expression, and the place of the whole TOML string.
    pub text: Spanned<String>,
    /// Offset of the expression's first byte in its origin, where the TOML string has no escapes,
    /// so that a place within the expression can be pointed at.
    pub verbatim_at: Option<u32>,
}

impl Sql {
    /// The expression.
    pub fn as_str(&self) -> &str {
        &self.text.value
    }

    /// The place of the whole expression.
    pub fn span(&self) -> super::Span {
        self.text.span
    }

    /// The place of `range` (bytes of the expression); the whole expression where the TOML string
    /// has escapes.
    pub fn span_within(&self, range: std::ops::Range<usize>) -> super::Span {
        match self.verbatim_at {
            Some(at) if range.end <= self.text.value.len() => super::Span::new(
                self.text.span.origin,
                at as usize + range.start..at as usize + range.end,
            ),
            _ => self.text.span,
        }
    }
}

/// Lists the names of an enum as the file writes them, in the order in which messages show them.
pub(crate) trait Keywords: Sized + Copy + 'static {
    /// Name and value.
    const ALL: &'static [(&'static str, Self)];
}

/// Gives an enum its names in the file, `as_str` and `Display`.
macro_rules! keywords {
    ($type:ident { $($text:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::config::spec::Keywords for $type {
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }

        impl $type {
            /// The name in `pipelines.toml`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use keywords;
