//! Parts of an epoch as they are written, and what leaves once the epoch is committed.

use crate::contract::{OutboxEntry, OutboxPart, PartitionInfo, Position, StateBatch};
use crate::ids::Epoch;
use crate::runtime::failure::RunError;
use crate::runtime::intake::first_reason;
use crate::runtime::parts::{FeedClose, Part, sliced_bytes};
use crate::store::{Section, SectionKind, batch_to_ipc};
use arrow::array::{AsArray, RecordBatch};
use arrow::error::ArrowError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A worker's part, encoded on the worker.
#[derive(Debug)]
pub(crate) struct EncodedPart {
    pub(crate) epoch: Epoch,
    pub(crate) feed: Arc<FeedClose>,
    pub(crate) changes: Vec<Section>,
    /// The whole state, when a snapshot was asked for; the thread that writes the snapshot encodes
    /// it.
    pub(crate) snapshot: WholeState,
    pub(crate) history_files: Vec<String>,
    pub(crate) outbox: Vec<(String, OutboxPart)>,
    pub(crate) sunk: Vec<(usize, u64)>,
    pub(crate) rows: u64,
    pub(crate) late: u64,
    pub(crate) dead: u64,
    /// Of the dead letters, those whose rows are kept.
    pub(crate) unfit: u64,
    pub(crate) first_dead: String,
    /// All dead letters, by reason.
    pub(crate) dead_by_reason: BTreeMap<String, u64>,
}

/// The whole state of one worker's steps.
#[derive(Debug)]
pub(crate) struct WholeState {
    pub(crate) worker: u32,
    pub(crate) batches: Vec<(String, StateBatch)>,
}

impl WholeState {
    /// Bytes when written, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.batches.iter().map(|(_, batch)| sliced_bytes(&batch.rows)).sum()
    }

    /// The state as sections; each is encoded when it is asked for, and its rows are let go.
    pub(crate) fn sections(self) -> impl Iterator<Item = Result<Section, ArrowError>> {
        let worker = self.worker;
        self.batches.into_iter().map(move |(step, batch)| state_section(step, batch, worker))
    }
}

/// A committed epoch on its way to the sinks.
#[derive(Debug)]
pub(crate) struct CommittedEpoch {
    pub(crate) epoch: Epoch,
    pub(crate) outbox: BTreeMap<String, OutboxEntry>,
}

impl EncodedPart {
    /// Encodes a part; `dead_sink` is the outbox part that its dead letters became.
    pub(crate) fn encode(
        epoch: Epoch,
        worker: usize,
        mut part: Part,
        dead_sink: Option<(String, OutboxPart)>,
    ) -> Result<Self, RunError> {
        let bug = |what: String| RunError::Bug { what };
        let feed = part
            .feed
            .take()
            .ok_or_else(|| bug(format!("worker {worker} never saw the close of epoch {epoch}")))?;
        let worker = u32::try_from(worker).map_err(|_| bug("more than 2^32 workers".into()))?;
        let dead = part.dead.iter().map(|d| d.num_rows() as u64).sum();
        let first_dead = first_reason(&part.dead);
        let dead_by_reason = letters_by_reason(&part.dead);
        part.outbox.extend(dead_sink);
        let mut changes = encode_state(part.changes, worker)?;
        for (sink, out) in &part.outbox {
            for rows in &out.rows {
                let payload = batch_to_ipc(rows)
                    .map_err(|e| bug(format!("the outbox of {sink} can't be encoded: {e}")))?;
                changes.push(Section {
                    kind: SectionKind::Outbox,
                    step: sink.clone(),
                    name: "rows".into(),
                    worker,
                    payload,
                });
            }
            for file in &out.files {
                let payload = serde_json::to_vec(file)
                    .map_err(|e| bug(format!("the outbox of {sink} can't be encoded: {e}")))?;
                changes.push(Section {
                    kind: SectionKind::File,
                    step: sink.clone(),
                    name: "file".into(),
                    worker,
                    payload: Bytes::from(payload),
                });
            }
        }
        Ok(Self {
            epoch,
            feed,
            changes,
            snapshot: WholeState { worker, batches: part.snapshot },
            history_files: part.history_files,
            outbox: part.outbox,
            sunk: part.sunk,
            rows: part.rows,
            late: part.late,
            dead,
            unfit: part.unfit,
            first_dead,
            dead_by_reason,
        })
    }
}

/// How many dead letters there are, by reason.
fn letters_by_reason(dead: &[RecordBatch]) -> BTreeMap<String, u64> {
    let mut letters = BTreeMap::new();
    for rows in dead {
        let reasons = rows.column_by_name("reason").and_then(|c| c.as_string_opt::<i32>());
        // A step's letters come one after the other and mostly for the same reason.
        let mut run: (&str, u64) = ("", 0);
        for reason in reasons.into_iter().flatten().map(Option::unwrap_or_default) {
            if run.0 == reason {
                run.1 += 1;
                continue;
            }
            count(&mut letters, run);
            run = (reason, 1);
        }
        count(&mut letters, run);
    }
    letters
}

fn count(letters: &mut BTreeMap<String, u64>, (reason, more): (&str, u64)) {
    if more > 0 {
        match letters.get_mut(reason) {
            Some(so_far) => *so_far += more,
            None => {
                letters.insert(reason.to_owned(), more);
            }
        }
    }
}

fn encode_state(batches: Vec<(String, StateBatch)>, worker: u32) -> Result<Vec<Section>, RunError> {
    let sections = batches.into_iter().map(|(step, batch)| state_section(step, batch, worker));
    sections.collect::<Result<_, _>>().map_err(|e| RunError::Bug { what: e.to_string() })
}

fn state_section(step: String, batch: StateBatch, worker: u32) -> Result<Section, ArrowError> {
    let payload = batch_to_ipc(&batch.rows).map_err(|e| {
        ArrowError::ExternalError(format!("state of {step} can't be encoded: {e}").into())
    })?;
    Ok(Section { kind: SectionKind::State, step, name: batch.name, worker, payload })
}

/// How far partitions were read, by number.
pub(crate) type Positions = BTreeMap<u32, (PartitionInfo, Position)>;
