//! Sends rows that can't be to the dead-letter table: a negative amount, a date before the bank was
//! founded.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, Output};
use riskstream_engine::ids::Epoch;

use crate::dead_rows::{DeadRows, REASON_COMPUTE, REASON_IMPOSSIBLE, isolate};
use crate::expression::{CompiledExpression, Compiler, EvaluationError};
use crate::stateless::Stateless;
use crate::step_error::StepError;

/// Conditions that every possible row meets. A row for which one is false becomes a dead letter
/// with reason `impossible` and the text of the first such check; null (not known) passes. A row
/// for which a check fails to compute has reason `compute`.
#[derive(Debug)]
pub struct ChecksOperator {
    step: String,
    schema: SchemaRef,
    checks: Vec<CompiledExpression>,
    dead: DeadRows,
}

impl ChecksOperator {
    /// Checks rows of `schema`.
    ///
    /// # Errors
    /// When a check can't be compiled; [`StepError::Expression`] says which.
    pub fn new<E: AsRef<str>>(
        step_id: &str,
        checks: &[E],
        schema: SchemaRef,
    ) -> Result<Self, StepError> {
        let compile = |(index, sql): (usize, &E)| {
            Compiler::shared()
                .compile_predicate(sql.as_ref(), &schema)
                .map_err(|source| StepError::Expression { index, source })
        };
        let checks = checks.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { step: step_id.to_owned(), dead: DeadRows::new(step_id, &schema), schema, checks })
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
        if let Ok(answers) = answers(&self.checks, &batch) {
            return self.part(batch, &answers, out);
        }
        let isolated = isolate(&batch, |rows| answers(&self.checks, rows));
        self.dead.push(&batch, &isolated.bad, REASON_COMPUTE)?;
        let mut passed = Output::default();
        for (rows, answers) in isolated.good {
            self.part(rows, &answers, &mut passed)?;
        }
        self.dead.flush(out);
        out.dead.append(&mut passed.dead);
        out.push(concat_batches(&self.schema, &passed.rows)?);
        Ok(())
    }

    /// Sends on the rows that no check denies.
    fn part(
        &mut self,
        batch: RecordBatch,
        answers: &[BooleanArray],
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        if answers.iter().all(|answer| answer.false_count() == 0) {
            out.push(batch);
            return Ok(());
        }
        let denies = |answer: &BooleanArray, row: usize| answer.is_valid(row) && !answer.value(row);
        let mut denied = Vec::new();
        let mut possible = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let check = answers.iter().position(|answer| denies(answer, row));
            possible.push(check.is_none());
            if let Some(check) = check {
                denied.push((row, format!("not so: {}", self.checks[check].sql())));
            }
        }
        self.dead.push(&batch, &denied, REASON_IMPOSSIBLE)?;
        self.dead.flush(out);
        out.push(filter_record_batch(&batch, &BooleanArray::from(possible))?);
        Ok(())
    }
}

fn answers(
    checks: &[CompiledExpression],
    rows: &RecordBatch,
) -> Result<Vec<BooleanArray>, EvaluationError> {
    let named = |check: &CompiledExpression, e: EvaluationError| {
        EvaluationError::new(format!("{}: {e}", check.sql()))
    };
    checks.iter().map(|check| check.evaluate_predicate(rows).map_err(|e| named(check, e))).collect()
}

impl Stateless for ChecksOperator {
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
