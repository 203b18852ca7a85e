//! Tables as they are kept between queries: the newest version of each, with its files prepared,
//! and the footers of their files. [`older`](super::older) has the versions before.
//!
//! ```text
//!   newest(folder) ─▶ is there a commit after the version at hand?  (one look at the disk)
//!                       no ─▶ that version
//!                      yes ─▶ one at a time: read the commits since, keep what is known of files
//! ```
//! Invariants:
//! - What is served of a table is never older than what was served of it before.
//! - Of the files that two versions share, bounds are read once; of a file that stays in memory,
//!   the footer too.
//! - Of a version at hand neither the log nor a footer is read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider as _;
use riskstream_sinks::TableSnapshot;

use super::footers::{Footers, ReadCounts};
use super::kept::Kept;
use super::provider::DeltaProvider;
use crate::error::QueryError;

/// What tables may take of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LakeLimits {
    /// Bytes of footers.
    pub footer_bytes_max: usize,
    /// Tables of which the newest version is kept; beyond it, those used longest ago go.
    pub tables_max: usize,
    /// Old versions that are kept, of all tables together.
    pub versions_max: usize,
}

impl Default for LakeLimits {
    fn default() -> Self {
        Self { footer_bytes_max: 128 << 20, tables_max: 1000, versions_max: 16 }
    }
}

/// A table at one version, ready to be queried.
#[derive(Debug)]
pub struct LakeTable {
    /// What its log says.
    pub snapshot: TableSnapshot,
    /// The version.
    pub version: u64,
    /// Its columns, partition columns last.
    pub schema: SchemaRef,
    provider: Arc<DeltaProvider>,
}

impl LakeTable {
    fn new(
        snapshot: TableSnapshot,
        before: Option<&Self>,
        footers: &Arc<Footers>,
    ) -> Result<Self, QueryError> {
        let before = before.map(|before| before.provider.as_ref());
        let provider = DeltaProvider::after(&snapshot, before, Arc::clone(footers))?;
        let provider = Arc::new(provider);
        Ok(Self { version: snapshot.version(), schema: provider.schema(), snapshot, provider })
    }

    /// Where the files are that this version has and `other` has not.
    pub(super) fn files_not_of(&self, other: &Self) -> Vec<PathBuf> {
        let location = self.snapshot.location();
        let files = self.provider.table.files_not_of(&other.provider.table);
        files.map(|path| location.join(path)).collect()
    }

    /// What reads its rows.
    #[must_use]
    pub fn provider(&self) -> Arc<DeltaProvider> {
        Arc::clone(&self.provider)
    }
}

/// The tables of a service.
#[derive(Debug)]
pub struct LakeCache {
    limits: LakeLimits,
    footers: Arc<Footers>,
    tables: Mutex<Tables>,
    pub(super) older: Kept<LakeTable>,
}

#[derive(Debug, Default)]
struct Tables {
    by_folder: HashMap<PathBuf, Arc<Slot>>,
    /// Counts uses, to know those used longest ago.
    uses: u64,
}

#[derive(Debug, Default)]
struct Slot {
    newest: Mutex<Option<Arc<LakeTable>>>,
    /// Held by who reads the log.
    refresh: tokio::sync::Mutex<()>,
    used: Mutex<u64>,
}

impl Slot {
    fn newest(&self) -> Option<Arc<LakeTable>> {
        locked(&self.newest).clone()
    }

    /// The table at hand, if its log has nothing newer.
    fn current(&self, location: &Path) -> Option<Arc<LakeTable>> {
        self.newest().filter(|table| !has_newer(location, table.version))
    }
}

/// Whatever a thread has left that panicked is whole: values are replaced, not changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of a version's commit.
pub(super) fn commit_path(location: &Path, version: u64) -> PathBuf {
    location.join("_delta_log").join(format!("{version:020}.json"))
}

/// Whether the log has another commit. Where the version's own commit is gone too, the log was
/// trimmed in the meantime, and only reading it tells.
fn has_newer(location: &Path, version: u64) -> bool {
    commit_path(location, version + 1).exists() || !commit_path(location, version).exists()
}

impl LakeCache {
    /// With nothing in it yet.
    #[must_use]
    pub fn new(limits: LakeLimits) -> Self {
        let footers = Arc::new(Footers::new(limits.footer_bytes_max));
        let older = Kept::new(limits.versions_max);
        Self { limits, footers, tables: Mutex::default(), older }
    }

    /// What was read of files through this cache.
    #[must_use]
    pub fn counts(&self) -> &Arc<ReadCounts> {
        self.footers.counts()
    }

    /// A table's newest version.
    ///
    /// # Errors
    /// There is no table, or its log can't be read.
    pub async fn newest(&self, location: &Path) -> Result<Arc<LakeTable>, QueryError> {
        let slot = self.slot(location);
        if let Some(table) = slot.current(location) {
            return Ok(table);
        }
        let _turn = slot.refresh.lock().await;
        // Whoever had the turn before may have read what is wanted.
        if let Some(table) = slot.current(location) {
            return Ok(table);
        }
        let before = slot.newest();
        self.counts().count_log();
        let snapshot = match &before {
            Some(before) => before.snapshot.newer_async().await?,
            None => TableSnapshot::open_async(location).await?,
        };
        if let Some(before) = before.as_ref().filter(|before| before.version >= snapshot.version())
        {
            return Ok(Arc::clone(before));
        }
        let table = Arc::new(LakeTable::new(snapshot, before.as_deref(), &self.footers)?);
        *locked(&slot.newest) = Some(Arc::clone(&table));
        Ok(table)
    }

    /// A version that was read from the log, with what is known of the files that it shares with
    /// the newest one.
    pub(super) fn with_files_of(
        &self,
        snapshot: TableSnapshot,
        newest: &LakeTable,
    ) -> Result<Arc<LakeTable>, QueryError> {
        Ok(Arc::new(LakeTable::new(snapshot, Some(newest), &self.footers)?))
    }

    fn slot(&self, location: &Path) -> Arc<Slot> {
        let mut tables = locked(&self.tables);
        tables.uses += 1;
        let uses = tables.uses;
        if !tables.by_folder.contains_key(location)
            && tables.by_folder.len() >= self.limits.tables_max
        {
            // One that is being read goes on for those who wait for it.
            let longest_ago = tables.by_folder.iter().min_by_key(|(_, slot)| *locked(&slot.used));
            if let Some(folder) = longest_ago.map(|(folder, _)| folder.clone()) {
                tables.by_folder.remove(&folder);
            }
        }
        let slot = Arc::clone(tables.by_folder.entry(location.to_owned()).or_default());
        *locked(&slot.used) = uses;
        slot
    }
}
