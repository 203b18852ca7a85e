//! What maintenance did.

use serde::Serialize;

/// What maintenance did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MaintainReport {
    /// The columns by which the rows of compacted files are sorted; none: they keep their order.
    pub sorted_by: Vec<String>,
    /// Small files that were replaced.
    pub files_compacted: u64,
    /// Files that replaced them.
    pub files_written: u64,
    /// Rows in these.
    pub rows_rewritten: u64,
    /// Bytes before and after compaction.
    pub bytes_before: u64,
    /// See `bytes_before`.
    pub bytes_after: u64,
    /// Groups left for the next time, because another commit removed one of their files.
    pub groups_skipped: u64,
    /// Files removed from the disk.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Expired log files removed.
    pub log_files_removed: u64,
    /// The table's version afterwards.
    pub version: u64,
    /// The files of this version.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}
