//! Scores rows by models that can be swapped between epochs.
//!
//! ```text
//! Registry ─▶ ModelWatch ─▶ ModelCell (epoch → model) ─▶ ScoreOperator on every worker
//!             new, fits?    in force from an epoch on
//! ```

mod models;
mod watch;

pub use models::{ModelCell, PublishError, check_features, model_tag};
pub use watch::{ModelWatch, WatchProblem, Watched};

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, Output};
use riskstream_engine::ids::Epoch;

use crate::stateless::Stateless;
use crate::step_error::{StepError, append_columns};

/// One score of a `score` step.
#[derive(Debug, Clone)]
pub struct ScoreColumn {
    /// The new column: Float64, 0 to 1, higher is more like fraud, never null.
    pub output: String,
    /// The new column that says who scored: Utf8, `name@version`, never null.
    pub version_column: String,
    /// The model of each epoch.
    pub models: Arc<ModelCell>,
}

impl ScoreColumn {
    /// A score whose version column is `<output>_model`.
    pub fn new(output: impl Into<String>, models: Arc<ModelCell>) -> Self {
        let output = output.into();
        Self { version_column: format!("{output}_model"), output, models }
    }
}

/// `score = { COLUMN = "model" }`: two columns per score. All rows of an epoch get the same model,
/// on every worker.
#[derive(Debug)]
pub struct ScoreOperator {
    step: String,
    output: SchemaRef,
    columns: Vec<ScoreColumn>,
}

impl ScoreOperator {
    /// A step that scores rows of `schema`.
    ///
    /// # Errors
    /// When a model in force can't score such rows, or a column is there already.
    pub fn new(
        step_id: &str,
        columns: Vec<ScoreColumn>,
        schema: SchemaRef,
    ) -> Result<Self, StepError> {
        for column in &columns {
            for model in column.models.all() {
                check_features(&model, &schema)?;
            }
        }
        let fields = columns.iter().flat_map(|column| {
            [
                Field::new(&column.output, DataType::Float64, false),
                Field::new(&column.version_column, DataType::Utf8, false),
            ]
        });
        let output = Arc::new(append_columns(&schema, fields)?);
        Ok(Self { step: step_id.to_owned(), output, columns })
    }

    fn arrow_error(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.step.clone(), source }
    }
}

impl Stateless for ScoreOperator {
    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.output)
    }

    fn on_batch(
        &mut self,
        epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let mut columns = batch.columns().to_vec();
        for column in &self.columns {
            let model = column.models.effective_at(epoch);
            let scored = model.score_batch(&batch).map_err(|e| OperatorError::Compute {
                step: self.step.clone(),
                reason: format!("model {} can't score the rows: {e}", model_tag(&model)),
            })?;
            columns.push(Arc::new(scored.score));
            columns.push(
                repeat(&model_tag(&model), batch.num_rows()).map_err(|e| self.arrow_error(e))?,
            );
        }
        out.push(
            RecordBatch::try_new(SchemaRef::clone(&self.output), columns)
                .map_err(|e| self.arrow_error(e))?,
        );
        Ok(())
    }
}

/// `rows` times `text`: the bytes are copied in one go and the offsets counted, not appended one by
/// one.
pub(crate) fn repeat(text: &str, rows: usize) -> Result<ArrayRef, ArrowError> {
    let too_long = |_| ArrowError::OffsetOverflowError(text.len().saturating_mul(rows));
    let end = i32::try_from(text.len().saturating_mul(rows)).map_err(too_long)?;
    let offsets: ScalarBuffer<i32> = match text.len() {
        0 => vec![0; rows + 1].into(),
        // The last offset fits, so do the ones before; a step of at least one never exceeds it.
        length => (0..=end).step_by(length).collect::<Vec<i32>>().into(),
    };
    Ok(Arc::new(StringArray::try_new(
        OffsetBuffer::new(offsets),
        text.repeat(rows).into_bytes().into(),
        None,
    )?))
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
