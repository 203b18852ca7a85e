//! The newest version of each table, with the epochs that it records; and versions before.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use riskstream_engine::ids::Epoch;
use riskstream_sinks::ActiveFile;

use crate::error::QueryError;
use crate::lake::{DeltaProvider, LakeCache, LakeLimits, LakeTable};

/// The tables of a data folder.
#[derive(Debug)]
pub(crate) struct Lakes {
    cache: LakeCache,
    /// By folder, the newest version that was asked for.
    known: Mutex<HashMap<std::path::PathBuf, Arc<Lake>>>,
}

/// A table at one version.
#[derive(Debug)]
pub(crate) struct Lake {
    table: Arc<LakeTable>,
    delivered: Mutex<HashMap<String, Epoch>>,
}

impl Lakes {
    pub(crate) fn new() -> Self {
        Self { cache: LakeCache::new(LakeLimits::default()), known: Mutex::default() }
    }

    /// The newest version of the table in a folder.
    pub(crate) async fn newest(&self, location: &Path) -> Result<Arc<Lake>, QueryError> {
        let table = self.cache.newest(location).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lake) = known.get(location).filter(|lake| Arc::ptr_eq(&lake.table, &table)) {
            return Ok(Arc::clone(lake));
        }
        let lake = Arc::new(Lake { table, delivered: Mutex::default() });
        known.insert(location.to_owned(), Arc::clone(&lake));
        Ok(lake)
    }
}

impl Lakes {
    /// The version of the table in a folder that was asked for last, which may be its newest.
    pub(crate) fn last(&self, location: &Path) -> Option<Arc<Lake>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(location).cloned()
    }
}

/// Which version of a table is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsOf {
    /// That with this number.
    Version(u64),
    /// The one that was the newest at a time, in microseconds since 1970.
    Micros(i64),
}

impl Lakes {
    /// A table as it was. Where a time is asked for, no version after `lake` is given, which is the
    /// one that is seen.
    pub(crate) async fn old(&self, lake: &Arc<Lake>, as_of: AsOf) -> Result<Arc<Lake>, QueryError> {
        let location = lake.location();
        let seen = lake.table.version;
        let version = match as_of {
            AsOf::Version(version) => version,
            AsOf::Micros(micros) => self.cache.version_at(location, micros).await?.min(seen),
        };
        if version == seen {
            return Ok(Arc::clone(lake));
        }
        let table = self.cache.at_version(location, version).await?;
        Ok(Arc::new(Lake { table, delivered: Mutex::default() }))
    }

    /// What was read so far.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> &crate::lake::ReadCounts {
        self.cache.counts()
    }
}

impl Lake {
    /// Its files.
    pub(crate) fn provider(&self) -> Arc<DeltaProvider> {
        self.table.provider()
    }

    /// What the log says of its files.
    pub(crate) fn files(&self) -> Result<Vec<ActiveFile>, QueryError> {
        Ok(self.table.snapshot.files()?)
    }

    /// Its version.
    pub(crate) fn version(&self) -> u64 {
        self.table.version
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    /// Its folder.
    pub(crate) fn location(&self) -> &Path {
        self.table.snapshot.location()
    }

    /// The last epoch that it records for an application; 0 for none.
    pub(crate) async fn delivered_through(&self, app_id: &str) -> Result<Epoch, QueryError> {
        let known = || self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(epoch) = known().get(app_id) {
            return Ok(*epoch);
        }
        // Read once for each version: a commit may record epochs of any application.
        let recorded = self.table.snapshot.delivered_through(app_id).await?;
        let epoch = Epoch(recorded.and_then(|epoch| u64::try_from(epoch).ok()).unwrap_or(0));
        known().insert(app_id.to_owned(), epoch);
        Ok(epoch)
    }
}
