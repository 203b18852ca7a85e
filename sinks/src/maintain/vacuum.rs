//! Removal of files that nothing names any more: dropped by a later version longer ago than the
//! retention, or never committed.
//!
//! deltalake's own vacuum cannot be told of files that wait for delivery, and would remove them
//! once old enough, so this one starts from the log's state and the caller's list. It removes
//! nothing it is not sure of: on any doubt the file stays.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use riskstream_engine::disk::Folder;

use super::names::is_removable;
use super::options::MaintainOptions;
use crate::error::SinkError;
use crate::runtime::DeltaRuntime;
use crate::snapshot::TableSnapshot;
use crate::stage::sync_path;

/// What was removed, or would be.
#[derive(Debug, Default)]
pub(super) struct Vacuumed {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

pub(super) fn vacuum(
    runtime: &DeltaRuntime,
    snapshot: &TableSnapshot,
    options: &MaintainOptions,
) -> Result<Vacuumed, SinkError> {
    let location = snapshot.folder();
    let disk = location.disk().as_ref();
    // The files are listed before the newest log is read: a file committed in between is then seen
    // as active.
    let mut found = Vec::new();
    list_data_files(location, location.path(), &mut found)?;
    let newest = TableSnapshot::open(runtime, location)?;
    let active: HashSet<String> = newest.files()?.into_iter().map(|file| file.path).collect();
    let dropped_at = tombstones(runtime, &newest)?;
    let now = SystemTime::now();

    let mut report = Vacuumed::default();
    let mut folders = HashSet::new();
    for file in found {
        let age = age_of(&file, dropped_at.get(&file.path).copied(), now);
        let retention = if dropped_at.contains_key(&file.path) {
            options.retention
        } else {
            options.orphan_retention
        };
        let needed = active.contains(&file.path) || options.keep.contains(&file.path);
        if needed || age.is_none_or(|age| age < retention) {
            continue;
        }
        if options.stop.load(Ordering::Relaxed) {
            break;
        }
        report.files += 1;
        report.bytes += file.bytes;
        if !options.dry_run {
            let path = location.join(&file.path);
            disk.remove(&path).map_err(SinkError::io("remove", &path))?;
            folders.extend(path.parent().map(Path::to_owned));
        }
    }
    for folder in folders {
        sync_path(disk, &folder)?;
    }
    Ok(report)
}

struct FoundFile {
    path: String,
    bytes: u64,
    modified: Option<SystemTime>,
}

/// How long a file has been unneeded: since its tombstone, or else since it was written. `None` if
/// that can't be told.
fn age_of(file: &FoundFile, dropped_at_ms: Option<i64>, now: SystemTime) -> Option<Duration> {
    let since = match dropped_at_ms {
        Some(millis) => SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).ok()?),
        None => file.modified?,
    };
    now.duration_since(since).ok()
}

/// When files were dropped, milliseconds since 1970. One without a time counts as never named, by
/// its own age.
fn tombstones(
    runtime: &DeltaRuntime,
    snapshot: &TableSnapshot,
) -> Result<HashMap<String, i64>, SinkError> {
    let location = snapshot.location();
    let table = snapshot.delta_table();
    let state = table.snapshot().map_err(SinkError::delta(location))?;
    let log_store = table.log_store();
    runtime.block_on(async {
        state
            .all_tombstones(log_store.as_ref())
            .try_filter_map(|view| {
                let dropped = view.deletion_timestamp().map(|at| (view.path().into_owned(), at));
                std::future::ready(Ok(dropped))
            })
            .try_collect()
            .await
            .map_err(SinkError::delta(location))
    })
}

/// Data files below a folder, and what a sort has left; names that start with `_` or `.` (the log,
/// temporary files) are not looked at.
fn list_data_files(
    root: &Folder,
    folder: &Path,
    found: &mut Vec<FoundFile>,
) -> Result<(), SinkError> {
    for entry in root.disk().list(folder).map_err(SinkError::io("list", folder))? {
        if entry.name.starts_with(['_', '.']) {
            continue;
        }
        let path = folder.join(&entry.name);
        if entry.is_folder {
            list_data_files(root, &path, found)?;
        } else if is_removable(&entry.name) {
            let Some(relative) = path.strip_prefix(root.path()).ok().and_then(Path::to_str) else {
                continue;
            };
            // One that is gone by now has nothing left to remove.
            let Some(file) = root.disk().look(&path).map_err(SinkError::io("look at", &path))?
            else {
                continue;
            };
            let path = relative.replace(std::path::MAIN_SEPARATOR, "/");
            found.push(FoundFile { path, bytes: file.bytes, modified: file.modified });
        }
    }
    Ok(())
}
