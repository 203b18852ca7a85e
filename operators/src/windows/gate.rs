//! Which rows can still be added.

use super::spec::{Extent, WindowsSpec};
use crate::dead_rows::DeadRows;
use crate::step_error::StepError;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use riskstream_engine::contract::{Output, REASON_LATE};

/// Lets a row through if, for each kind of windows, the last window that holds the row is kept.
#[derive(Debug)]
pub(super) struct Gate {
    extents: Vec<Extent>,
    keep: i64,
    time: usize,
    dead: DeadRows,
    /// The last close's; `i64::MIN` before the first.
    pub(super) watermark: i64,
    /// Windows that ended at or before this time were given up before the step was asked to keep
    /// them longer.
    given_up: i64,
}

impl Gate {
    /// For rows with their event time in column `time`.
    pub(super) fn new(
        spec: &WindowsSpec,
        input: &Schema,
        time: usize,
        watermark: i64,
    ) -> Result<Self, StepError> {
        let mut dead = DeadRows::new(&spec.step_id, input);
        dead.set_event_time(&spec.event_time, input)?;
        Ok(Self {
            extents: spec.windows.iter().map(|kind| kind.extent).collect(),
            keep: spec.keep,
            time,
            dead,
            watermark,
            given_up: i64::MIN,
        })
    }

    /// Windows that ended at or before this time are no longer kept; `i64::MIN` before the first
    /// close.
    pub(super) fn gone(&self) -> i64 {
        let gone = if self.watermark == i64::MIN {
            i64::MIN
        } else {
            self.watermark.saturating_sub(self.keep)
        };
        gone.max(self.given_up)
    }

    /// Takes back what was no longer kept.
    pub(super) fn restore(&mut self, gone: Option<i64>) {
        self.given_up = self.given_up.max(gone.unwrap_or(i64::MIN));
    }

    /// Whether, for some kind of windows, the last window that holds `time` is no longer kept.
    fn is_gone(&self, time: i64) -> bool {
        let gone = self.gone();
        self.extents.iter().any(|extent| extent.last_end(time) <= gone)
    }

    /// The rows that can still be added; the others become dead letters.
    pub(super) fn kept(
        &mut self,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<RecordBatch, ArrowError> {
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().values();
        let oldest = times.iter().copied().min().unwrap_or(i64::MAX);
        if !self.is_gone(oldest) {
            return Ok(batch);
        }
        let gone: Vec<bool> = times.iter().map(|time| self.is_gone(*time)).collect();
        let detail =
            "its windows were final so long ago that they are no longer kept (`keep` of the step)";
        self.dead.sort_out(&batch, &gone, (REASON_LATE, detail), out)
    }
}
