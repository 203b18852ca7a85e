//! The stores of a data folder, and what was read of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::EpochName;
use riskstream_engine::store::{Committed, CommittedEpoch, CommittedReader, StoreError};

use crate::error::QueryError;

/// All stores of a folder.
#[derive(Debug)]
pub(crate) struct Stores {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Arc<StoreView>>>,
}

impl Stores {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// The stores that there are now, by pipeline.
    pub(crate) fn all(&self) -> Result<Vec<Arc<StoreView>>, QueryError> {
        let list_error = |source| QueryError::List { location: self.folder.clone(), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(list_error(e)),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(list_error)?;
            let Ok(pipeline) = entry.file_name().into_string() else { continue };
            // Beside the stores stand files, and stores that were set aside.
            if !entry.path().join("identity.json").is_file() {
                continue;
            }
            let view = known.entry(pipeline).or_insert_with_key(|pipeline| {
                let reader = CommittedReader::new(entry.path());
                Arc::new(StoreView {
                    pipeline: pipeline.clone(),
                    reader,
                    read: Mutex::default(),
                    snapshot: Mutex::default(),
                })
            });
            all.push(Arc::clone(view));
        }
        all.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
        Ok(all)
    }
}

/// One store. Epochs that were read are kept until tables have them.
#[derive(Debug)]
pub(crate) struct StoreView {
    pipeline: String,
    reader: CommittedReader,
    read: Mutex<BTreeMap<EpochName, Arc<CommittedEpoch>>>,
    /// The newest snapshot that was read.
    snapshot: Mutex<Option<(EpochName, Arc<CommittedEpoch>)>>,
}

impl StoreView {
    pub(crate) fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// What is committed now.
    pub(crate) fn look(&self) -> Result<Committed, StoreError> {
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

    /// Forgets what was read of epochs through `landed`, which the tables that were asked for have.
    pub(crate) fn forget_before(&self, landed: Epoch) {
        let mut read = self.read();
        while read.first_key_value().is_some_and(|(name, _)| name.epoch < landed) {
            read.pop_first();
        }
    }
}
