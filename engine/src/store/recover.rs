//! Reading a store back after a start: positions, state, and what is still to be delivered.

use crate::contract::{OutboxPart, PartitionInfo, Position, SavedState, Shapes, StateBatch};
use crate::ids::Epoch;
use crate::protocol::{EpochName, Origin, ResumeDecision, SinkMark, SnapshotAge, decide_resume};
use crate::store::edit::{Renamed, StateEdit, with_new_names};
use crate::store::epoch_file::{
    EpochHeader, HeaderError, Section, SectionKind, batch_from_ipc, decode, read_header,
};
use crate::store::error::StoreError;
use crate::store::open::{Store, epoch_path, snapshot_path};
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
    header: Option<EpochHeader>,
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

/// A file of the store, read and checked.
struct ReadFile {
    header: EpochHeader,
    sections: Vec<Section>,
    /// Its length.
    bytes: u64,
}

impl Store {
    /// Claims the store for this run and reads back where to go on.
    ///
    /// `delivered` is the least epoch that all sinks have made visible: outboxes after it are read.
    /// `seen` is the newest that any has: it certainly was committed.
    ///
    /// # Errors
    /// When committed epochs are missing or damaged. A damaged snapshot is passed over for the one
    /// before it, and deleted.
    pub fn recover(&mut self, delivered: Epoch, seen: Epoch) -> Result<Recovered, StoreError> {
        let next = decide_resume(&self.facts()?)?.next_generation;
        self.claim(next)?;
        // List again: what an older run wrote before it could see our claim is the truth too.
        let mut facts = self.facts()?;
        let mut damaged = Vec::new();
        loop {
            let decision = decide_resume(&facts)?;
            let snapshot = match decision.snapshot {
                None => None,
                Some(name) => match self.read_file(&snapshot_path(&name)) {
                    Ok(file) => Some(file),
                    Err(StoreError::Damaged { .. }) => {
                        facts.snapshots.retain(|s| *s != name);
                        damaged.push(name);
                        continue;
                    }
                    Err(e) => return Err(e),
                },
            };
            let mut recovered = self.replay(&decision, snapshot, delivered, seen)?;
            // Else it would count as one of the snapshots that are kept, and epochs before it would
            // be collected.
            for name in &damaged {
                self.files.delete(&snapshot_path(name))?;
            }
            for name in &facts.snapshots {
                // Whose names are not known, its files must not be deleted: then nothing starts.
                match self.read_header(&snapshot_path(name)) {
                    Ok(header) => {
                        let files =
                            with_new_names(header.history_files, name.epoch, recovered.renamed());
                        recovered.snapshots.entry(name.epoch).or_default().extend(files);
                    }
                    Err(StoreError::Damaged { .. }) => {
                        self.delete_if_damaged(&snapshot_path(name))?
                    }
                    Err(e) => return Err(e),
                }
            }
            // Whoever wrote the newest epoch may have died before its name was durable. From here
            // on it is the truth.
            self.files.sync(
                decision.epochs.iter().filter(|n| n.epoch == recovered.committed).map(epoch_path),
            )?;
            self.files.sync(["epochs", "snapshots"])?;
            self.record_resumed(recovered.committed)?;
            return Ok(recovered);
        }
    }

    fn read_file(&self, name: &str) -> Result<ReadFile, StoreError> {
        let bytes = self.files.read(name)?;
        let (header, sections) = decode(&bytes)
            .map_err(|reason| StoreError::Damaged { path: self.files.path(name), reason })?;
        Ok(ReadFile { header, sections, bytes: bytes.len() as u64 })
    }

    /// The header alone.
    fn read_header(&self, name: &str) -> Result<EpochHeader, StoreError> {
        let path = self.files.path(name);
        let file = self.files.disk().open(&path).map_err(|e| StoreError::io("read", &path, &e))?;
        read_header(file.as_ref()).map_err(|e| match e {
            HeaderError::Io(e) => StoreError::io("read", &path, &e),
            HeaderError::Damaged(reason) => StoreError::Damaged { path, reason },
        })
    }

    /// Deletes a snapshot whose header can't be read, when all of it says so too: nobody could go
    /// on from it.
    fn delete_if_damaged(&self, name: &str) -> Result<(), StoreError> {
        match self.read_file(name) {
            Err(StoreError::Damaged { .. }) => self.files.delete(name),
            Err(e) => Err(e),
            Ok(_) => Err(StoreError::Damaged {
                path: self.files.path(name),
                reason: "it reads one way now and another way then".into(),
            }),
        }
    }

