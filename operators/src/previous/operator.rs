//! The step as an operator: rows are gathered as they come, pairs leave when an epoch closes.

use super::spec::{OnInput, PreviousSpec};
use super::timeline::{Entry, PairChange, Timeline};
use crate::dead_rows::DeadRows;
use crate::keyed::BATCH_ROWS;
use crate::keyed::columns::{at, converter, named_fields};
use crate::keyed::horizon::{HORIZON, Horizon};
use crate::keyed::kept::KeptByKey;
use crate::keyed::step::{Keyed, KeyedPlan, KeyedStep};
use crate::step_error::{StepError, check_key};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::RowConverter;
use riskstream_engine::contract::{EpochClose, OperatorError, Output, Shape, StateDir};
use std::sync::Arc;

/// Rows beside the rows before them. See the [module documentation](super).
pub type PreviousOperator = Keyed<Previous>;

/// The logic of the step.
#[derive(Debug)]
pub struct Previous {
    plan: OnInput,
    /// What is kept of every key's rows, and the rows of the open epoch.
    kept: KeptByKey<Timeline>,
    /// Between a row's columns and bytes.
    rows: RowConverter,
    /// Between what orders rows and bytes that compare.
    orders: RowConverter,
    /// Between what is shown of a row and bytes.
    shown: RowConverter,
    /// What is shown where there is no row before.
    nothing: Box<[u8]>,
    input: SchemaRef,
    dead: DeadRows,
    horizon: Horizon,
}

impl PreviousOperator {
    /// A step that has seen no rows, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: PreviousSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let plan = OnInput::new(spec, input)?;
        check_key(&plan.by, input)?;
        let mut dead = DeadRows::new(&plan.spec.step_id, input);
        dead.set_event_time(&plan.spec.event_time, input)?;
        let shown = converter(&plan.shown, input, "a row's columns hold plain values")?;
        let nulls: Vec<ArrayRef> = plan
            .shown
            .iter()
            .map(|index| new_null_array(input.field(*index).data_type(), 1))
            .collect();
        let nothing = shown
            .convert_columns(&nulls)
            .map(|rows| rows.row(0).as_ref().into())
            .unwrap_or_default();
        Ok(Self::of(Previous {
            rows: converter(&plan.row, input, "a row's columns hold plain values")?,
            orders: converter(&plan.order, input, "rows are ordered by plain values")?,
            shown,
            nothing,
            kept: KeptByKey::new(&plan.spec.step_id, dir, plan.spec.memory_bytes),
            input: Arc::clone(input),
            dead,
            horizon: Horizon::new(plan.spec.keep),
            plan,
        }))
    }
}

impl Previous {
    fn gather(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = self.rows.convert_columns(&at(batch, &self.plan.row))?;
        let orders = self.orders.convert_columns(&at(batch, &self.plan.order))?;
        let shown = self.shown.convert_columns(&at(batch, &self.plan.shown))?;
        let times = batch.column(self.plan.time).as_primitive::<TimestampMicrosecondType>();
        let diffs = self.plan.diff.map(|index| batch.column(index).as_primitive::<Int64Type>());
        let entry = |row| Entry {
            order: orders.row(row).as_ref().into(),
            row: rows.row(row).as_ref().into(),
            time: times.value(row),
            shown: shown.row(row).as_ref().into(),
            count: diffs.map_or(1, |diffs| diffs.value(row)),
        };
        self.kept.gather(&at(batch, &self.plan.by), (0..batch.num_rows()).map(entry))
    }
}

/// Between changes and rows on their way out.
struct Leaving<'a> {
    plan: &'a OnInput,
    rows: &'a RowConverter,
    shown: &'a RowConverter,
    nothing: &'a [u8],
}

impl Leaving<'_> {
    /// Changes as rows; none are left.
    fn send(&self, changes: &mut Vec<PairChange>, out: &mut Output) -> Result<(), ArrowError> {
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

impl KeyedStep for Previous {
    type Kept = KeptByKey<Timeline>;
    const MARK: Option<&'static str> = Some(HORIZON);

    fn plan(&self) -> KeyedPlan<'_> {
        KeyedPlan {
            id: &self.plan.spec.step_id,
            input: &self.input,
            output: &self.plan.output,
            key: &self.plan.by,
        }
    }

    fn meaning(&self) -> Shape {
        let plan = &self.plan;
        let shows: Vec<String> =
            plan.spec.columns.iter().map(|(name, from)| format!("{name} = {from}")).collect();
        Shape::new("previous")
            .fact("by", plan.spec.by.join(", "))
            .fact("columns", named_fields(&plan.output).join(", "))
            .fact("previous", shows.join(", "))
            .fact("event time", &plan.spec.event_time)
            .fact("order of rows", plan.order_types.join(", "))
            .fact("rows", if plan.diff.is_some() { "added and taken back" } else { "added" })
    }

    fn reads(&self) -> Vec<usize> {
        [&self.plan.by[..], &self.plan.row, &self.plan.order].concat()
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
        let detail =
            "it comes after later rows of its key, by more than is kept (`keep` of the step)";
        let of = (watermark, self.plan.time);
        let batch = self
            .horizon
            .in_time(of, batch, (&mut self.dead, detail), out)
            .map_err(|e| self.arrow(e))?;
        self.gather(&batch).map_err(|e| self.arrow(e))
    }

    fn on_close(
        &mut self,
        (before, _): (i64, i64),
        _close: &EpochClose,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let horizon = self.horizon.at(before);
        let leaving = Leaving {
            plan: &self.plan,
            rows: &self.rows,
            shown: &self.shown,
            nothing: &self.nothing,
        };
        let mut changes = Vec::new();
        self.kept.close(|timeline, entries| {
            timeline.prune(horizon);
            timeline.insert(entries, &mut changes);
            if changes.len() >= BATCH_ROWS {
                leaving.send(&mut changes, out)?;
            }
            Ok(true)
        })?;
        if !changes.is_empty() {
            leaving.send(&mut changes, out).map_err(|e| self.arrow(e))?;
        }
        Ok(())
    }
}
