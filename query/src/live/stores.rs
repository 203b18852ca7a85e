//! The stores of a data folder, and what was read of them.
//!
//! A statement looks at every store. What is committed stands in names: of epoch files, snapshots
//! and claims, in three folders that a commit, a snapshot, a collection and a start all change. As
//! long as [`Remembered`] knows that none of them has, nor the store's identity, they are not
//! listed: of a store that rests, four looks at the disk are left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{EpochName, Origin};
use riskstream_engine::store::{Committed, CommittedEpoch, CommittedReader, StoreError};

use super::reached::{Reached, tables_of};
use crate::error::QueryError;
use crate::lake::{Listing, Remembered};

/// What a store says of itself, beside the folders that hold what is committed.
const IDENTITY: &str = "identity.json";

/// All stores of a folder.
#[derive(Debug)]
pub(crate) struct Stores {
    listing: Listing,
    known: Mutex<BTreeMap<String, Arc<StoreView>>>,
}

impl Stores {
    pub(crate) fn new(folder: PathBuf) -> Self {
        // Beside the stores stand files, and stores that were set aside.
        let listing = Listing::new(folder, |path: &Path| path.join(IDENTITY).is_file());
        Self { listing, known: Mutex::default() }
    }

    /// The stores that there are now, by pipeline.
    pub(crate) fn all(&self) -> Result<Vec<Arc<StoreView>>, QueryError> {
        let pipelines = self.listing.names()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |pipeline: String| {
            let view = known.entry(pipeline).or_insert_with_key(|pipeline| {
                Arc::new(StoreView::new(pipeline, &self.listing.path().join(pipeline)))
            });
            Arc::clone(view)
        };
        Ok(pipelines.into_iter().map(view).collect())
    }

    /// How far each pipeline is, now; those are left out whose store can't be read.
    pub(super) fn newest(&self) -> Result<BTreeMap<String, Reached>, QueryError> {
        let mut newest = BTreeMap::new();
        for store in self.all()? {
            match store.reached() {
                Ok(reached) => {
                    store.tell(None);
                    newest.insert(store.pipeline().to_owned(), reached);
                }
                Err(error) => store.tell(Some(&error.into())),
            }
        }
        Ok(newest)
    }
}

/// Of what a store says where its rows go.
pub(super) enum Found {
    /// This.
    Origin(Arc<Origin>),
    /// It holds no epoch.
    Nothing,
    /// Its last epoch is gone since it was looked at.
    Gone,
}

/// One store. Epochs that were read are kept until tables have them.
#[derive(Debug)]
pub(crate) struct StoreView {
    pipeline: String,
    reader: CommittedReader,
    /// What decides what is committed.
    paths: [PathBuf; 4],
    committed: Remembered<Committed>,
    read: Mutex<BTreeMap<EpochName, Arc<CommittedEpoch>>>,
    /// The newest snapshot that was read.
    snapshot: Mutex<Option<(EpochName, Arc<CommittedEpoch>)>>,
    /// Where its rows went when that was read last.
    origin: Mutex<Option<Arc<Origin>>>,
    /// Whether the log was told of trouble that it has.
    is_in_trouble: AtomicBool,
}

