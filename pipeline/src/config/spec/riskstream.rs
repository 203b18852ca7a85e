//! `[riskstream]`: what the program as a whole does.

use std::path::PathBuf;
use std::time::Duration;

use super::service::Log;
use crate::config::span::Spanned;

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
    /// How events are written.
    pub log: Log,
    /// When an epoch closes.
    pub epoch: EpochLimits,
    /// Epochs that may be closed and not committed yet; at least 1.
    pub in_flight_epochs: usize,
    /// The least number of epochs between two snapshots; at least 1.
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
    /// Rows of a pipeline's source that fill an epoch.
    pub rows: u64,
    /// Arrow bytes of decoded rows that fill an epoch.
    pub bytes: u64,
}
