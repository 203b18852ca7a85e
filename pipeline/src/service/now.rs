//! How a pipeline is at this moment: what a running program writes into the data folder each
//! second, for `riskstream top`.
//!
//! Like the samples of the last hour it is one small file per pipeline, put in place as a whole and
//! not synced. Rates are taken over the last [`RATE_SECONDS`] seconds.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Seconds from one writing to the next.
pub const EVERY_SECONDS: u64 = 1;
/// Seconds over which rates are taken.
pub const RATE_SECONDS: u64 = 5;

/// A pipeline at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Now {
    /// When this was written, microseconds since 1970.
    pub at_micros: i64,
    /// The program that runs it.
    pub program: ProgramNow,
    /// What it does.
    pub state: State,
    /// Why it has failed, or what it waits for that is away.
    pub reason: Option<String>,
    /// Threads of its dataflow.
    pub workers: usize,
    /// Rows of committed epochs, since the program started.
    pub rows: u64,
    /// The same per second.
    pub rows_per_second: f64,
    /// Rows decoded per second.
    pub read_per_second: f64,
    /// Late rows of committed epochs.
    pub late: u64,
    /// Dead letters of committed epochs.
    pub dead: u64,
    /// How often it has started again after a failure.
    pub restarts: u64,
    /// How much of its input was read, from 0 to 1; none where that has no end.
    pub read_ratio: Option<f64>,
    /// Newest event time, microseconds since 1970; none before the first row.
    pub event_time_micros: Option<i64>,
    /// The watermark, microseconds since 1970; none before the first.
    pub watermark_micros: Option<i64>,
    /// The last committed epoch.
    pub committed_epoch: u64,
    /// Seconds from an epoch's first row to its commit: the mean of the newest epochs.
    pub epoch_seconds: Option<f64>,
    /// Bytes of rows that wait for the watermark, or are in epochs that are not committed.
    pub held_bytes: u64,
    /// Bytes on disk of its store, when they were last counted.
    pub store_bytes: u64,
    /// Reading, decoding, and its steps, in order.
    pub steps: Vec<StepNow>,
    /// Its destinations, the dead letters' last.
    pub sinks: Vec<SinkNow>,
}

/// A program at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramNow {
    /// Its process.
    pub process: u32,
    /// When it started, microseconds since 1970.
    pub started_micros: i64,
    /// Whether this is the last that it has written.
    pub has_ended: bool,
    /// Memory that is in use, where the system says.
    pub memory_bytes: Option<u64>,
    /// Cores that it keeps busy, where the system says.
    pub cores: Option<f64>,
}

/// What a pipeline does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It restores its state, or waits for a source or a destination before it can read.
    Starts,
    /// It reads.
    Runs,
    /// It has failed, and will start again.
    StartsAgain,
    /// It has failed for good.
    Failed,
    /// Its input has ended, or it was stopped.
    Ended,
}

/// A step, over all workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepNow {
    /// Its id.
    pub step: String,
    /// Rows that come in, per second.
    pub rows_in_per_second: f64,
    /// Rows that leave, per second.
    pub rows_out_per_second: f64,
    /// How busy its threads are with it, from 0 to 1.
    pub busy: f64,
    /// Memory that its state takes.
    pub state_bytes: u64,
    /// Rows that it made dead letters.
    pub errors: u64,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinkNow {
    /// Its id.
    pub sink: String,
    /// Rows of committed epochs for it, per second.
    pub rows_per_second: f64,
    /// How busy the workers are with making its rows ready, from 0 to 1.
    pub busy: f64,
    /// Deliveries per second.
    pub deliveries_per_second: f64,
    /// Seconds that one takes: the mean of the newest.
    pub delivery_seconds: Option<f64>,
    /// The last epoch that it has.
    pub delivered_epoch: u64,
    /// Committed epochs that it does not have yet.
    pub epochs_waiting: u64,
    /// Where it is away: since when, and why.
    pub away: Option<AwayNow>,
}

/// A destination that is away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwayNow {
    /// Since when, microseconds since 1970.
    pub since_micros: i64,
    /// How often it was tried.
    pub tried: u64,
    /// What came of that.
    pub reason: String,
}

impl Now {
    /// What was last written of a pipeline; none where no program has, or it can't be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}
