//! The features step as an operator: gathers or takes rows, processes them in order, and hands out
//! its state.

use super::fast::{self, LANES_MAX, Loop};
use super::order::{Ordered, in_order};
use super::plan::OnInput;
use super::shown::{Block, Builder};
use super::since::{SavedColumns, Since};
use super::spec::{FeaturesError, FeaturesSpec, Order};
use super::state::{State, SumLane};
use crate::dead_rows::{DeadRows, Unfit};
use crate::keyed::dictionary::Dictionary;
use crate::keyed::encode::encode;
use crate::step_error::StepError;
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use riskstream_engine::contract::{
    EpochClose, Feed, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
    StateDir,
};
use riskstream_engine::history::{Chunk, History, HistoryConfig, HistoryError};
use riskstream_engine::ids::{Epoch, EventTime, KeyId, Ownership};
use std::collections::BTreeSet;

/// Rows whose numbers are held before they are turned into columns: small enough for the cache.
const BLOCK_ROWS: usize = 8192;

/// How far behind the watermark a row may come and still get features: at least this.
const LATE_HORIZON_MIN_MICROS: i64 = 24 * 3600 * 1_000_000;

/// Exact trailing windows per key, as of every row. See the [module documentation](super).
#[derive(Debug)]
pub struct FeaturesOperator {
    pub(super) plan: OnInput,
    pub(super) order: Order,
    /// Since when features are complete.
    pub(super) since: Since,
    /// Rows up to this time were forgotten before this run.
    pub(super) pruned_before: i64,
    /// Keys were forgotten whose last rows were up to this time.
    pub(super) forgotten_before: i64,
    /// The columns of the history, as they are saved.
    pub(super) saved_layout: String,
    pub(super) late_horizon: i64,
    pub(super) dictionary: Dictionary,
    pub(super) state: State,
    pub(super) history: History,
    pub(super) worker: usize,
    /// The watermark of the last close; `i64::MIN` before the first.
    pub(super) watermark: i64,
    /// Batches of the open epoch, in event-time order.
    gathered: Vec<RecordBatch>,
    /// Rows processed in the open epoch, for `changes`.
    pub(super) processed: Vec<Chunk>,
    block: Block,
    /// What is said of sums that don't fit.
    dead: DeadRows,
    /// Files of the last two snapshots.
    pub(super) snapshot_files: [BTreeSet<String>; 2],
}

