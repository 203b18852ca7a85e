//! What the runtime's committer does, step by step: an epoch file from the workers' parts, a
//! snapshot, collection.

use crate::pipeline::WorkerPart;
use anyhow::Result;
use riskstream_engine::contract::{
    EpochClose, OutboxEntry, OutboxPart, PartitionInfo, Position, StateBatch,
};
use riskstream_engine::ids::Generation;
use riskstream_engine::store::{
    EpochHeader, KeptSnapshots, Section, SectionKind, Store, batch_to_ipc,
};
use std::collections::BTreeMap;

pub(crate) const OUT: &str = "out";
pub(crate) const DEAD: &str = "dead";

/// An epoch that the workers have closed.
pub(crate) struct Closed {
    pub(crate) close: EpochClose,
    header: EpochHeader,
    changes: Vec<Section>,
    snapshot: Vec<Section>,
    history_files: Vec<String>,
    pub(crate) outbox: BTreeMap<String, OutboxEntry>,
}

fn state(batches: Vec<(String, StateBatch)>, worker: u32) -> Result<Vec<Section>> {
    let section = |(step, batch): (String, StateBatch)| {
        Ok(Section {
            kind: SectionKind::State,
            step,
            name: batch.name,
            worker,
            payload: batch_to_ipc(&batch.rows)?,
        })
    };
    batches.into_iter().map(section).collect()
}

impl Closed {
    pub(crate) fn new(
        close: EpochClose,
        generation: Generation,
        positions: BTreeMap<u32, (PartitionInfo, Position)>,
        rows: u64,
        parts: Vec<WorkerPart>,
    ) -> Result<Self> {
        let mut header = EpochHeader {
            epoch: close.epoch,
            generation,
            positions,
            rows,
            steps: vec!["by-customer".into(), "by-terminal".into()],
            ..EpochHeader::default()
        };
        let (mut changes, mut snapshot, mut history_files) = (Vec::new(), Vec::new(), Vec::new());
        let mut outbox: BTreeMap<String, OutboxEntry> = BTreeMap::new();
        for (worker, part) in (0u32..).zip(parts) {
            header.late += part.late;
            header.dead += part.dead.iter().map(|d| d.num_rows() as u64).sum::<u64>();
            changes.extend(state(part.changes, worker)?);
            snapshot.extend(state(part.snapshot, worker)?);
            history_files.extend(part.history_files);
            for (sink, rows) in [(OUT, part.out), (DEAD, part.dead)] {
                for batch in &rows {
                    let payload = batch_to_ipc(batch)?;
                    changes.push(Section {
                        kind: SectionKind::Outbox,
                        step: sink.into(),
                        name: "rows".into(),
                        worker,
                        payload,
                    });
                }
                if !rows.is_empty() {
                    let entry = outbox
                        .entry(sink.into())
                        .or_insert_with(|| OutboxEntry { epoch: close.epoch, parts: Vec::new() });
                    entry.parts.push(OutboxPart { rows, ..OutboxPart::default() });
                }
            }
        }
        Ok(Self { close, header, changes, snapshot, history_files, outbox })
    }

    pub(crate) fn header(&self) -> &EpochHeader {
        &self.header
    }

    /// A fault: the file says that a partition was read further than it was.
    pub(crate) fn skip_a_record(&mut self) {
        if let Some((_, position)) = self.header.positions.values_mut().find(|(_, p)| !p.finished) {
            position.next_offset += 1;
        }
    }

    /// Gives the bytes written.
    pub(crate) fn commit(&self, store: &Store) -> Result<u64> {
        Ok(store.commit(&self.header, &self.changes)?)
    }

    /// Bytes of the snapshot, about, when it is one.
    pub(crate) fn snapshot_bytes(&self) -> Option<u64> {
        self.close.snapshot.then(|| self.snapshot.iter().map(|s| s.payload.len() as u64).sum())
    }

    /// Writes the snapshot, if it is one.
    pub(crate) fn write_snapshot(&self, store: &Store, kept: &mut KeptSnapshots) -> Result<()> {
        let header =
            EpochHeader { history_files: self.history_files.clone(), ..self.header.clone() };
        kept.write(store, &header, self.snapshot.iter().cloned().map(Ok))?;
        Ok(())
    }
}
