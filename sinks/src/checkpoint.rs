//! Log checkpoints: a table's log as one Parquet file, where readers begin.
//!
//! A checkpoint names every file of the table, so writing one costs as much as the table has files.
//! They are therefore spaced by what the last one held: a table that is written for months spends
//! the same on them per commit as a new one, and a reader never has more than
//! [`COMMITS_BETWEEN_MAX`] commits to read after one.

use std::io::ErrorKind;

use delta_kernel::Snapshot;
use deltalake_core::DeltaTableError;
use riskstream_engine::disk::Folder;
use serde_json::Value;

use crate::error::SinkError;
use crate::log::{entries, log_folder};
use crate::runtime::DeltaRuntime;
use crate::snapshot::table_builder;
use crate::stage::sync_path;
use crate::watch::reread;

/// After a checkpoint that held so many actions, one more commit is made before the next.
const ACTIONS_PER_COMMIT: u64 = 20;
/// Commits between two checkpoints, however large the table.
const COMMITS_BETWEEN_MAX: u64 = 500;

/// The newest log checkpoint, as the log's hint file tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastCheckpoint {
    /// The version that it is of.
    pub(crate) version: u64,
    /// The actions in it: files of the table, files that were removed lately, and a few more.
    actions: u64,
}

/// Reads the hint; none where there is no checkpoint.
pub(crate) fn last_checkpoint(table: &Folder) -> Result<Option<LastCheckpoint>, SinkError> {
    let path = log_folder(table).join("_last_checkpoint");
    let bytes = match table.disk().read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SinkError::io("read", &path)(error)),
    };
    // A broken hint is no error: readers list the folder then, and so would the next open.
    let hint: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let number = |name| hint.get(name).and_then(Value::as_u64);
    let actions = number("size").unwrap_or(0);
    Ok(number("version").map(|version| LastCheckpoint { version, actions }))
}

/// Whether the log should get a checkpoint at a version: at least `commits_min` after the last one.
pub(crate) fn is_due(last: Option<LastCheckpoint>, version: u64, commits_min: u64) -> bool {
    let (last_version, actions) = last.map_or((0, 0), |last| (last.version, last.actions));
    let commits_min = commits_min.max(1);
    let commits =
        (actions / ACTIONS_PER_COMMIT).clamp(commits_min, COMMITS_BETWEEN_MAX.max(commits_min));
    version.saturating_sub(last_version) >= commits
}

/// Writes a checkpoint of the newest version, and makes it durable. The log is read file by file:
/// there is no list of the table's files in memory.
///
/// # Errors
/// The log can't be read or the checkpoint can't be written; the table is unchanged.
pub(crate) fn write_checkpoint(runtime: &DeltaRuntime, table: &Folder) -> Result<(), SinkError> {
    let version = reread(table, || {
        let builder = table_builder(table)?;
        let version = runtime.block_on(async move {
            let log = builder.build()?.log_store();
            let (engine, root) = (log.engine(None), log.transaction_url(None)?);
            let written = tokio::task::spawn_blocking(move || {
                let snapshot = Snapshot::builder_for(root).build(engine.as_ref())?;
                snapshot.checkpoint(engine.as_ref(), None)?;
                Ok::<_, DeltaTableError>(snapshot.version())
            });
            written.await.map_err(|error| DeltaTableError::Generic(error.to_string()))?
        });
        version.map_err(SinkError::delta::<DeltaTableError>(table.path()))
    })?;
    sync_checkpoint(table, version)
}

/// Syncs a checkpoint's files and the log folder.
fn sync_checkpoint(table: &Folder, version: u64) -> Result<(), SinkError> {
    let folder = log_folder(table);
    let prefix = format!("{version:020}.checkpoint");
    for entry in entries(table)? {
        if entry.name.starts_with(&prefix) || entry.name == "_last_checkpoint" {
            sync_path(table.disk().as_ref(), &folder.join(&entry.name))?;
        }
    }
    sync_path(table.disk().as_ref(), &folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_spaced_by_what_the_last_one_held() {
        let after = |actions| {
            let last = Some(LastCheckpoint { version: 1_000, actions });
            (1_000..3_000).find(|version| is_due(last, *version, 50)).expect("one is due")
        };
        assert_eq!(after(0), 1_050);
        assert_eq!(after(1_000), 1_050, "a small table's come as often as is set");
        assert_eq!(after(4_000), 1_200);
        assert_eq!(after(10_000_000), 1_500, "and a large one's not too rarely for its readers");
        assert!(!is_due(None, 49, 50) && is_due(None, 50, 50));
        assert!(is_due(None, 1, 0), "of nothing between them there is one each commit");
        assert!(is_due(None, 700, 700) && !is_due(None, 699, 700), "what is set counts");
    }

    #[test]
    fn the_hint_of_another_program_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let table: Folder = folder.path().into();
        std::fs::create_dir(folder.path().join("_delta_log")).expect("made");
        assert_eq!(last_checkpoint(&table).expect("read"), None);
        let hints = [
            (
                r#"{"version":7,"size":3,"sizeInBytes":9}"#,
                Some(LastCheckpoint { version: 7, actions: 3 }),
            ),
            (r#"{"version":7,"size":-1}"#, Some(LastCheckpoint { version: 7, actions: 0 })),
            (r#"{"vers"#, None),
        ];
        for (hint, expected) in hints {
            std::fs::write(folder.path().join("_delta_log/_last_checkpoint"), hint)
                .expect("written");
            assert_eq!(last_checkpoint(&table).expect("read"), expected, "{hint}");
        }
    }
}