impl StoreView {
    fn new(pipeline: &str, root: &Path) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            reader: CommittedReader::new(root),
            paths: [IDENTITY, "generations", "epochs", "snapshots"].map(|name| root.join(name)),
            committed: Remembered::default(),
            read: Mutex::default(),
            snapshot: Mutex::default(),
            origin: Mutex::default(),
            is_in_trouble: AtomicBool::new(false),
        }
    }

    pub(crate) fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// What is committed now.
    pub(crate) fn look(&self) -> Result<Committed, StoreError> {
        self.committed.get(&self.paths, || self.looked())
    }

    fn looked(&self) -> Result<Committed, StoreError> {
        match self.reader.look() {
            // Its tables stay readable, by themselves: what waits there another version delivers.
            Err(error @ StoreError::OtherVersion { .. }) => {
                tracing::warn!(%error, "rows that this store has not delivered are not shown");
                Ok(Committed::default())
            }
            looked => Ok(looked?.unwrap_or_default()),
        }
    }

    fn read(&self) -> MutexGuard<'_, BTreeMap<EpochName, Arc<CommittedEpoch>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An epoch; none where its file is gone.
    pub(crate) fn epoch(
        &self,
        name: &EpochName,
    ) -> Result<Option<Arc<CommittedEpoch>>, StoreError> {
        if let Some(epoch) = self.read().get(name) {
            return Ok(Some(Arc::clone(epoch)));
        }
        let Some(epoch) = self.reader.epoch(name)?.map(Arc::new) else { return Ok(None) };
        self.read().insert(*name, Arc::clone(&epoch));
        Ok(Some(epoch))
    }

    /// What a snapshot says of the sinks; none where its file is gone.
    pub(crate) fn snapshot(&self, name: &EpochName) -> Option<Arc<CommittedEpoch>> {
        let mut known = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, snapshot)) = known.as_ref().filter(|(of, _)| of == name) {
            return Some(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(self.reader.snapshot(name)?);
        *known = Some((*name, Arc::clone(&snapshot)));
        Some(snapshot)
    }

    /// Where its rows go, as its last epoch says, or a snapshot where there is none.
    pub(super) fn origin(
        &self,
        committed: &Committed,
        snapshot: Option<&CommittedEpoch>,
    ) -> Result<Found, StoreError> {
        let last = match committed.epochs.last().map(|name| self.epoch(name)) {
            Some(Ok(Some(last))) => Some(last),
            Some(Ok(None)) => return Ok(Found::Gone),
            // The newest file alone can be torn by a loss of power: it was never committed.
            Some(Err(StoreError::Damaged { .. })) | None => None,
            Some(Err(error)) => return Err(error),
        };
        let Some(epoch) = last.as_deref().or(snapshot) else { return Ok(Found::Nothing) };
        let origin = Arc::clone(&epoch.origin);
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&origin));
        Ok(Found::Origin(origin))
    }

    /// How far its pipeline is, now.
    fn reached(&self) -> Result<Reached, StoreError> {
        let committed = self.look()?;
        let snapshot = committed.snapshot.as_ref().and_then(|name| self.snapshot(name));
        let found = self.origin(&committed, snapshot.as_deref())?;
        Ok(match found {
            Found::Origin(origin) => Reached::new(committed.newest(), Some(&origin)),
            Found::Nothing => Reached::new(committed.newest(), None),
            Found::Gone => {
                let known = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
                Reached::new(committed.newest(), known.as_deref())
            }
        })
    }

    /// Whether rows of it go to one of some tables, as was read of it last; none where nothing was.
    pub(super) fn writes(&self, is_one: impl Fn(&str) -> bool) -> Option<bool> {
        let origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        origin.as_ref().map(|origin| tables_of(origin).any(is_one))
    }

    /// Has the log tell of trouble that it has, or that it has none any more, once.
    pub(super) fn tell(&self, trouble: Option<&QueryError>) {
        let was = self.is_in_trouble.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(error) if !was => {
                let pipeline = &self.pipeline;
                tracing::error!(pipeline, %error, "a store can't be read, which others are not");
            }
            Some(_) | None => {}
        }
    }

    /// Forgets what was read of epochs through `landed`, which the tables that were asked for have.
    pub(crate) fn forget_before(&self, landed: Epoch) {
        let mut read = self.read();
        while read.first_key_value().is_some_and(|(name, _)| name.epoch < landed) {
            read.pop_first();
        }
    }

    /// Takes what was seen for what has been there for long.
    #[cfg(test)]
    pub(super) fn rest(&self, committed: Committed) {
        self.committed.settle(&self.paths, committed);
    }
}
