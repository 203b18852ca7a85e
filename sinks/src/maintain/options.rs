//! What maintenance does, and within which limits.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What maintenance does, and within which limits.
#[derive(Debug, Clone)]
pub struct MaintainOptions {
    /// The columns by which the rows of compacted files are sorted, within their partition, nulls
    /// first; those that the table lacks are left out. None: rows keep the order of the files'
    /// names, which is that of their epochs.
    pub sort_by: Vec<String>,
    /// The size that compacted files aim at, in bytes; files of at least half of it are left alone.
    pub target_file_bytes: u64,
    /// A partition with fewer files below half the target is left alone. At least 2.
    pub min_files: usize,
    /// Leaves the largest of a partition's small files out while it holds more than twice what the
    /// others hold together. Work that is done again and again then writes each row a few times
    /// only, not all rows each time.
    pub spares_large: bool,
    /// Bytes of rows that may be in memory, of all threads together; what does not fit is sorted by
    /// way of the disk.
    pub memory_bytes: usize,
    /// Threads that rewrite files, at least 1; they have the priority of the caller's.
    pub threads: usize,
    /// How long a file that a later version dropped stays, for readers of older versions; at most
    /// the table's own `delta.deletedFileRetentionDuration` (7 days unless set), after which the
    /// log forgets when it was dropped.
    pub retention: Duration,
    /// How long a file that no version names stays: a running epoch may have staged it and not
    /// named it yet.
    pub orphan_retention: Duration,
    /// Paths below the table's folder that are needed, however old: those that live epoch files
    /// name, and those that are being read.
    pub keep: HashSet<String>,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Ends the work soon after it is set; files that are not committed by then are removed.
    pub stop: Arc<AtomicBool>,
}

impl Default for MaintainOptions {
    fn default() -> Self {
        Self {
            sort_by: Vec::new(),
            target_file_bytes: 128 << 20,
            min_files: 4,
            spares_large: false,
            memory_bytes: 256 << 20,
            threads: 1,
            retention: 7 * DAY,
            orphan_retention: DAY,
            keep: HashSet::new(),
            dry_run: false,
            stop: Arc::default(),
        }
    }
}
