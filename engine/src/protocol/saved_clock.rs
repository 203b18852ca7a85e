//! The form in which a source's watermark is part of every commit: an epoch file holds what changed
//! of it, a snapshot holds all of it.

use crate::contract::StateBatch;
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The step id under which a source's watermark is saved.
pub const CLOCK_STEP: &str = "source.clock";
/// The name of the state batch that holds a source's watermark.
pub const TRACKER: &str = "tracker";

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Partition {
    pub(super) event_time_max: Option<i64>,
    pub(super) idle: bool,
    pub(super) finished: bool,
}

/// A [`crate::protocol::WatermarkTracker`]'s state, or what changed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTracker {
    pub(super) watermark: i64,
    pub(super) newest: Option<i64>,
    pub(super) partitions: Vec<(u32, Partition)>,
}

impl SavedTracker {
    /// The watermark; none before the first.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        Some(self.watermark).filter(|w| *w != i64::MIN)
    }

    /// The newest event time seen.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// As rows.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn to_state(&self) -> Result<StateBatch, ArrowError> {
        let json =
            serde_json::to_string(self).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
        let rows = RecordBatch::try_from_iter([(
            TRACKER,
            Arc::new(StringArray::from(vec![json])) as ArrayRef,
        )])?;
        Ok(StateBatch::new(TRACKER, rows))
    }

    /// What [`Self::to_state`] made; none when the rows are something else.
    #[must_use]
    pub fn from_rows(rows: &RecordBatch) -> Option<Self> {
        serde_json::from_str(rows.columns().first()?.as_string_opt::<i32>()?.iter().next()??).ok()
    }
}
