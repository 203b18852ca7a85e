//! The step as an operator: versions are gathered as they come, changes leave when an epoch closes.

use super::spec::{ChangelogSpec, OnInput};
use super::versions::{Change, Record, Version};
use crate::dead_rows::{DeadRows, REASON_COMPUTE, isolate};
use crate::expression::EvaluationError;
use crate::keyed::BATCH_ROWS;
use crate::keyed::columns::{at, columns_of, converter, named_fields};
use crate::keyed::horizon::{HORIZON, Horizon};
use crate::keyed::kept::KeptByKey;
use crate::keyed::step::{Keyed, KeyedPlan, KeyedStep};
use crate::step_error::{StepError, check_key};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::RowConverter;
use riskstream_engine::contract::{EpochClose, OperatorError, Output, Shape, StateDir};
use std::sync::Arc;

/// Versions of records into changes. See the [module documentation](super).
pub type ChangelogOperator = Keyed<Changelog>;

/// The logic of the step.
#[derive(Debug)]
pub struct Changelog {
    plan: OnInput,
    /// What is kept of every record, and the versions of the open epoch.
    kept: KeptByKey<Record>,
    /// Between columns of a record and bytes.
    rows: RowConverter,
    /// Between what orders versions and bytes that compare.
    orders: RowConverter,
    input: SchemaRef,
    dead: DeadRows,
    horizon: Horizon,
}

impl ChangelogOperator {
    /// A step with no records, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: ChangelogSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let plan = OnInput::new(spec, input)?;
        check_key(&plan.key, input)?;
        let mut dead = DeadRows::new(&plan.spec.step_id, input);
        dead.set_event_time(&plan.spec.event_time, input)?;
        Ok(Self::of(Changelog {
            rows: converter(&plan.record, input, "a record's columns hold plain values")?,
            orders: converter(&plan.order, input, "versions are ordered by plain values")?,
            kept: KeptByKey::new(&plan.spec.step_id, dir, plan.spec.memory_bytes),
            input: Arc::clone(input),
            dead,
            horizon: Horizon::new(plan.spec.keep),
            plan,
        }))
    }
}

impl Changelog {
    /// Gathers the versions of a batch for which all conditions can be told.
    fn gather(&mut self, batch: &RecordBatch, truths: &[BooleanArray]) -> Result<(), ArrowError> {
        let rows = self.rows.convert_columns(&at(batch, &self.plan.record))?;
        let orders = self.orders.convert_columns(&at(batch, &self.plan.order))?;
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
        self.kept.gather(&at(batch, &self.plan.key), (0..batch.num_rows()).map(version))
    }
}

/// Changes as rows; none are left.
fn leave(
    plan: &OnInput,
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

impl KeyedStep for Changelog {
    type Kept = KeptByKey<Record>;
    const MARK: Option<&'static str> = Some(HORIZON);

    fn plan(&self) -> KeyedPlan<'_> {
        KeyedPlan {
            id: &self.plan.spec.step_id,
            input: &self.input,
            output: &self.plan.output,
            key: &self.plan.key,
        }
    }

    fn meaning(&self) -> Shape {
        let plan = &self.plan;
        let ever: Vec<String> =
            plan.spec.ever.iter().map(|(name, sql)| format!("{name} = {sql}")).collect();
        Shape::new("changelog")
            .fact("key", plan.spec.key.join(", "))
            .fact("columns", named_fields(&plan.output).join(", "))
            .fact("ever", ever.join(", "))
            .fact("deleted", plan.spec.deleted.clone().unwrap_or_default())
            .fact("event time", &plan.spec.event_time)
            .fact("order of versions", plan.order_types.join(", "))
    }

    fn reads(&self) -> Vec<usize> {
        let plan = &self.plan;
        let conditions = plan.spec.ever.iter().map(|(_, sql)| sql).chain(&plan.spec.deleted);
        let mut read = [&plan.key[..], &plan.record, &plan.order].concat();
        read.extend(conditions.flat_map(|sql| columns_of(sql, &self.input)));
        read
    }

    fn kept(&self) -> &Self::Kept {
        &self.kept
    }

    fn kept_mut(&mut self) -> &mut Self::Kept {
        &mut self.kept
    }

    fn mark(&self, watermark: i64) -> i64 {
        self.horizon.at(watermark)
    }

    fn restore_mark(&mut self, mark: i64) {
        self.horizon.restore(mark);
    }

    fn on_batch(
        &mut self,
        watermark: i64,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let detail = "it comes after later versions of its record, by more than is kept (`keep` of \
                      the step)";
        let of = (watermark, self.plan.time);
        let batch = self
            .horizon
            .in_time(of, batch, (&mut self.dead, detail), out)
            .map_err(|e| self.arrow(e))?;
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

    fn on_close(
        &mut self,
        (before, _): (i64, i64),
        _close: &EpochClose,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let horizon = self.horizon.at(before);
        let (plan, rows) = (&self.plan, &self.rows);
        let mut changes = Vec::new();
        self.kept.close(|record, versions| {
            record.prune(horizon);
            record.insert(versions, &mut changes);
            if changes.len() >= BATCH_ROWS {
                leave(plan, rows, &mut changes, out)?;
            }
            Ok(!record.is_forgotten(horizon))
        })?;
        if !changes.is_empty() {
            leave(plan, rows, &mut changes, out).map_err(|e| self.arrow(e))?;
        }
        Ok(())
    }
}
