//! Rows on their way to whoever shows them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use riskstream_query::QueryError;
use riskstream_query::service::{Answer, Stopped};

/// Rows that come as they are taken.
#[derive(Debug)]
pub(super) struct Feed {
    schema: SchemaRef,
    from: Source,
}

#[derive(Debug)]
enum Source {
    /// A statement that runs.
    Answer(Answer),
    /// One that explains another: its plans become lines.
    Plans(Answer),
    /// Rows that are there.
    Ready(VecDeque<RecordBatch>),
}

impl Feed {
    /// The rows of a statement that runs.
    pub(super) fn of_answer(answer: Answer) -> Self {
        Self { schema: Arc::clone(answer.schema()), from: Source::Answer(answer) }
    }

    /// The lines of an explanation, as PostgreSQL gives them.
    pub(super) fn of_plans(answer: Answer) -> Self {
        let schema = Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)]);
        Self { schema: Arc::new(schema), from: Source::Plans(answer) }
    }

    /// Rows that are there.
    pub(super) fn of_rows(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, from: Source::Ready(batches.into()) }
    }

    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the rows are lines that explain a statement.
    pub(super) fn is_plan(&self) -> bool {
        match &self.from {
            Source::Plans(_) => true,
            Source::Answer(_) | Source::Ready(_) => false,
        }
    }

    /// The next rows; none at the end.
    pub(super) fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        match &mut self.from {
            Source::Answer(answer) => answer.next_blocking(),
            Source::Plans(answer) => {
                let lines = |batch: RecordBatch| Ok(lines(&batch, &self.schema)?);
                answer.next_blocking().map(|batch| batch.and_then(lines))
            }
            Source::Ready(batches) => batches.pop_front().map(Ok),
        }
    }

    /// All rows, for what is known to be short.
    ///
    /// # Errors
    /// The statement fails.
    pub(super) fn all(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Stops the statement, and waits until it is on record how it ended.
    pub(super) fn stop(mut self) {
        match &mut self.from {
            Source::Answer(answer) | Source::Plans(answer) => {
                answer.cancel().stop(Stopped::Cancelled);
                while answer.next_blocking().is_some() {}
            }
            Source::Ready(_) => {}
        }
    }
}

/// Plans, one a row with its kind, as lines of text.
fn lines(plans: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let text = |column: usize| match plans.columns().get(column) {
        Some(array) => cast(array, &DataType::Utf8),
        None => Err(ArrowError::SchemaError("a plan of another form than expected".to_owned())),
    };
    let (kinds, texts) = (text(0)?, text(1)?);
    let (kinds, texts) = (kinds.as_string::<i32>(), texts.as_string::<i32>());
    let (several, mut lines) = (texts.len() > 1, Vec::new());
    for (kind, text) in kinds.iter().zip(texts) {
        if several {
            lines.push(format!("{}:", kind.unwrap_or_default()));
        }
        let indent = if several { "  " } else { "" };
        let text = text.unwrap_or_default().trim_end();
        lines.extend(text.lines().map(|line| format!("{indent}{line}")));
    }
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    RecordBatch::try_new(Arc::clone(schema), vec![lines])
}