impl FeaturesOperator {
    /// A step with empty state.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(
        spec: FeaturesSpec,
        input_schema: &Schema,
        history: StateDir,
    ) -> Result<Self, FeaturesError> {
        let plan = OnInput::new(&spec, input_schema)?;
        let config = HistoryConfig {
            root: history.root,
            step: spec.step_id,
            generation: history.generation,
            worker: history.worker,
            layout: plan.layout.clone(),
            edges: plan.edges.clone(),
            memory_bytes: spec.history_memory_bytes,
        };
        let mut dead = DeadRows::new(&plan.step, &plan.output_schema);
        let event_time = plan.output_schema.field(plan.time).name();
        let reason =
            |e: StepError| FeaturesError::Spec { step: plan.step.clone(), reason: e.to_string() };
        dead.set_event_time(event_time, &plan.output_schema).map_err(reason)?;
        let types: Vec<&DataType> =
            plan.by.iter().map(|c| input_schema.field(*c).data_type()).collect();
        Ok(Self {
            order: spec.order,
            since: Since::new(&plan),
            pruned_before: i64::MIN,
            forgotten_before: i64::MIN,
            saved_layout: SavedColumns::told(&plan.history_columns()),
            late_horizon: plan.reach().max(LATE_HORIZON_MIN_MICROS),
            dictionary: Dictionary::new(&types),
            state: State::new(&plan),
            history: History::new(config),
            worker: history.worker,
            watermark: i64::MIN,
            gathered: Vec::new(),
            processed: Vec::new(),
            block: Block::default(),
            dead,
            snapshot_files: [BTreeSet::new(), BTreeSet::new()],
            plan,
        })
    }

    /// Rows that come behind the watermark by more than `micros` get null features (they are still
    /// counted in later rows' windows); the history is kept this much longer than the longest
    /// window. Unless set: the longest window and delay, at least a day.
    #[must_use]
    pub fn with_late_horizon(mut self, micros: i64) -> Self {
        self.late_horizon = micros.max(0);
        self
    }

    /// Sets what feeds the step, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.plan.feed = feed;
        self.saved_layout = SavedColumns::told(&self.plan.history_columns());
        self.since = Since::new(&self.plan);
        self
    }

    pub(super) fn in_event_time(&self) -> bool {
        self.order == Order::EventTime
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.step.clone(), source }
    }

    pub(super) fn storage(&self, e: HistoryError) -> OperatorError {
        OperatorError::Storage {
            step: self.plan.step.clone(),
            action: e.action,
            object: e.object,
            reason: e.reason,
        }
    }

    /// Numbers the keys of a batch and takes what the history keeps.
    fn take_in(&mut self, batch: &RecordBatch) -> Result<Chunk, OperatorError> {
        let keys: Vec<_> = self.plan.by.iter().map(|c| batch.column(*c).clone()).collect();
        let keys = self.dictionary.number(&keys).map_err(|e| self.arrow(e))?;
        self.state.grow(&self.plan, self.dictionary.counts());
        let times = batch.column(self.plan.time).as_primitive_opt::<TimestampMicrosecondType>();
        let times = times
            .ok_or_else(|| self.compute("the event time column has changed its type".into()))?
            .values()
            .to_vec();
        let columns = encode(batch, &self.plan.kept).map_err(|e| self.arrow(e))?;
        let rows = Chunk { times, keys, columns };
        self.prepare(&rows);
        Ok(rows)
    }

    fn compute(&self, reason: String) -> OperatorError {
        OperatorError::Compute { step: self.plan.step.clone(), reason }
    }

    pub(super) fn prepare(&mut self, rows: &Chunk) {
        let held = self.history.rows() + rows.len();
        self.state.prepare(&self.plan, &rows.columns, held);
    }

    /// Processes rows and, with `builder`, writes their outputs.
    pub(super) fn process(
        &mut self,
        rows: &Chunk,
        mut builder: Option<&mut Builder>,
    ) -> Result<(), OperatorError> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        if !self.plan.undelayed && self.plan.forgets() {
            self.state.stir(rows);
        }
        // In event-time order rows behind the clock come first; the others go to the log as they
        // are.
        let behind = match self.order {
            Order::EventTime => rows.times.partition_point(|t| *t < self.history.clock()),
            Order::Arrival => rows.len(),
        };
        let mut from = 0;
        while from < rows.len() {
            let upto = if from < behind { behind } else { rows.len() }.min(from + BLOCK_ROWS);
            if from == behind {
                self.history.append(rows, behind).map_err(|e| self.storage(e))?;
            }
            if from >= behind && self.is_simple() {
                self.process_fast(rows, from..upto, &mut block)?;
            } else {
                for row in from..upto {
                    self.process_row(rows, row, from >= behind, builder.is_some(), &mut block)?;
                }
            }
            block.rows = upto - from;
            if let Some(builder) = &mut builder {
                builder.push(&self.plan, &self.state, &block);
            }
            block.clear();
            from = upto;
        }
        self.block = block;
        Ok(())
    }

    /// Whether the fast loop can be used: rows and 64-bit sums, no nulls so far.
    fn is_simple(&self) -> bool {
        let lanes = &self.state.lanes;
        let simple = lanes.first() == Some(&SumLane::Rows)
            && lanes[1..].iter().all(|l| matches!(l, SumLane::Sum(_)));
        simple
            && lanes.len() <= LANES_MAX
            && self.state.wide_columns.is_empty()
            && !self.plan.has_extras()
    }

    fn process_fast(
        &mut self,
        rows: &Chunk,
        range: std::ops::Range<usize>,
        block: &mut Block,
    ) -> Result<(), OperatorError> {
        let lanes = self.state.lanes.len();
        let sums: Vec<usize> = self
            .state
            .lanes
            .iter()
            .filter_map(|l| if let SumLane::Sum(c) = l { Some(*c) } else { None })
            .collect();
        let OnInput { undelayed, include, .. } = self.plan;
        let shape = Loop { sums: &sums, tails: &self.plan.tails, undelayed, include };
        let width = lanes * self.plan.tails.len();
        block.narrow.resize(range.len() * width, 0);
        let mut from = range.start;
        while from < range.end {
            let due = self.history.others_due();
            if rows.times[from] >= due {
                let (plan, state) = (&self.plan, &mut self.state);
                let fold =
                    &mut |edge: usize, rows: &Chunk, row: usize| state.fold(plan, edge, rows, row);
                self.history.advance(rows.times[from], fold).map_err(|e| self.storage(e))?;
                continue;
            }
            let mut tails = self.history.tails();
            let out = &mut block.narrow[(from - range.start) * width..];
            let shards = &mut self.state.narrow;
            let left = from..range.end;
            let done = match lanes {
                1 => fast::run::<1>(&shape, shards, rows, left, &mut tails, due, out),
                2 => fast::run::<2>(&shape, shards, rows, left, &mut tails, due, out),
                3 => fast::run::<3>(&shape, shards, rows, left, &mut tails, due, out),
                _ => fast::run::<LANES_MAX>(&shape, shards, rows, left, &mut tails, due, out),
            };
            let clock = if done > from { rows.times[done - 1] } else { self.history.clock() };
            self.history.set_tails(tails, clock).map_err(|e| self.storage(e))?;
            from = done;
        }
        Ok(())
    }

    /// Processes one row; `logged` when it is in the main log already.
    fn process_row(
        &mut self,
        rows: &Chunk,
        row: usize,
        logged: bool,
        show: bool,
        block: &mut Block,
    ) -> Result<(), OperatorError> {
        let time = rows.times[row];
        let late = time < self.history.clock();
        if !late {
            let (plan, state) = (&self.plan, &mut self.state);
            let fold =
                &mut |edge: usize, rows: &Chunk, row: usize| state.fold(plan, edge, rows, row);
            self.history.advance(time, fold).map_err(|e| self.storage(e))?;
        }
        let key = KeyId(rows.keys[row]);
        let unknown = time < self.watermark.saturating_sub(self.late_horizon);
        let since =
            if self.plan.since && show && !unknown { self.since_last(key, time)? } else { None };
        if self.plan.include {
            self.enter(rows, row, logged);
        }
        if show {
            if unknown {
                block.unknown.push(block.rows);
                self.show_nothing(block);
            } else if late {
                self.show_late(key, time, since, block)?;
            } else {
                self.show(key, time, since, block);
            }
            block.rows += 1;
        }
        if !self.plan.include {
            self.enter(rows, row, logged);
        }
        if self.plan.since {
            let extras = &mut self.state.extras[usize::from(key.shard().0)][key.local()];
            extras.last_time = extras.last_time.max(time);
        }
        Ok(())
    }
}

