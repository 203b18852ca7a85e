//! Keeps the rows for which a condition is true.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, Output};
use riskstream_engine::ids::Epoch;

use crate::dead_rows::{DeadRows, REASON_COMPUTE, isolate};
use crate::expression::{CompiledExpression, Compiler};
use crate::stateless::Stateless;
use crate::step_error::StepError;

/// `filter = "SQL"`: a row stays where the condition is true; false and null drop it, as `WHERE`
/// does. A row for which the condition fails becomes a dead letter with reason `compute`.
#[derive(Debug)]
pub struct FilterOperator {
    step: String,
    schema: SchemaRef,
    condition: CompiledExpression,
    dead: DeadRows,
}

impl FilterOperator {
    /// A filter of rows of `schema`.
    ///
    /// # Errors
    /// When the condition can't be compiled.
    pub fn new(step_id: &str, condition: &str, schema: SchemaRef) -> Result<Self, StepError> {
        let condition = Compiler::shared()
            .compile_predicate(condition, &schema)
            .map_err(|source| StepError::Expression { index: 0, source })?;
        Ok(Self {
            step: step_id.to_owned(),
            dead: DeadRows::new(step_id, &schema),
            schema,
            condition,
        })
    }

    /// Names the event time column for dead letters.
    ///
    /// # Errors
    /// When it is not there or not a timestamp in microseconds.
    pub fn with_event_time(mut self, column: &str) -> Result<Self, StepError> {
        self.dead.set_event_time(column, &self.schema)?;
        Ok(self)
    }

    fn apply(&mut self, batch: RecordBatch, out: &mut Output) -> Result<(), ArrowError> {
        if let Ok(truth) = self.condition.evaluate_predicate(&batch) {
            return keep(batch, &truth, out);
        }
        let isolated = isolate(&batch, |rows| self.condition.evaluate_predicate(rows));
        self.dead.push(&batch, &isolated.bad, REASON_COMPUTE)?;
        self.dead.flush(out);
        isolated.good.into_iter().try_for_each(|(rows, truth)| keep(rows, &truth, out))
    }
}

fn keep(batch: RecordBatch, truth: &BooleanArray, out: &mut Output) -> Result<(), ArrowError> {
    if truth.null_count() == 0 && truth.true_count() == truth.len() {
        out.push(batch);
    } else {
        out.push(filter_record_batch(&batch, truth)?);
    }
    Ok(())
}

impl Stateless for FilterOperator {
    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.apply(batch, out)
            .map_err(|source| OperatorError::Arrow { step: self.step.clone(), source })
    }
}

#[cfg(test)]
mod tests;
