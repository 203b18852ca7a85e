//! Rows once more under a name for all: each lender's row also as one of lender `ALL`, so that what
//! is added up per lender is there for all of them too.
//!
//! With several such columns a row leaves once for each choice of columns that stand for all (a
//! cube). It goes before an `aggregate` step.

use crate::stateless::Stateless;
use crate::step_error::StepError;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, Output};
use riskstream_engine::ids::Epoch;
use std::sync::Arc;

/// The most columns that may stand for all: with n of them a row leaves 2^n times.
pub const TOTALS_MAX: usize = 4;

/// Rows, and the same under a name for all. See the [module documentation](self).
#[derive(Debug)]
pub struct TotalsOperator {
    step: String,
    /// A column and the name for all its values.
    names: Vec<(usize, String)>,
    schema: SchemaRef,
}

impl TotalsOperator {
    /// `names`: columns, each with the name for all its values.
    ///
    /// # Errors
    /// When a column is not there or holds no text, or there are too many.
    pub fn new(
        step_id: &str,
        names: &[(String, String)],
        input: &SchemaRef,
    ) -> Result<Self, StepError> {
        if names.len() > TOTALS_MAX {
            return Err(StepError::Thresholds {
                problem: format!("`totals` has {} columns, at most {TOTALS_MAX}", names.len()),
            });
        }
        let mut fields: Vec<Field> =
            input.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut found = Vec::new();
        for (column, name) in names {
            let index =
                input.index_of(column).map_err(|_| StepError::unknown_column(column, input))?;
            if fields[index].data_type() != &DataType::Utf8 {
                return Err(StepError::WrongType {
                    column: column.clone(),
                    found: fields[index].data_type().clone(),
                    role: "a column of `totals` holds text, since the name for all is a text; cast \
                           it in a `derive` step before",
                });
            }
            fields[index] = fields[index].clone().with_nullable(true);
            found.push((index, name.clone()));
        }
        Ok(Self { step: step_id.to_owned(), names: found, schema: Arc::new(Schema::new(fields)) })
    }

    /// The rows with those of the columns named whose bit is set.
    fn under(&self, batch: &RecordBatch, choice: u32) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        for (bit, (index, name)) in self.names.iter().enumerate() {
            if choice >> bit & 1 == 1 {
                columns[*index] = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                    name,
                    batch.num_rows(),
                )));
            }
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl Stateless for TotalsOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        for choice in 0..1 << self.names.len() {
            out.push(
                self.under(&batch, choice)
                    .map_err(|source| OperatorError::Arrow { step: self.step.clone(), source })?,
            );
        }
        Ok(())
    }
}