impl FeaturesOperator {
    /// Processes a batch and sends it on with its features.
    fn emit(&mut self, batch: &RecordBatch, out: &mut Output) -> Result<(), OperatorError> {
        let rows = self.take_in(batch)?;
        let (features, unfit) = self.features(rows)?;
        self.send(batch, features, &unfit, out)
    }

    /// Processes the rows of several batches in `order`, and sends each batch on with its features.
    /// The batches' other columns, which are many, stay where they are.
    fn emit_merged(
        &mut self,
        batches: &[RecordBatch],
        order: &[(u32, u32)],
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let taken =
            batches.iter().map(|batch| self.take_in(batch)).collect::<Result<Vec<_>, _>>()?;
        let (features, unfit) = self.features(Chunk::interleaved(&taken, order))?;
        let mut unfit_of: Vec<Vec<Unfit>> = batches.iter().map(|_| Vec::new()).collect();
        for value in unfit {
            let (batch, row) = order[value.row];
            unfit_of[batch as usize].push(Unfit { row: row as usize, ..value });
        }
        let mut places: Vec<Vec<u32>> =
            batches.iter().map(|batch| vec![0; batch.num_rows()]).collect();
        for (place, (batch, row)) in (0u32..).zip(order) {
            places[*batch as usize][*row as usize] = place;
        }
        for ((batch, places), unfit) in batches.iter().zip(places).zip(&unfit_of) {
            let places = UInt32Array::from(places);
            let features =
                features.iter().map(|column| take(column, &places, None)).collect::<Result<_, _>>();
            self.send(batch, features.map_err(|e| self.arrow(e))?, unfit, out)?;
        }
        Ok(())
    }

