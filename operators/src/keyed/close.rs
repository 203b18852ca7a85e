//! What a step with state per key saves with every epoch: its watermark. What its state means is
//! the engine's to save and to compare.

use super::columns::{batch, integers};
use arrow::array::{ArrayRef, Int64Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use std::sync::Arc;

/// The name of the batch.
pub(crate) const CLOSE: &str = "close";

/// The batch, with a step's own columns of one row.
pub(crate) fn saved_close(
    watermark: i64,
    own: Vec<(&str, ArrayRef)>,
) -> Result<StateBatch, ArrowError> {
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![("watermark", Arc::new(Int64Array::from(vec![watermark])))];
    columns.extend(own);
    Ok(StateBatch::new(CLOSE, batch(columns)?))
}

/// The farthest watermark of any worker; `i64::MIN` when none was saved.
pub(crate) fn restore_close(saved: &SavedState, step: &str) -> Result<i64, OperatorError> {
    saved.named(CLOSE).try_fold(i64::MIN, |latest, close| {
        let watermarks = integers(close, "watermark")
            .map_err(|source| OperatorError::Arrow { step: step.to_owned(), source })?;
        Ok(watermarks.iter().fold(latest, |latest, watermark| latest.max(*watermark)))
    })
}
