//! What a store holds for a run to go on from.

use crate::contract::{OutboxPart, PartitionInfo, Position, SavedState, Shapes};
use crate::ids::Epoch;
use crate::protocol::{Origin, SinkMark, SnapshotAge};
use crate::store::epoch_file::EpochHeader;
use crate::store::state_edit::{Renamed, StateEdit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An epoch whose outbox may still have to leave: each sink's parts, by id.
#[derive(Debug)]
pub struct UndeliveredEpoch {
    /// The epoch.
    pub epoch: Epoch,
    /// Parts by sink.
    pub parts: BTreeMap<String, Vec<OutboxPart>>,
}

/// What a run goes on from.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The last committed epoch; 0 for a new store.
    pub committed: Epoch,
    /// How far each partition was read, by number.
    pub positions: BTreeMap<u32, (PartitionInfo, Position)>,
    /// Each step's state, by id.
    pub state: BTreeMap<String, SavedState>,
    /// Steps and sinks of the pipeline that wrote the last epoch.
    pub steps: Vec<String>,
    /// What the state means, by step id.
    pub shapes: Shapes,
    /// How old the snapshot is.
    pub age: SnapshotAge,
    /// History files that each snapshot in the store names.
    pub snapshots: BTreeMap<Epoch, BTreeSet<String>>,
    /// Committed epochs, oldest first, that some sink may not have delivered yet.
    pub outbox: Vec<UndeliveredEpoch>,
    /// Whose the last epoch is, and where its rows went.
    pub origin: Arc<Origin>,
    /// By sink, the last epochs that had rows for it, as of the last epoch.
    pub sinks: BTreeMap<String, SinkMark>,
    /// What the files that were read say of the sinks: a snapshot, and those of [`Self::outbox`].
    /// In order of epochs, an epoch's own file before a snapshot of it.
    pub kept: Vec<KeptEpoch>,
    /// The last epoch's header, without its positions; none for a new store.
    pub(super) header: Option<EpochHeader>,
}

/// What a file of the store says of the sinks.
#[derive(Debug, Clone)]
pub struct KeptEpoch {
    /// The file's epoch.
    pub epoch: Epoch,
    /// Whether it holds the epoch's rows; a snapshot does not.
    pub holds_rows: bool,
    /// Whose epoch it is, and where its rows went.
    pub origin: Arc<Origin>,
    /// By sink, the last epochs that had rows for it.
    pub sinks: BTreeMap<String, SinkMark>,
}

impl KeptEpoch {
    /// What a header says.
    pub(crate) fn new(header: &EpochHeader, holds_rows: bool) -> Self {
        Self {
            epoch: header.epoch,
            holds_rows,
            origin: Arc::new(header.origin.clone()),
            sinks: header.sinks.clone(),
        }
    }
}

impl Recovered {
    pub(super) fn take_header(&mut self, mut header: EpochHeader) {
        self.committed = header.epoch;
        if matches!(header.edit, Some(StateEdit::BeginAnew { .. })) {
            self.positions.clear();
        }
        self.positions.extend(std::mem::take(&mut header.positions));
        self.steps.clone_from(&header.steps);
        if header.says_shapes() {
            self.shapes.clone_from(&header.shapes);
        }
        self.origin = self.shared(header.origin.clone());
        self.sinks.clone_from(&header.sinks);
        self.header = Some(header);
    }

    /// Notes what a file says of the sinks.
    pub(super) fn keep(&mut self, header: &EpochHeader, holds_rows: bool) {
        let origin = self.shared(header.origin.clone());
        self.kept.push(KeptEpoch {
            epoch: header.epoch,
            holds_rows,
            origin,
            sinks: header.sinks.clone(),
        });
    }

    /// The origin, kept once for all the epochs that have the same.
    pub(super) fn shared(&self, origin: Origin) -> Arc<Origin> {
        let same = self.kept.last().map(|kept| &kept.origin).filter(|kept| ***kept == origin);
        same.map_or_else(|| Arc::new(origin), Arc::clone)
    }

    /// The last epoch's header without its positions, and what the state means; none for a new
    /// store.
    pub(crate) fn into_header(self) -> Option<EpochHeader> {
        Some(EpochHeader { shapes: self.shapes, ..self.header? })
    }

    /// Whether the store was begun anew, and no run has been since: it has no names of destinations
    /// yet.
    pub(crate) fn is_begun_anew(&self) -> bool {
        matches!(
            self.header.as_ref().and_then(|header| header.edit.as_ref()),
            Some(StateEdit::BeginAnew { .. })
        )
    }

    /// Renames that a kept snapshot does not know.
    pub(crate) fn renamed_since_kept(&self) -> Vec<Renamed> {
        let oldest = self.snapshots.keys().next().copied().unwrap_or(Epoch(0));
        self.renamed().iter().filter(|r| r.epoch > oldest).cloned().collect()
    }

    pub(super) fn renamed(&self) -> &[Renamed] {
        self.header.as_ref().map_or(&[], |header| &header.renamed)
    }
}
