//! How far each sink has come, as the store remembers it: so that a sink that is taken out of the
//! pipeline while rows wait for it is noticed.
//!
//! What counts for a sink that is there is what its destination says. These marks are written now
//! and then: old ones make the check stricter, never laxer. They are replaced durably, so that a
//! loss of power leaves the old ones or the new, whole.

use crate::disk::Folder;
use crate::ids::Epoch;
use crate::store::error::StoreError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FILE: &str = "delivered.json";

/// The last epoch delivered by every sink that ever was, by id.
#[derive(Debug)]
pub struct DeliveredMarks {
    root: Folder,
    path: PathBuf,
    /// `None` where the store was made before there were marks, or somebody deleted them.
    marks: Option<BTreeMap<String, u64>>,
}

impl DeliveredMarks {
    /// Reads a store's marks.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn open(root: &Folder) -> Result<Self, StoreError> {
        let path = root.join(FILE);
        let marks =
            match root.disk().read(&path) {
                Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|e| {
                    StoreError::Damaged { path: path.clone(), reason: e.to_string() }
                })?),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => return Err(StoreError::io("read", &path, &e)),
            };
        Ok(Self { root: root.clone(), path, marks })
    }

    /// Every sink's mark; `None` where there are none.
    pub(crate) fn into_marks(self) -> Option<BTreeMap<String, Epoch>> {
        Some(self.marks?.into_iter().map(|(sink, epoch)| (sink, Epoch(epoch))).collect())
    }

    /// Where they are kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last epoch that a sink is known to have delivered; it may have delivered more.
    pub(crate) fn delivered(&self, sink: &str) -> Epoch {
        Epoch(self.marks.as_ref().and_then(|marks| marks.get(sink)).copied().unwrap_or(0))
    }

    /// Whether an epoch's rows may still wait for a sink that the pipeline no longer has.
    pub(crate) fn may_wait(&self, sink: &str, epoch: Epoch) -> bool {
        self.marks.as_ref().is_some_and(|marks| epoch.0 > marks.get(sink).copied().unwrap_or(0))
    }

    /// The least mark of sinks that are not among `present`.
    pub(crate) fn least_absent(&self, present: impl Fn(&str) -> bool) -> Option<Epoch> {
        self.marks
            .iter()
            .flatten()
            .filter(|(sink, _)| !present(sink))
            .map(|(_, epoch)| Epoch(*epoch))
            .min()
    }

    /// A store without any epoch starts its marks: nothing is delivered yet.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn begin<'a>(
        &mut self,
        sinks: impl Iterator<Item = &'a str>,
        committed: Epoch,
    ) -> Result<(), StoreError> {
        if committed == Epoch(0) && self.marks.is_none() {
            self.record(sinks.map(|sink| (sink, committed)))
        } else {
            Ok(())
        }
    }

    /// Each of these sinks has delivered everything through an epoch.
    ///
    /// # Errors
    /// When it can't be written; then the old marks stay.
    pub fn record<'a>(
        &mut self,
        through: impl Iterator<Item = (&'a str, Epoch)>,
    ) -> Result<(), StoreError> {
        let marks = self.marks.get_or_insert_default();
        marks.extend(through.map(|(sink, epoch)| (sink.to_owned(), epoch.0)));
        let failed = |e: &(dyn std::error::Error + 'static)| StoreError::io("write", &self.path, e);
        let bytes = serde_json::to_vec(marks).map_err(|e| failed(&e))?;
        self.root.disk().replace_durably(&self.path, &[Bytes::from(bytes)]).map_err(|e| failed(&e))
    }
}
