//! The snapshots that a store keeps: they are written after the history files that they name are
//! durable, and what none of them names goes.

use crate::ids::Epoch;
use crate::protocol::SNAPSHOTS_KEPT;
use crate::store::epoch_file::{EpochHeader, Section};
use crate::store::error::StoreError;
use crate::store::open::{Store, needless_files};
use crate::store::recovered::Recovered;
use arrow::error::ArrowError;
use std::collections::{BTreeMap, BTreeSet};

/// The history files that each kept snapshot names.
#[derive(Debug, Default)]
pub struct KeptSnapshots {
    files: BTreeMap<Epoch, BTreeSet<String>>,
}

impl KeptSnapshots {
    /// Those that a run finds. Takes them out of `recovered`.
    #[must_use]
    pub fn found(recovered: &mut Recovered) -> Self {
        Self { files: std::mem::take(&mut recovered.snapshots) }
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Writes a snapshot of all state as of a committed epoch; the history files that it names are
    /// durable first. Each section is asked for when those before it are written. Gives the bytes
    /// written.
    ///
    /// # Errors
    /// When it can't be written, or the first error of `sections`; the epoch stays committed.
    pub fn write(
        &mut self,
        store: &Store,
        header: &EpochHeader,
        sections: impl IntoIterator<Item = Result<Section, ArrowError>>,
    ) -> Result<u64, StoreError> {
        // Those that an earlier snapshot names are synced already.
        let synced = self.files.values().next_back();
        let new = header
            .history_files
            .iter()
            .filter(|file| synced.is_none_or(|synced| !synced.contains(*file)));
        store.sync_history(new.map(String::as_str))?;
        let written = store.snapshot(header, sections)?;
        self.files.insert(header.epoch, header.history_files.iter().cloned().collect());
        Ok(written)
    }

    /// The files that nothing needs since the newest snapshot; for [`Store::delete`], in any order
    /// and at any time.
    ///
    /// # Errors
    /// When the store can't be listed.
    pub fn needless(&mut self, store: &Store, delivered: Epoch) -> Result<Vec<String>, StoreError> {
        let mut dropped: BTreeSet<String> = BTreeSet::new();
        while self.files.len() > SNAPSHOTS_KEPT {
            if let Some((_, files)) = self.files.pop_first() {
                dropped.extend(files);
            }
        }
        let named: BTreeSet<String> = self.files.values().flatten().cloned().collect();
        let decision = store.needless(delivered, dropped.into_iter().collect(), named)?;
        Ok(needless_files(&decision).collect())
    }
}
