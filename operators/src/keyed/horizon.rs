//! How far behind the watermark a row may come and still be put in its place.

use crate::dead_rows::DeadRows;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use riskstream_engine::contract::{Output, REASON_LATE};

/// The name of the mark that a close saves: rows at or before the horizon come too late.
pub(crate) const HORIZON: &str = "horizon";

/// The horizon of one step.
#[derive(Debug)]
pub(crate) struct Horizon {
    /// How far behind the watermark a row may come; microseconds.
    keep: i64,
    /// The largest saved horizon: rows at or before it come too late even if `keep` is longer now.
    given_up: i64,
}

impl Horizon {
    pub(crate) fn new(keep: i64) -> Self {
        Self { keep, given_up: i64::MIN }
    }

    /// Rows at or before this time come too late.
    pub(crate) fn at(&self, watermark: i64) -> i64 {
        watermark.saturating_sub(self.keep).max(self.given_up)
    }

    /// Takes a saved horizon back.
    pub(crate) fn restore(&mut self, saved: i64) {
        self.given_up = self.given_up.max(saved);
    }

    /// The rows that do not come too late, by the column of their `time`; the others become dead
    /// letters, for the reason that `detail` says.
    pub(crate) fn in_time(
        &self,
        (watermark, time): (i64, usize),
        batch: RecordBatch,
        (dead, detail): (&mut DeadRows, &str),
        out: &mut Output,
    ) -> Result<RecordBatch, ArrowError> {
        let horizon = self.at(watermark);
        let times = batch.column(time).as_primitive::<TimestampMicrosecondType>().values();
        if horizon == i64::MIN || times.iter().all(|time| *time > horizon) {
            return Ok(batch);
        }
        let late: Vec<bool> = times.iter().map(|time| *time <= horizon).collect();
        dead.sort_out(&batch, &late, (REASON_LATE, detail), out)
    }
}
