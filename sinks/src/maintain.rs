//! Maintenance of one table: small files compacted, old and orphaned files removed, the log
//! checkpointed and trimmed.
//!
//! Safe beside a running pipeline: each step is a commit of its own that gives way to whoever was
//! faster, and files are removed only when no version within the retention, and nothing that waits
//! for delivery, names them.

use deltalake_core::protocol::checkpoints;
use riskstream_engine::disk::Folder;
use serde::Serialize;

use crate::checkpoint::write_checkpoint;
use crate::compact::{Compacted, compact};
use crate::error::SinkError;
use crate::maintain_options::MaintainOptions;
use crate::runtime::DeltaRuntime;
use crate::snapshot::TableSnapshot;
use crate::vacuum::{Vacuumed, vacuum};

/// What maintenance did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MaintainReport {
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
}

/// Compacts, checkpoints the log, trims it and removes old files, in this order.
///
/// # Errors
/// No table, an unreadable log or file, a full disk. Steps that were committed before the error
/// stay; rows are never lost.
pub fn maintain(
    runtime: &DeltaRuntime,
    location: impl Into<Folder>,
    options: &MaintainOptions,
) -> Result<MaintainReport, SinkError> {
    let location = &location.into();
    let compacted: Compacted = compact(runtime, location, options)?;
    if !options.dry_run {
        // Before the table is looked at, so that what is trimmed below is what this one replaces.
        write_checkpoint(runtime, location)?;
    }
    let snapshot = TableSnapshot::open(runtime, location)?;
    let mut report = MaintainReport {
        files_compacted: compacted.files_before,
        files_written: compacted.files_after,
        rows_rewritten: compacted.rows,
        bytes_before: compacted.bytes_before,
        bytes_after: compacted.bytes_after,
        groups_skipped: compacted.groups_skipped,
        version: snapshot.version(),
        ..MaintainReport::default()
    };
    if !options.dry_run {
        let removed = runtime
            .block_on(checkpoints::cleanup_metadata(snapshot.delta_table(), None))
            .map_err(SinkError::delta(location.path()))?;
        report.log_files_removed = removed as u64;
    }
    let vacuumed: Vacuumed = vacuum(runtime, &snapshot, options)?;
    report.files_removed = vacuumed.files;
    report.bytes_removed = vacuumed.bytes;
    Ok(report)
}
