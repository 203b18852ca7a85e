//! Reading a store back after a start: positions, state, and what is still to be delivered.

use crate::contract::{OutboxPart, StateBatch};
use crate::ids::Epoch;
use crate::protocol::{EpochName, ResumeDecision, decide_resume};
use crate::store::epoch_file::{
    EpochHeader, HeaderError, Section, SectionKind, batch_from_ipc, decode, read_header,
};
use crate::store::error::StoreError;
use crate::store::open::{Store, epoch_path, snapshot_path};
use crate::store::recovered::{Recovered, UndeliveredEpoch};
use crate::store::state_edit::{StateEdit, with_new_names};
use std::collections::BTreeMap;

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
            // Otherwise a damaged snapshot would count as one of those that are kept, and epochs
            // before it would be collected.
            for name in &damaged {
                self.files.delete(&snapshot_path(name))?;
            }
            for name in &facts.snapshots {
                // History files must not be deleted while a snapshot's names of them can't be read:
                // then the start fails.
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
                // What destinations have from before this edit does not matter any more.
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
