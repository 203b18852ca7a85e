//! The step as an operator: rows are gathered as they come, pairs leave when an epoch closes.

use super::spec::{Plan, PreviousSpec};
use super::timeline::{Change, Entry, Timeline};
use crate::dead_rows::DeadRows;
use crate::keyed::kept::KeptByKey;
use crate::step_error::{StepError, check_key};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use riskstream_engine::contract::{
    EpochClose, Feed, Operator, OperatorError, Output, REASON_LATE, Routing, SavedState, Shape,
    StateBatch, StateDir,
};
use riskstream_engine::ids::{Epoch, Ownership};
use std::sync::Arc;

/// Rows of a batch that leaves.
const BATCH_ROWS: usize = 16_384;

/// Rows beside the rows before them. See the [module documentation](super).
#[derive(Debug)]
pub struct PreviousOperator {
    pub(super) plan: Plan,
    /// What is kept of every key's rows, and the rows of the open epoch.
    pub(super) kept: KeptByKey<Entry>,
    /// Between a row's columns and bytes.
    pub(super) rows: RowConverter,
    /// Between what orders rows and bytes that compare.
    pub(super) orders: RowConverter,
    /// Between what is shown of a row and bytes.
    pub(super) shown: RowConverter,
    /// What is shown where there is no row before.
    nothing: Box<[u8]>,
    pub(super) input: SchemaRef,
    pub(super) feed: Feed,
    dead: DeadRows,
    /// The last close's; `i64::MIN` before the first.
    pub(super) watermark: i64,
    /// What was at or before this time was given up before the step was asked to keep it longer.
    pub(super) given_up: i64,
}

impl PreviousOperator {
    /// A step that has seen no rows, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: PreviousSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let plan = Plan::new(spec, input)?;
        let names = |columns: &[usize]| {
            columns
                .iter()
                .map(|index| input.field(*index).name().as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let found = |columns: &[usize]| {
            columns.first().map_or(DataType::Null, |index| input.field(*index).data_type().clone())
        };
        let converter = |columns: &[usize], role| {
            let fields = columns
                .iter()
                .map(|index| SortField::new(input.field(*index).data_type().clone()))
                .collect();
            let wrong =
                |_| StepError::WrongType { column: names(columns), found: found(columns), role };
            RowConverter::new(fields).map_err(wrong)
        };
        check_key(&plan.by, input)?;
        let mut dead = DeadRows::new(&plan.spec.step_id, input);
        dead.set_event_time(&plan.spec.event_time, input)?;
        let shown = converter(&plan.shown, "a row's columns hold plain values")?;
        let nulls: Vec<ArrayRef> = plan
            .shown
            .iter()
            .map(|index| new_null_array(input.field(*index).data_type(), 1))
            .collect();
        let nothing = shown
            .convert_columns(&nulls)
            .map(|rows| rows.row(0).as_ref().into())
            .unwrap_or_default();
        Ok(Self {
            rows: converter(&plan.row, "a row's columns hold plain values")?,
            orders: converter(&plan.order, "rows are ordered by plain values")?,
            shown,
            nothing,
            kept: KeptByKey::new(&plan.spec.step_id, dir, plan.spec.memory_bytes),
            input: Arc::clone(input),
            feed: Feed::default(),
            dead,
            watermark: i64::MIN,
            given_up: i64::MIN,
            plan,
        })
    }

    /// With what feeds it, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.feed = feed;
        self
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.spec.step_id.clone(), source }
    }

    /// Rows at or before this time come too late.
    pub(super) fn horizon(&self) -> i64 {
        self.watermark.saturating_sub(self.plan.spec.keep).max(self.given_up)
    }

    /// The rows that do not come too late; the others become dead letters.
    fn in_time(&mut self, batch: RecordBatch, out: &mut Output) -> Result<RecordBatch, ArrowError> {
        let horizon = self.horizon();
        let times =
            batch.column(self.plan.time).as_primitive::<TimestampMicrosecondType>().values();
        if horizon == i64::MIN || times.iter().all(|time| *time > horizon) {
            return Ok(batch);
        }
        let late: Vec<bool> = times.iter().map(|time| *time <= horizon).collect();
        let detail =
            "it comes after later rows of its key, by more than is kept (`keep` of the step)";
        self.dead.sort_out(&batch, &late, (REASON_LATE, detail), out)
    }

    fn gather(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = |indices: &[usize]| {
            indices.iter().map(|index| Arc::clone(batch.column(*index))).collect::<Vec<ArrayRef>>()
        };
        let rows = self.rows.convert_columns(&columns(&self.plan.row))?;
        let orders = self.orders.convert_columns(&columns(&self.plan.order))?;
        let shown = self.shown.convert_columns(&columns(&self.plan.shown))?;
        let times = batch.column(self.plan.time).as_primitive::<TimestampMicrosecondType>();
        let diffs = self.plan.diff.map(|index| batch.column(index).as_primitive::<Int64Type>());
        let entry = |row| Entry {
            order: orders.row(row).as_ref().into(),
            row: rows.row(row).as_ref().into(),
            time: times.value(row),
            shown: shown.row(row).as_ref().into(),
            count: diffs.map_or(1, |diffs| diffs.value(row)),
        };
        self.kept.gather(&columns(&self.plan.by), (0..batch.num_rows()).map(entry))
    }
}

/// Between changes and rows on their way out.
struct Leaving<'a> {
    plan: &'a Plan,
    rows: &'a RowConverter,
    shown: &'a RowConverter,
    nothing: &'a [u8],
}

impl Leaving<'_> {
    /// Changes as rows; none are left.
    fn send(&self, changes: &mut Vec<Change>, out: &mut Output) -> Result<(), ArrowError> {
        let (rows, shown) = (self.rows.parser(), self.shown.parser());
        let mut columns =
            self.rows.convert_rows(changes.iter().map(|change| rows.parse(&change.row)))?;
        let before = changes
            .iter()
            .map(|change| shown.parse(change.before.as_deref().unwrap_or(self.nothing)));
        columns.extend(self.shown.convert_rows(before)?);
        columns
            .push(Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.diff))));
        changes.clear();
        out.push(RecordBatch::try_new(Arc::clone(&self.plan.output), columns)?);
        Ok(())
    }
}

impl Operator for PreviousOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.plan.by.clone())
    }

    fn shape(&self) -> Option<Shape> {
        Some(self.meaning())
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let batch = self.in_time(batch, out).map_err(|e| self.arrow(e))?;
        self.gather(&batch).map_err(|e| self.arrow(e))
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        let horizon = self.horizon();
        let leaving = Leaving {
            plan: &self.plan,
            rows: &self.rows,
            shown: &self.shown,
            nothing: &self.nothing,
        };
        let mut changes = Vec::new();
        self.kept.close(|kept, entries, keep| {
            let Some(mut timeline) =
                kept.map_or_else(|| Some(Timeline::default()), Timeline::decode)
            else {
                return Ok(false);
            };
            timeline.prune(horizon);
            timeline.take(entries, &mut changes);
            timeline.encode(keep);
            if changes.len() >= BATCH_ROWS {
                leaving.send(&mut changes, out)?;
            }
            Ok(true)
        })?;
        if !changes.is_empty() {
            leaving.send(&mut changes, out).map_err(|e| self.arrow(e))?;
        }
        self.watermark = self.watermark.max(close.watermark.0);
        Ok(())
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_changes().map_err(|e| self.arrow(e))
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_all()
    }

    fn state_bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn live_files(&self) -> Vec<String> {
        self.kept.live_files()
    }
}
