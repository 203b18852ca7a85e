//! The parts of maintenance, together and one by one.

use deltalake_core::protocol::checkpoints;
use riskstream_engine::disk::Folder;

use super::compact::compact;
use super::options::MaintainOptions;
use super::report::MaintainReport;
use super::vacuum::vacuum;
use crate::checkpoint::write_checkpoint;
use crate::error::SinkError;
use crate::runtime::DeltaRuntime;
use crate::snapshot::TableSnapshot;

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
    let mut report = compact(runtime, location, options)?;
    if !options.dry_run {
        // Before the table is looked at, so that what is trimmed is what this one replaces.
        write_checkpoint(runtime, location)?;
    }
    if report.stopped {
        tell_size(&TableSnapshot::open(runtime, location)?, &mut report)?;
    } else {
        clean(runtime, location, options, &mut report)?;
    }
    Ok(report)
}

/// Compacts, and checkpoints the log where that changed anything.
///
/// # Errors
/// As [`maintain`].
pub fn compact_table(
    runtime: &DeltaRuntime,
    location: impl Into<Folder>,
    options: &MaintainOptions,
) -> Result<MaintainReport, SinkError> {
    let location = &location.into();
    let mut report = compact(runtime, location, options)?;
    if report.files_compacted > 0 && !options.dry_run {
        write_checkpoint(runtime, location)?;
    }
    tell_size(&TableSnapshot::open(runtime, location)?, &mut report)?;
    Ok(report)
}

/// Trims the log and removes old files.
///
/// # Errors
/// As [`maintain`].
pub fn clean_table(
    runtime: &DeltaRuntime,
    location: impl Into<Folder>,
    options: &MaintainOptions,
) -> Result<MaintainReport, SinkError> {
    let mut report = MaintainReport::default();
    clean(runtime, &location.into(), options, &mut report)?;
    Ok(report)
}

fn clean(
    runtime: &DeltaRuntime,
    location: &Folder,
    options: &MaintainOptions,
    report: &mut MaintainReport,
) -> Result<(), SinkError> {
    let snapshot = TableSnapshot::open(runtime, location)?;
    tell_size(&snapshot, report)?;
    if !options.dry_run {
        let removed = runtime
            .block_on(checkpoints::cleanup_metadata(snapshot.delta_table(), None))
            .map_err(SinkError::delta(location.path()))?;
        report.log_files_removed = removed as u64;
    }
    let vacuumed = vacuum(runtime, &snapshot, options)?;
    report.files_removed = vacuumed.files;
    report.bytes_removed = vacuumed.bytes;
    Ok(())
}

fn tell_size(snapshot: &TableSnapshot, report: &mut MaintainReport) -> Result<(), SinkError> {
    let files = snapshot.files()?;
    report.version = snapshot.version();
    report.files = files.len() as u64;
    report.bytes = files.iter().map(|file| file.bytes).sum();
    Ok(())
}