    /// Processes rows; gives the columns that the step adds, and which of their values don't fit.
    fn features(&mut self, rows: Chunk) -> Result<(Vec<ArrayRef>, Vec<Unfit>), OperatorError> {
        let mut builder = Builder::new(&self.plan, rows.len());
        self.process(&rows, Some(&mut builder))?;
        let (mut columns, unfit) = builder.finish(&self.plan).map_err(|e| self.arrow(e))?;
        // An earlier run with a shorter late horizon may have forgotten rows that windows of this
        // run reach.
        let is_gone = |time: &i64| time.saturating_sub(self.plan.reach()) < self.pruned_before;
        if self.since.is_later() || rows.times.iter().any(is_gone) {
            columns = self
                .since
                .hide(&self.plan, &rows.times, self.pruned_before, columns)
                .map_err(|e| self.arrow(e))?;
        }
        self.processed.push(rows);
        Ok((columns, unfit))
    }

    fn send(
        &mut self,
        batch: &RecordBatch,
        features: Vec<ArrayRef>,
        unfit: &[Unfit],
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let mut columns = batch.columns().to_vec();
        columns.extend(features);
        let schema = std::sync::Arc::clone(&self.plan.output_schema);
        let sent = RecordBatch::try_new(schema, columns).map_err(|e| self.arrow(e))?;
        self.dead.unfit(&sent, unfit, out).map_err(|e| self.arrow(e))?;
        out.push(sent);
        Ok(())
    }

    /// The end of an epoch's rows: the clock moves to the watermark, rows up to it are settled,
    /// what no window can reach is forgotten.
    pub(super) fn close(&mut self, watermark: EventTime) -> Result<(), OperatorError> {
        // The largest time means that the input has ended; should it go on in another run, the last
        // real watermark still holds.
        if watermark == EventTime::MAX || watermark.0 <= self.watermark {
            return Ok(());
        }
        let clock = self.history.clock().max(watermark.0);
        let (plan, state) = (&self.plan, &mut self.state);
        let fold = &mut |edge: usize, rows: &Chunk, row: usize| state.fold(plan, edge, rows, row);
        self.history.advance(clock, fold).map_err(|e| self.storage(e))?;
        if self.order == Order::Arrival {
            self.history
                .append_reached(self.watermark, watermark.0)
                .map_err(|e| self.storage(e))?;
        }
        self.watermark = watermark.0;
        self.history.prune(self.floor());
        Ok(())
    }

    /// Rows at or before this time can't be reached by any row that still gets features.
    pub(super) fn floor(&self) -> i64 {
        self.watermark.saturating_sub(self.late_horizon).saturating_sub(self.plan.reach())
    }
}

impl Operator for FeaturesOperator {
    fn output_schema(&self) -> SchemaRef {
        std::sync::Arc::clone(&self.plan.output_schema)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.plan.by.clone())
    }

    fn shape(&self) -> Option<Shape> {
        Some(self.plan.meaning(self.order))
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)?;
        self.since.decide_shown(&self.plan, self.pruned_before);
        Ok(())
    }

    fn begin_after(&mut self, seen: EventTime) {
        self.since.begin_after(seen.0);
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        match self.order {
            Order::EventTime => {
                self.gathered.push(batch);
                Ok(())
            }
            Order::Arrival => self.emit(&batch, out),
        }
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        let gathered = std::mem::take(&mut self.gathered);
        let ordered =
            in_order(gathered, self.plan.time, &self.plan.ties).map_err(|e| self.arrow(e))?;
        for part in &ordered {
            match part {
                Ordered::Batch(batch) => self.emit(batch, out)?,
                Ordered::Merged { batches, order } => self.emit_merged(batches, order, out)?,
            }
        }
        self.close(close.watermark)?;
        self.history.enforce_budget(close.epoch).map_err(|e| self.storage(e))
    }

    fn changes(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_changes(close)
    }

    fn snapshot(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_snapshot(close)
    }

    fn state_bytes(&self) -> usize {
        self.dictionary.bytes() + self.state.bytes() + self.history.bytes()
    }

    fn live_files(&self) -> Vec<String> {
        let mut files = self.history.files();
        files.extend(self.snapshot_files.iter().flatten().cloned());
        files.into_iter().collect()
    }
}
