//! The workers' part of a run: a hold and the features steps for each, rows routed between them by
//! shard.

use crate::input::{SOURCE, Setup};
use anyhow::{Context, Result};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{
    EpochClose, Operator, Output, Routing, SavedState, StateBatch, StateDir,
};
use riskstream_engine::disk::Folder;
use riskstream_engine::ids::{Epoch, Generation, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_engine::protocol::{
    EpochFacts, Hold, Order, PartitionFacts, SavedTracker, TRACKER, WatermarkTracker,
};
use riskstream_operators::features::FeaturesOperator;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const HOLD: &str = "source.hold";
pub(crate) const CLOCK: &str = "source.clock";

/// What one worker did in an epoch.
#[derive(Debug, Default)]
pub(crate) struct WorkerPart {
    pub(crate) changes: Vec<(String, StateBatch)>,
    pub(crate) snapshot: Vec<(String, StateBatch)>,
    pub(crate) history_files: Vec<String>,
    pub(crate) out: Vec<RecordBatch>,
    pub(crate) dead: Vec<RecordBatch>,
    pub(crate) late: u64,
}

/// All workers of a run.
pub(crate) struct Pipeline {
    ownership: Ownership,
    tracker: WatermarkTracker,
    holds: Vec<Hold>,
    /// By step, then by worker.
    steps: Vec<Vec<FeaturesOperator>>,
    /// Rows on their way, by step, then by worker; after the last step: rows that leave.
    inboxes: Vec<Vec<Vec<RecordBatch>>>,
    parts: Vec<WorkerPart>,
}

impl Pipeline {
    /// Builds the steps of `workers` workers and gives them their saved state.
    pub(crate) fn restore(
        setup: &Setup,
        history: &Folder,
        generation: Generation,
        workers: usize,
        saved: &BTreeMap<String, SavedState>,
    ) -> Result<Self> {
        let ownership = Ownership::new(workers);
        let nothing = SavedState::default();
        let saved = |step: &str| saved.get(step).unwrap_or(&nothing);
        let mut holds = Vec::new();
        for worker in 0..workers {
            let mut hold =
                Hold::new(HOLD, SOURCE, setup.schema.clone(), Order::EventTime, setup.late);
            hold.restore(saved(HOLD), worker, ownership)?;
            holds.push(hold);
        }
        let mut input = Arc::clone(&setup.schema.schema);
        let mut steps = Vec::new();
        for spec in &setup.steps {
            let mut of_workers = Vec::new();
            for worker in 0..workers {
                let dir = StateDir { root: history.clone(), generation, worker };
                let mut operator = FeaturesOperator::new(spec.clone(), &input, dir)?;
                operator.restore(saved(&spec.step_id), worker, ownership)?;
                of_workers.push(operator);
            }
            input = of_workers[0].output_schema();
            steps.push(of_workers);
        }
        let mut tracker = WatermarkTracker::new(setup.bound);
        for rows in saved(CLOCK).named(TRACKER) {
            tracker.restore(SavedTracker::from_rows(rows).context("the saved watermark")?);
        }
        Ok(Self {
            ownership,
            tracker,
            holds,
            inboxes: vec![vec![Vec::new(); workers]; steps.len() + 1],
            steps,
            parts: (0..workers).map(|_| WorkerPart::default()).collect(),
        })
    }

    pub(crate) fn watermark(&self) -> i64 {
        self.tracker.watermark().0
    }

    pub(crate) fn tracker(&self) -> &WatermarkTracker {
        &self.tracker
    }

    /// Decoded rows reach a worker.
    pub(crate) fn read(
        &mut self,
        epoch: Epoch,
        worker: usize,
        rows: RecordBatch,
        rejected: Option<RecordBatch>,
    ) -> Result<()> {
        let mut out = Output::default();
        self.parts[worker].dead.extend(rejected);
        if rows.num_rows() > 0 {
            self.holds[worker].on_batch(epoch, rows, &mut out)?;
        }
        self.send_on(0, worker, out)
    }

    fn send_on(&mut self, to: usize, worker: usize, out: Output) -> Result<()> {
        self.parts[worker].dead.extend(out.dead);
        self.parts[worker].late += out.late;
        for rows in out.rows {
            if to == self.steps.len() {
                self.inboxes[to][worker].push(rows);
                continue;
            }
            let Routing::ByKey(key) = self.steps[to][0].routing() else {
                anyhow::bail!("features are keyed")
            };
            for (owner, rows) in split(&rows, &key, self.ownership)? {
                self.inboxes[to][owner].push(rows);
            }
        }
        Ok(())
    }

    /// Ends an epoch on every step of every worker; gives its close and each worker's part.
    pub(crate) fn close(
        &mut self,
        epoch: Epoch,
        (partitions, seen): (&[PartitionFacts], &[(u32, i64)]),
        snapshot: bool,
        last: bool,
        rng: &mut ChaCha8Rng,
    ) -> Result<(EpochClose, Vec<WorkerPart>)> {
        let watermark_before = self.tracker.watermark();
        let watermark = self.tracker.close(&EpochFacts { partitions, seen, clock: None, last });
        let close = EpochClose { epoch, watermark, watermark_before, snapshot, last };
        let workers = self.holds.len();
        for worker in 0..workers {
            let mut out = Output::default();
            self.holds[worker].on_close(&close, &mut out)?;
            let hold = &mut self.holds[worker];
            save(&mut self.parts[worker], HOLD, hold, &close)?;
            self.send_on(0, worker, out)?;
        }
        for step in 0..self.steps.len() {
            for worker in 0..workers {
                let mut out = Output::default();
                let mut batches = std::mem::take(&mut self.inboxes[step][worker]);
                // Batches of an epoch reach a keyed step in no particular order.
                batches.shuffle(rng);
                for rows in cut(batches, rng) {
                    self.steps[step][worker].on_batch(epoch, rows, &mut out)?;
                }
                let operator = &mut self.steps[step][worker];
                operator.on_close(&close, &mut out)?;
                let id = step_id(step);
                save(&mut self.parts[worker], id, operator, &close)?;
                self.send_on(step + 1, worker, out)?;
            }
        }
        let changes = self.tracker.take_changes().to_state()?;
        if snapshot {
            self.parts[0].snapshot.push((CLOCK.into(), self.tracker.saved().to_state()?));
        }
        self.parts[0].changes.push((CLOCK.into(), changes));
        let mut parts: Vec<WorkerPart> = self.parts.iter_mut().map(std::mem::take).collect();
        for (part, out) in parts.iter_mut().zip(&mut self.inboxes[self.steps.len()]) {
            part.out = std::mem::take(out);
        }
        Ok((close, parts))
    }

    /// The ids of the rows that wait for the watermark, over all workers, in order.
    pub(crate) fn waiting(&mut self) -> Result<Vec<i64>> {
        let close = EpochClose {
            epoch: Epoch(0),
            watermark: self.tracker.watermark(),
            watermark_before: self.tracker.watermark(),
            snapshot: true,
            last: false,
        };
        let mut ids = Vec::new();
        for hold in &mut self.holds {
            for batch in hold.snapshot(&close)?.iter().filter(|b| b.name == "waiting") {
                let times =
                    batch.rows.column(1).as_primitive::<TimestampMicrosecondType>().values();
                let batch_ids = batch.rows.column(0).as_primitive::<Int64Type>().values();
                ids.extend(
                    batch_ids
                        .iter()
                        .zip(times.iter())
                        .filter(|(_, t)| **t > close.watermark.0)
                        .map(|(id, _)| *id),
                );
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// A fault: one waiting row of the first worker that has any is forgotten. True when there was
    /// one.
    pub(crate) fn forget_a_waiting_row(&mut self, setup: &Setup) -> Result<bool> {
        let watermark = self.tracker.watermark();
        let close = EpochClose {
            epoch: Epoch(0),
            watermark,
            watermark_before: watermark,
            snapshot: true,
            last: false,
        };
        for hold in &mut self.holds {
            let mut saved = hold.snapshot(&close)?;
            let Some(batch) =
                saved.iter_mut().find(|b| b.name == "waiting" && b.rows.num_rows() > 0)
            else {
                continue;
            };
            batch.rows = batch.rows.slice(1, batch.rows.num_rows() - 1);
            let saved = SavedState { snapshot: Some((Epoch(0), saved)), changes: Vec::new() };
            *hold = Hold::new(HOLD, SOURCE, setup.schema.clone(), Order::EventTime, setup.late);
            hold.restore(&saved, 0, Ownership::new(1))?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn step_id(step: usize) -> &'static str {
    ["by-customer", "by-terminal"][step]
}

fn save(
    part: &mut WorkerPart,
    id: &str,
    operator: &mut dyn Operator,
    close: &EpochClose,
) -> Result<()> {
    let named = |batches: Vec<StateBatch>| {
        batches.into_iter().map(|b| (id.to_owned(), b)).collect::<Vec<_>>()
    };
    part.changes.extend(named(operator.changes(close)?));
    if close.snapshot {
        part.snapshot.extend(named(operator.snapshot(close)?));
        part.history_files.extend(operator.live_files());
    }
    Ok(())
}

/// Splits rows by the worker that owns their key.
fn split(
    rows: &RecordBatch,
    key: &[usize],
    ownership: Ownership,
) -> Result<Vec<(usize, RecordBatch)>> {
    let columns: Vec<ArrayRef> = key.iter().map(|c| Arc::clone(rows.column(*c))).collect();
    let mut hashes = Vec::new();
    hash_keys(&columns, HASH_SEED, &mut hashes)?;
    let mut by_owner: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (row, hash) in (0u32..).zip(&hashes) {
        by_owner.entry(ownership.worker_of(shard_of(*hash))).or_default().push(row);
    }
    by_owner
        .into_iter()
        .map(|(owner, list)| Ok((owner, take_record_batch(rows, &UInt32Array::from(list))?)))
        .collect()
}

/// Cuts batches at random places.
fn cut(batches: Vec<RecordBatch>, rng: &mut ChaCha8Rng) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    for batch in batches {
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = rng.random_range(1..=batch.num_rows() - from);
            pieces.push(batch.slice(from, rows));
            from += rows;
        }
    }
    pieces
}

/// The batch without rows of these ids.
pub(crate) fn without(rows: &RecordBatch, id: i64) -> Result<RecordBatch> {
    let ids: &Int64Array = rows.column(0).as_primitive::<Int64Type>();
    let keep = ids.iter().map(|i| Some(i != Some(id))).collect();
    Ok(filter_record_batch(rows, &keep)?)
}
