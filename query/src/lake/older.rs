//! Versions of a table before the newest: by number, or by the time at which they were the newest.
//!
//! A version is there as long as the log can tell of it and its files are on the disk. Compaction
//! and emptying take files out of a table, and maintenance removes them once nobody should need
//! them; who asks for a version that lost some is told which versions are there. That is looked at
//! each time: the files of a version that is kept in memory may be gone by the next time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use datafusion::common::DataFusionError;
use riskstream_sinks::{LogVersions, SinkError, TableSnapshot};

use super::stamp::Stamp;
use super::table::{LakeCache, LakeTable, commit_path};
use crate::error::QueryError;

impl LakeCache {
    /// A table as it was at a version.
    ///
    /// # Errors
    /// There is no such version any more, or yet, or its log can't be read.
    pub async fn at_version(
        &self,
        location: &Path,
        version: u64,
    ) -> Result<Arc<LakeTable>, QueryError> {
        let newest = self.newest(location).await?;
        if newest.version == version {
            return Ok(newest);
        }
        let commit = Stamp::of(&commit_path(location, version)).ok().flatten();
        let table = match self.older.get(location, version, commit) {
            Some(table) => table,
            None => {
                let versions = versions(location).await?;
                if version > newest.version || !versions.contains(version) {
                    return Err(no_version(location, version, versions.first, newest.version));
                }
                self.counts().count_log();
                let snapshot = TableSnapshot::open_version_async(location, version).await?;
                self.with_files_of(snapshot, &newest)?
            }
        };
        if !all_there(table.files_not_of(&newest)).await? {
            let first = self.first_there(location, version, &newest).await?;
            return Err(no_version(location, version, first, newest.version));
        }
        self.older.put(location, version, commit, &table);
        Ok(table)
    }

    /// The version that was a table's newest at a time, in microseconds since 1970.
    ///
    /// # Errors
    /// The table is younger, or its log can't be read.
    pub async fn version_at(&self, location: &Path, micros: i64) -> Result<u64, QueryError> {
        let versions = versions(location).await?;
        let of = location.to_owned();
        let look = move || match versions.at(&of, micros)? {
            Some(version) => Ok(Ok(version)),
            None => versions.first_made_at(&of).map(Err),
        };
        match blocking::<_, SinkError>(look).await? {
            Ok(version) => Ok(version),
            Err(made) => Err(refused(format!(
                "the table '{}' is not known as it was at {}: its oldest version, {}, is {}",
                name(location),
                shown(micros),
                versions.first,
                made.map_or("younger".to_owned(), |made| format!("of {}", shown(made)))
            ))),
        }
    }

    /// The first version after `gone` whose files are all there. Files are removed in the order in
    /// which versions dropped them, so that of two versions the later one lasts longer.
    async fn first_there(
        &self,
        location: &Path,
        gone: u64,
        newest: &LakeTable,
    ) -> Result<u64, QueryError> {
        let (mut low, mut high) = (gone + 1, newest.version);
        while low < high {
            let middle = low + (high - low) / 2;
            self.counts().count_log();
            let files = TableSnapshot::open_version_async(location, middle).await?.files()?;
            let paths = files.into_iter().map(|file| location.join(file.path)).collect();
            if all_there(paths).await? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }
}

/// The versions that the log can tell of.
async fn versions(location: &Path) -> Result<LogVersions, QueryError> {
    let of = location.to_owned();
    let found = blocking::<_, SinkError>(move || LogVersions::look(of)).await?;
    found.ok_or_else(|| refused(format!("the table '{}' has no version", name(location))))
}

async fn all_there(files: Vec<PathBuf>) -> Result<bool, QueryError> {
    if files.is_empty() {
        return Ok(true);
    }
    blocking(move || Ok::<_, SinkError>(files.iter().all(|file| file.is_file()))).await
}

/// Does what waits for the disk, on a thread that may.
async fn blocking<T: Send + 'static, E: Into<QueryError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, QueryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DataFusionError::External(Box::new(error)))?.map_err(Into::into)
}

fn no_version(location: &Path, version: u64, first: u64, last: u64) -> QueryError {
    let name = name(location);
    let there = match first == last {
        true => format!("there is version {first} only"),
        false => format!("there are versions {first} to {last}"),
    };
    refused(format!("the table '{name}' has no version {version}: {there}"))
}

/// An argument that is none (SQLSTATE 22023).
fn refused(said: String) -> QueryError {
    DataFusionError::Execution(said).into()
}

fn name(location: &Path) -> String {
    location.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn shown(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{micros} microseconds after 1970"),
    }
}
