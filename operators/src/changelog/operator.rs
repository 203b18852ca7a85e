//! The step as an operator: versions are gathered as they come, changes leave when an epoch closes.

use super::spec::{ChangelogSpec, Plan};
use super::versions::{Change, Record, Version};
use crate::dead_rows::{DeadRows, REASON_COMPUTE, isolate};
use crate::expression::EvaluationError;
use crate::keyed::kept::KeptByKey;
use crate::step_error::{StepError, check_key};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
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

/// Versions of records into changes. See the [module documentation](super).
#[derive(Debug)]
pub struct ChangelogOperator {
    pub(super) plan: Plan,
    /// What is kept of every record, and the versions of the open epoch.
    pub(super) kept: KeptByKey<Version>,
    /// Between columns of a record and bytes.
    pub(super) rows: RowConverter,
    /// Between what orders versions and bytes that compare.
    pub(super) orders: RowConverter,
    pub(super) input: SchemaRef,
    pub(super) feed: Feed,
    dead: DeadRows,
    /// The last close's; `i64::MIN` before the first.
    pub(super) watermark: i64,
    /// What was at or before this time was given up before the step was asked to keep it longer.
    pub(super) given_up: i64,
}

impl ChangelogOperator {
    /// A step with no records, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: ChangelogSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let plan = Plan::new(spec, input)?;
        let converter = |columns: &[usize], role| {
            let fields = columns
                .iter()
                .map(|index| SortField::new(input.field(*index).data_type().clone()))
                .collect();
            RowConverter::new(fields).map_err(|_| StepError::WrongType {
                column: columns
                    .iter()
                    .map(|index| input.field(*index).name().as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                found: columns
                    .first()
                    .map_or(DataType::Null, |index| input.field(*index).data_type().clone()),
                role,
            })
        };
        check_key(&plan.key, input)?;
        let mut dead = DeadRows::new(&plan.spec.step_id, input);
        dead.set_event_time(&plan.spec.event_time, input)?;
        Ok(Self {
            rows: converter(&plan.record, "a record's columns hold plain values")?,
            orders: converter(&plan.order, "versions are ordered by plain values")?,
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

    /// Versions at or before this time come too late.
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
        let detail = "it comes after later versions of its record, by more than is kept (`keep` of \
                      the step)";
        self.dead.sort_out(&batch, &late, (REASON_LATE, detail), out)
    }

    /// Gathers the versions of a batch for which all conditions can be told.
    fn gather(&mut self, batch: &RecordBatch, truths: &[BooleanArray]) -> Result<(), ArrowError> {
        let columns = |indices: &[usize]| {
            indices.iter().map(|index| Arc::clone(batch.column(*index))).collect::<Vec<ArrayRef>>()
        };
        let rows = self.rows.convert_columns(&columns(&self.plan.record))?;
        let orders = self.orders.convert_columns(&columns(&self.plan.order))?;
        let times = batch.column(self.plan.time).as_primitive::<TimestampMicrosecondType>();
        let (ever, deleted) = truths.split_at(self.plan.ever.len());
        let holds = |truth: &BooleanArray, row: usize| truth.is_valid(row) && truth.value(row);
        let version = |row| Version {
            order: orders.row(row).as_ref().into(),
            time: times.value(row),
            row: rows.row(row).as_ref().into(),
            is_deleted: deleted.first().is_some_and(|truth| holds(truth, row)),
            flags: ever
                .iter()
                .enumerate()
                .fold(0, |flags, (bit, truth)| flags | u64::from(holds(truth, row)) << bit),
        };
        self.kept.gather(&columns(&self.plan.key), (0..batch.num_rows()).map(version))
    }
}

/// Changes as rows; none are left.
fn leave(
    plan: &Plan,
    rows: &RowConverter,
    changes: &mut Vec<Change>,
    out: &mut Output,
) -> Result<(), ArrowError> {
    let parser = rows.parser();
    let mut record =
        rows.convert_rows(changes.iter().map(|change| parser.parse(&change.row)))?.into_iter();
    let mut ever = 0..plan.spec.ever.len();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(plan.output.fields().len());
    for field in plan.output.fields() {
        if *field.name() == plan.spec.event_time {
            let times = changes.iter().map(|change| change.time);
            columns.push(Arc::new(
                TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"),
            ));
        } else if let Some(column) = record.next() {
            columns.push(column);
        } else if let Some(bit) = ever.next() {
            columns.push(Arc::new(BooleanArray::from_iter(
                changes.iter().map(|change| Some(change.flags >> bit & 1 == 1)),
            )));
        } else {
            columns.push(Arc::new(Int64Array::from_iter_values(
                changes.iter().map(|change| change.diff),
            )));
        }
    }
    changes.clear();
    out.push(RecordBatch::try_new(Arc::clone(&plan.output), columns)?);
    Ok(())
}

impl Operator for ChangelogOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.plan.key.clone())
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
        let isolated = isolate(&batch, |rows| -> Result<Vec<BooleanArray>, EvaluationError> {
            self.plan
                .ever
                .iter()
                .chain(&self.plan.deleted)
                .map(|condition| condition.evaluate_predicate(rows))
                .collect()
        });
        self.dead.push(&batch, &isolated.bad, REASON_COMPUTE).map_err(|e| self.arrow(e))?;
        self.dead.flush(out);
        for (rows, truths) in &isolated.good {
            self.gather(rows, truths).map_err(|e| self.arrow(e))?;
        }
        Ok(())
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        let horizon = self.horizon();
        let (plan, rows) = (&self.plan, &self.rows);
        let mut changes = Vec::new();
        self.kept.close(|kept, versions, keep| {
            let Some(mut record) = kept.map_or_else(|| Some(Record::default()), Record::decode)
            else {
                return Ok(false);
            };
            record.prune(horizon);
            record.take(versions, &mut changes);
            if !record.is_forgotten(horizon) {
                record.encode(keep);
            }
            if changes.len() >= BATCH_ROWS {
                leave(plan, rows, &mut changes, out)?;
            }
            Ok(true)
        })?;
        if !changes.is_empty() {
            leave(plan, rows, &mut changes, out).map_err(|e| self.arrow(e))?;
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
