//! Commits to a Delta log on a local folder: put if absent, and on disk before anyone is told.
//!
//! deltalake's own commit does not sync, and resolves conflicts by itself, under which a repeated
//! epoch slips through (see docs of [`crate::DeltaTableWriter`]). Here a commit is one link to a
//! synced file: it lands whole or not at all, and a taken version is the caller's to look at.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use deltalake_core::kernel::Action;
use deltalake_core::kernel::Transaction;
use deltalake_core::kernel::transaction::CommitData;
use deltalake_core::protocol::DeltaOperation;
use riskstream_engine::disk::{Entry, Folder};
use serde_json::{Map, Value};

use crate::error::SinkError;

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
        // Written here, not by its `get_bytes`: that crate is compiled unoptimised, and the
        // statistics of a large epoch's files are megabytes.
        serde_json::to_writer(&mut bytes, action)?;
    }
    Ok(bytes)
}

/// The file of a version's commit.
fn commit_path(table_root: &Path, version: u64) -> PathBuf {
    log_folder(table_root).join(format!("{version:020}.json"))
}

/// Whether the log holds a commit of this version.
pub(crate) fn is_taken(table: &Folder, version: u64) -> Result<bool, SinkError> {
    let path = commit_path(table, version);
    let found = table.disk().look(&path).map_err(SinkError::io("look for", &path))?;
    Ok(found.is_some())
}

/// Whether there is a log that holds a commit or a checkpoint: names that begin with a version.
pub(crate) fn has_entries(table: &Folder) -> Result<bool, SinkError> {
    let is_entry = |name: &[u8]| {
        name.len() > VERSION_DIGITS && name[..VERSION_DIGITS].iter().all(u8::is_ascii_digit)
    };
    Ok(entries(table)?.iter().any(|entry| is_entry(entry.name.as_bytes())))
}

/// What is in the log's folder; nothing where there is none.
pub(crate) fn entries(table: &Folder) -> Result<Vec<Entry>, SinkError> {
    let folder = log_folder(table);
    match table.disk().list(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(SinkError::io("list", &folder)),
    }
}

/// Whether the commit of a version does nothing but add files and record epochs; false where it
/// can't be told.
pub(crate) fn only_adds(table: &Folder, version: u64) -> Result<bool, SinkError> {
    consists_of(table, version, |kind, _| matches!(kind, "add" | "txn" | "commitInfo"))
}

/// Whether an append of an application may follow the commit of a version without another look at
/// the table: files come and go in it, and it records no epoch of the application; false where it
/// can't be told.
pub(crate) fn leaves_appends_be(
    table: &Folder,
    version: u64,
    app_id: &str,
) -> Result<bool, SinkError> {
    consists_of(table, version, |kind, action| match kind {
        "add" | "remove" | "commitInfo" => true,
        "txn" => action["appId"].as_str().is_some_and(|of| of != app_id),
        _ => false,
    })
}

/// Whether the actions of a version's commit are all of certain kinds.
fn consists_of(
    table: &Folder,
    version: u64,
    is_fine: impl Fn(&str, &Value) -> bool,
) -> Result<bool, SinkError> {
    let path = commit_path(table, version);
    let bytes = match table.disk().read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(SinkError::io("read", &path)(error)),
    };
    let is_fine = |line: &[u8]| {
        let action: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        !action.is_empty() && action.iter().all(|(kind, action)| is_fine(kind, action))
    };
    Ok(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).all(is_fine))
}

/// Puts a commit at a version if there is none, synced. After an error the outcome is unknown: look
/// before trying again.
pub(crate) fn put_commit(
    table: &Folder,
    version: u64,
    bytes: impl Into<Bytes>,
) -> Result<Put, SinkError> {
    let target = commit_path(table, version);
    // The name is ours alone, so that two writers on one version do not write into the same
    // temporary file. One that is left behind is ignored by every reader and removed with the
    // expired logs.
    let temporary =
        log_folder(table).join(format!(".{version:020}.{:016x}.tmp", table.disk().unique()));
    let put = table.disk().create_durably(&temporary, &target, &[bytes.into()]);
    Ok(if put.map_err(SinkError::io("commit", &target))? { Put::Landed } else { Put::Taken })
}
