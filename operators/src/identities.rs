//! Says of each row which identities do not hold for it, and with which numbers: a book that is not
//! the sum of its buckets.
//!
//! Rows go on unchanged but for two columns: `broken`, the ids of the identities that do not hold,
//! and `broken_values`, what the columns that they name hold; both null where all hold. A
//! destination with `when = "broken is not null"` makes alerts of them. An identity that is null
//! (not known) holds. A row for which one can't be computed becomes a dead letter.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{OperatorError, Output};
use riskstream_engine::ids::Epoch;
use std::sync::Arc;

use crate::dead_rows::{DeadRows, REASON_COMPUTE, isolate};
use crate::expression::{CompiledExpression, Compiler, EvaluationError};
use crate::stateless::Stateless;
use crate::step_error::{StepError, append_columns};

/// Column of the ids of the identities that do not hold, Utf8, separated by `, `; null where all
/// hold.
pub const BROKEN: &str = "broken";
/// Column of what the columns of these identities hold, Utf8: `id: a = 1, b = 2; ...`.
pub const BROKEN_VALUES: &str = "broken_values";

/// Conditions that hold for every row, each with an id. See the [module documentation](self).
#[derive(Debug)]
pub struct IdentitiesOperator {
    step: String,
    schema: SchemaRef,
    identities: Vec<(String, CompiledExpression)>,
    dead: DeadRows,
}

impl IdentitiesOperator {
    /// `identities`: id and SQL condition.
    ///
    /// # Errors
    /// When one can't be compiled; [`StepError::Expression`] says which.
    pub fn new(
        step_id: &str,
        identities: &[(String, String)],
        input: &SchemaRef,
    ) -> Result<Self, StepError> {
        let compile = |(index, (id, sql)): (usize, &(String, String))| {
            let compiled = Compiler::shared().compile_predicate(sql, input);
            compiled
                .map(|compiled| (id.clone(), compiled))
                .map_err(|source| StepError::Expression { index, source })
        };
        let compiled = identities.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        let added = [BROKEN, BROKEN_VALUES].map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Arc::new(append_columns(input, added)?);
        Ok(Self {
            step: step_id.to_owned(),
            schema,
            identities: compiled,
            dead: DeadRows::new(step_id, input),
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

    fn marked(
        &self,
        batch: &RecordBatch,
        answers: &[BooleanArray],
    ) -> Result<RecordBatch, ArrowError> {
        let (mut broken, mut values) = (StringBuilder::new(), StringBuilder::new());
        let fails = |answer: &BooleanArray, row: usize| answer.is_valid(row) && !answer.value(row);
        for row in 0..batch.num_rows() {
            let failing = self
                .identities
                .iter()
                .zip(answers)
                .filter(|(_, answer)| fails(answer, row))
                .map(|(identity, _)| identity);
            let (mut ids, mut texts) = (Vec::new(), Vec::new());
            for (id, condition) in failing {
                ids.push(id.as_str());
                let shown = condition.columns().into_iter().map(|(name, index)| {
                    let formatter = ArrayFormatter::try_new(
                        batch.column(index),
                        &FormatOptions::default().with_null("null"),
                    )?;
                    Ok(format!("{name} = {}", formatter.value(row)))
                });
                texts.push(format!(
                    "{id}: {}",
                    shown.collect::<Result<Vec<_>, ArrowError>>()?.join(", ")
                ));
            }
            broken.append_option((!ids.is_empty()).then(|| ids.join(", ")));
            values.append_option((!texts.is_empty()).then(|| texts.join("; ")));
        }
        let mut columns = batch.columns().to_vec();
        columns.extend([Arc::new(broken.finish()) as ArrayRef, Arc::new(values.finish())]);
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    fn apply(&mut self, batch: &RecordBatch, out: &mut Output) -> Result<(), ArrowError> {
        let isolated = isolate(batch, |rows| -> Result<Vec<BooleanArray>, EvaluationError> {
            self.identities
                .iter()
                .map(|(_, condition)| condition.evaluate_predicate(rows))
                .collect()
        });
        self.dead.push(batch, &isolated.bad, REASON_COMPUTE)?;
        self.dead.flush(out);
        for (rows, answers) in &isolated.good {
            out.push(self.marked(rows, answers)?);
        }
        Ok(())
    }
}

impl Stateless for IdentitiesOperator {
    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.apply(&batch, out)
            .map_err(|source| OperatorError::Arrow { step: self.step.clone(), source })
    }
}
