//! Which rows can still be added.

use super::spec::{Extent, WindowsSpec};
use crate::dead_rows::DeadRows;
use crate::step_error::StepError;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use riskstream_engine::contract::{Output, REASON_LATE};

/// Lets rows through whose windows are all still kept.
#[derive(Debug)]
pub(super) struct Gate {
    extents: Vec<Extent>,
    keep: i64,
    time: usize,
    dead: DeadRows,
    /// The last close's; `i64::MIN` before the first.
    pub(super) watermark: i64,
}

impl Gate {
    /// For rows with their event time in column `time`.
    pub(super) fn new(spec: &WindowsSpec, input: &Schema, time: usize, watermark: i64) -> Result<Self, StepError> {
        let mut dead = DeadRows::new(&spec.step_id, input);
        dead.set_event_time(&spec.event_time, input)?;
        Ok(Self { extents: spec.windows.iter().map(|kind| kind.extent).collect(), keep: spec.keep, time, dead, watermark })
    }

    /// Whether some window of a row at `time` is no longer kept.
    fn is_gone(&self, time: i64) -> bool {
        self.extents.iter().any(|extent| extent.last_end(time).saturating_add(self.keep) <= self.watermark)
    }

    /// The rows that can still be added; the others become dead letters.
    pub(super) fn kept(&mut self, batch: RecordBatch, out: &mut Output) -> Result<RecordBatch, ArrowError> {
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().values();
        let oldest = times.iter().copied().min().unwrap_or(i64::MAX);
        if !self.is_gone(oldest) {
            return Ok(batch);
        }
        let gone: Vec<bool> = times.iter().map(|time| self.is_gone(*time)).collect();
        let detail = "its windows were final so long ago that they are no longer kept (`keep` of the step)";
        self.dead.sort_out(&batch, &gone, (REASON_LATE, detail), out)
    }
}
