//! Limits of maintenance.

use std::collections::HashSet;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What maintenance does, and within which limits.
#[derive(Debug, Clone)]
pub struct MaintainOptions {
    /// The size that compacted files aim at; files of at least three quarters of it are left alone.
    pub target_file_bytes: u64,
    /// A partition with fewer small files is left alone. At least 2.
    pub min_files: usize,
    /// How long a file that a later version dropped stays, for readers of older versions; at most
    /// the table's own `delta.deletedFileRetentionDuration` (7 days unless set), after which the
    /// log forgets when it was dropped.
    pub retention: Duration,
    /// How long a file that no version names stays: a running epoch may have staged it and not
    /// named it yet.
    pub orphan_retention: Duration,
    /// Paths below the table's folder that wait for delivery, however old: those that live epoch
    /// files name.
    pub keep: HashSet<String>,
    /// Only report what would be done.
    pub dry_run: bool,
}

impl Default for MaintainOptions {
    fn default() -> Self {
        Self {
            target_file_bytes: 128 << 20,
            min_files: 4,
            retention: 7 * DAY,
            orphan_retention: DAY,
            keep: HashSet::new(),
            dry_run: false,
        }
    }
}
