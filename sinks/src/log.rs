//! Commits to a Delta log on a local folder: put if absent, and on disk before anyone is told.
//!
//! deltalake's own commit does not sync, and resolves conflicts by itself, under which a repeated epoch slips through (see
//! docs of [`crate::DeltaTableWriter`]). Here a commit is one link to a synced file: it lands whole or not at all, and a
//! taken version is the caller's to look at.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use deltalake_core::kernel::Action;
use deltalake_core::kernel::Transaction;
use deltalake_core::kernel::transaction::CommitData;
use deltalake_core::protocol::DeltaOperation;
use serde_json::{Map, Value};

use crate::error::SinkError;
use crate::stage::sync_path;

/// Whether a commit took its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The commit is on disk at this version.
    Landed,
    /// Another commit has this version.
    Taken,
}

/// Digits of a version in a file's name.
const VERSION_DIGITS: usize = 20;

/// The folder of a table's log.
pub(crate) fn log_folder(table_root: &Path) -> PathBuf {
    table_root.join("_delta_log")
}

/// The lines of a commit file.
pub(crate) fn commit_bytes(
    actions: Vec<Action>,
    operation: DeltaOperation,
    metadata: Map<String, Value>,
    transactions: Vec<Transaction>,
) -> Result<Vec<u8>, SinkError> {
    let data = CommitData::new(actions, operation, metadata.into_iter().collect(), transactions);
    let mut bytes = Vec::new();
    for action in &data.actions {
        if !bytes.is_empty() {
            bytes.push(b'\n');
        }
        // Written here, not by its `get_bytes`: that crate is compiled unoptimised, and the statistics of a large epoch's files are megabytes.
        serde_json::to_writer(&mut bytes, action)?;
    }
    Ok(bytes)
}

/// The file of a version's commit.
fn commit_path(table_root: &Path, version: u64) -> PathBuf {
    log_folder(table_root).join(format!("{version:020}.json"))
}

/// Whether the log holds a commit of this version.
pub(crate) fn is_taken(table_root: &Path, version: u64) -> Result<bool, SinkError> {
    let path = commit_path(table_root, version);
    path.try_exists().map_err(SinkError::io("look for", &path))
}

/// Whether there is a log that holds a commit or a checkpoint: names that begin with a version.
pub(crate) fn has_entries(table_root: &Path) -> Result<bool, SinkError> {
    let folder = log_folder(table_root);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(SinkError::io("list", &folder)(error)),
    };
    for entry in entries {
        let name = entry.map_err(SinkError::io("list", &folder))?.file_name();
        let name = name.as_encoded_bytes();
        if name.len() > VERSION_DIGITS && name[..VERSION_DIGITS].iter().all(u8::is_ascii_digit) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts a commit at a version if there is none, synced. After an error the outcome is unknown: look before trying again.
pub(crate) fn put_commit(table_root: &Path, version: u64, bytes: &[u8]) -> Result<Put, SinkError> {
    let folder = log_folder(table_root);
    let target = commit_path(table_root, version);
    // The name is ours alone, so that two writers on one version do not write into the same temporary file.
    let temporary = folder.join(format!(".{version:020}.{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = File::create_new(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let outcome = match written {
        Ok(()) => match std::fs::hard_link(&temporary, &target) {
            Ok(()) => Ok(Put::Landed),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::Taken),
            Err(error) => Err(SinkError::io("commit", &target)(error)),
        },
        Err(error) => Err(SinkError::io("write", &temporary)(error)),
    };
    // A temporary file left behind is ignored by every reader and removed with the expired logs.
    let _ = std::fs::remove_file(&temporary);
    if matches!(outcome, Ok(Put::Landed)) {
        sync_path(&folder)?;
    }
    outcome
}

/// The version of the newest log checkpoint, by its hint file.
pub(crate) fn checkpoint_version(table_root: &Path) -> Result<Option<u64>, SinkError> {
    let path = log_folder(table_root).join("_last_checkpoint");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SinkError::io("read", &path)(error)),
    };
    // A broken hint is no error: readers list the folder then, and so would the next open.
    let hint: Option<Value> = serde_json::from_slice(&bytes).ok();
    Ok(hint.and_then(|hint| hint.get("version").and_then(Value::as_u64)))
}

/// Syncs a log checkpoint's files and the log folder.
pub(crate) fn sync_checkpoint(table_root: &Path, version: u64) -> Result<(), SinkError> {
    let folder = log_folder(table_root);
    let prefix = format!("{version:020}.checkpoint");
    let entries = std::fs::read_dir(&folder).map_err(SinkError::io("list", &folder))?;
    for entry in entries {
        let entry = entry.map_err(SinkError::io("list", &folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) || name == "_last_checkpoint" {
            sync_path(&entry.path())?;
        }
    }
    sync_path(&folder)
}