    fn replay(
        &self,
        decision: &ResumeDecision,
        snapshot: Option<ReadFile>,
        delivered: Epoch,
        seen: Epoch,
    ) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        let mut from = Epoch(0);
        if let (Some(file), Some(name)) = (snapshot, decision.snapshot) {
            from = name.epoch;
            recovered.keep(&file.header, false);
            recovered.take_header(file.header);
            recovered.age.snapshot_bytes = file.bytes;
            for (step, batches) in self.state_by_step(&snapshot_path(&name), file.sections)? {
                recovered.state.entry(step).or_default().snapshot = Some((name.epoch, batches));
            }
        }
        for name in decision.epochs.iter().filter(|n| n.epoch > from || n.epoch > delivered) {
            match self.read_file(&epoch_path(name)) {
                Ok(file) => self.take_epoch(name, file, from, &mut recovered)?,
                // The newest file alone can be torn by a power loss before it was synced: then it
                // was never committed, and no sink has it.
                Err(StoreError::Damaged { .. })
                    if Some(name) == decision.epochs.last() && name.epoch > from.max(seen) =>
                {
                    self.files.delete(&epoch_path(name))?;
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        recovered.kept.sort_by_key(|kept| (kept.epoch, !kept.holds_rows));
        Ok(recovered)
    }

    fn take_epoch(
        &self,
        name: &EpochName,
        ReadFile { header, sections, bytes }: ReadFile,
        from: Epoch,
        recovered: &mut Recovered,
    ) -> Result<(), StoreError> {
        let path = epoch_path(name);
        if let Some(edit) = &header.edit {
            for before in &mut recovered.outbox {
                before.parts.retain(|sink, _| !edit.forgets(sink));
            }
            if matches!(edit, StateEdit::BeginAnew { .. }) {
                // What destinations have of before is no matter any more.
                recovered.kept.retain(|kept| kept.epoch >= name.epoch);
            }
        }
        let (state, outbox): (Vec<_>, Vec<_>) =
            sections.into_iter().partition(|s| s.kind == SectionKind::State);
        let mut parts: BTreeMap<String, BTreeMap<u32, OutboxPart>> = BTreeMap::new();
        for section in outbox {
            let part =
                parts.entry(section.step.clone()).or_default().entry(section.worker).or_default();
            match section.kind {
                SectionKind::Outbox => part
                    .rows
                    .push(batch_from_ipc(&section.payload).map_err(|e| self.damaged(&path, &e))?),
                SectionKind::File => part.files.push(
                    serde_json::from_slice(&section.payload)
                        .map_err(|e| self.damaged(&path, &e))?,
                ),
                SectionKind::Empties => part.empties = true,
                SectionKind::State => {}
            }
        }
        let parts = parts
            .into_iter()
            .map(|(sink, by_worker)| (sink, by_worker.into_values().collect()))
            .collect();
        recovered.outbox.push(UndeliveredEpoch { epoch: name.epoch, parts });
        recovered.keep(&header, true);
        if name.epoch > from {
            if let Some(edit) = &header.edit {
                edit.apply(&mut recovered.state);
            }
            recovered.take_header(header);
            recovered.age.epochs += 1;
            recovered.age.committed(bytes, None);
            for (step, batches) in self.state_by_step(&path, state)? {
                recovered.state.entry(step).or_default().changes.push((name.epoch, batches));
            }
        }
        Ok(())
    }

    fn state_by_step(
        &self,
        path: &str,
        sections: Vec<Section>,
    ) -> Result<BTreeMap<String, Vec<StateBatch>>, StoreError> {
        let mut by_step: BTreeMap<String, Vec<StateBatch>> = BTreeMap::new();
        for section in sections {
            let rows = batch_from_ipc(&section.payload).map_err(|e| self.damaged(path, &e))?;
            by_step.entry(section.step).or_default().push(StateBatch::new(section.name, rows));
        }
        Ok(by_step)
    }

    fn damaged(&self, path: &str, error: &dyn std::error::Error) -> StoreError {
        StoreError::Damaged { path: self.files.path(path), reason: error.to_string() }
    }
}

impl Recovered {
    fn take_header(&mut self, mut header: EpochHeader) {
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
    fn keep(&mut self, header: &EpochHeader, holds_rows: bool) {
        let origin = self.shared(header.origin.clone());
        self.kept.push(KeptEpoch {
            epoch: header.epoch,
            holds_rows,
            origin,
            sinks: header.sinks.clone(),
        });
    }

    /// The origin, kept once for all the epochs that have the same.
    fn shared(&self, origin: Origin) -> Arc<Origin> {
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

    fn renamed(&self) -> &[Renamed] {
        self.header.as_ref().map_or(&[], |header| &header.renamed)
    }
}
