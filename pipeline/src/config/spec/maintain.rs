//! `[maintain]`: how the files of tables are kept few, large and sorted.

use std::time::Duration;

/// `[maintain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintain {
    /// Whether a run does it beside its pipelines.
    pub background: bool,
    /// How long a run waits between two rounds.
    pub every: Duration,
    /// The size that compacted files aim at, in bytes.
    pub target_file: u64,
    /// A run compacts a partition once it has so many files below half of that; at least 2.
    pub small_files: usize,
    /// How long a file that a later version dropped stays.
    pub retention: Duration,
    /// Threads that rewrite files; at least 1.
    pub threads: usize,
    /// Bytes of rows that they hold in memory, all together.
    pub memory: u64,
}
