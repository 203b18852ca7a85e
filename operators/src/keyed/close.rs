//! What a step with state per key saves with every epoch: its watermark, and the shape that its saved state depends on.

use super::columns::{batch, integers, wrong};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use std::sync::Arc;

/// The name of the batch.
pub(crate) const CLOSE: &str = "close";

/// The batch, with a step's own columns of one row.
pub(crate) fn saved_close(watermark: i64, shape: String, own: Vec<(&str, ArrayRef)>) -> Result<StateBatch, ArrowError> {
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![("watermark", Arc::new(Int64Array::from(vec![watermark]))), ("shape", Arc::new(StringArray::from(vec![shape])))];
    columns.extend(own);
    Ok(StateBatch::new(CLOSE, batch(columns)?))
}

/// The farthest watermark of any worker; `i64::MIN` when none was saved. `of` says what the shape is made of, for whoever changed it.
pub(crate) fn restore_close(saved: &SavedState, step: &str, shape: &str, of: &str) -> Result<i64, OperatorError> {
    saved.named(CLOSE).try_fold(i64::MIN, |latest, close| {
        check_shape(close, step, shape, of)?;
        let watermarks = integers(close, "watermark").map_err(|e| arrow(step, e))?;
        Ok(watermarks.iter().fold(latest, |latest, watermark| latest.max(*watermark)))
    })
}

/// Refuses state that was saved by a step of another shape.
pub(crate) fn check_shape(close: &RecordBatch, step: &str, shape: &str, of: &str) -> Result<(), OperatorError> {
    let saved = close.column_by_name("shape").and_then(|c| c.as_string_opt::<i32>()).filter(|c| !c.is_empty());
    match saved.map(|c| c.value(0)) {
        Some(saved) if saved == shape => Ok(()),
        Some(_) => Err(OperatorError::State {
            step: step.to_owned(),
            reason: format!("the step's {of} have changed since; give the changed step another id, or the old ones back"),
        }),
        None => Err(arrow(step, wrong("shape"))),
    }
}

fn arrow(step: &str, source: ArrowError) -> OperatorError {
    OperatorError::Arrow { step: step.to_owned(), source }
}
