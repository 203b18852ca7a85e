//! What an operator saves with each commit, and what it gets back.

use crate::disk::Folder;
use crate::ids::{Epoch, Generation};
use arrow::array::RecordBatch;

/// Where a step on one worker keeps the files that its state lives in.
#[derive(Debug, Clone)]
pub struct StateDir {
    /// The store's `history` folder; the step's files go to a folder of its id below.
    pub root: Folder,
    /// The run's generation; part of the names of files.
    pub generation: Generation,
    /// The worker; part of the names of files.
    pub worker: usize,
}

/// A named piece of an operator's state, as rows. Rows of keyed state carry their
/// [`crate::ids::KeyId`] or shard, so that after a restart with another number of workers each
/// worker picks its own.
#[derive(Debug, Clone)]
pub struct StateBatch {
    /// What the rows are, e.g. `keys`, `history`, `pending`.
    pub name: String,
    /// The rows.
    pub rows: RecordBatch,
}

impl StateBatch {
    /// Names `rows`.
    pub fn new(name: impl Into<String>, rows: RecordBatch) -> Self {
        Self { name: name.into(), rows }
    }
}

/// The state of one step as all workers saved it: one snapshot, then the changes of every epoch
/// after it, in order.
#[derive(Debug, Clone, Default)]
pub struct SavedState {
    /// The snapshot's epoch and batches (of all workers), if there is one.
    pub snapshot: Option<(Epoch, Vec<StateBatch>)>,
    /// Each later epoch's batches (of all workers), oldest first.
    pub changes: Vec<(Epoch, Vec<StateBatch>)>,
}

impl SavedState {
    /// Snapshot batches, then changes, in order, of one name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a RecordBatch> + 'a {
        self.snapshot
            .iter()
            .flat_map(|(_, batches)| batches)
            .chain(self.changes.iter().flat_map(|(_, batches)| batches))
            .filter(move |b| b.name == name)
            .map(|b| &b.rows)
    }

    /// Whether nothing was saved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.is_none() && self.changes.is_empty()
    }
}
