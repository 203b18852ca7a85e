//! Values that a reader already has as numbers: integers, days, microseconds.

use super::Column;
use super::fault::Fault;
use super::values::Values;
use super::written::Written;
use crate::decode::civil::{EARLIEST_US, LATEST_US};

impl Column {
    /// An int64, or a time in microseconds since 1970; false when this is neither's column.
    pub(crate) fn push_i64(&mut self, value: i64) -> bool {
        let (Values::Int64(v) | Values::Timestamp(v)) = &mut self.values else { return false };
        v.push(value);
        self.len += 1;
        true
    }

    /// Days since 1970, into a date column.
    pub(crate) fn push_days(&mut self, days: i32) -> Result<(), Fault> {
        let Values::Date(v) = &mut self.values else {
            return Err(self.wrong_type(&days.to_string(), Written::JsonNumber));
        };
        v.push(days);
        self.len += 1;
        Ok(())
    }

    /// Microseconds since 1970, into a timestamp column.
    pub(crate) fn push_micros(&mut self, micros: i64) -> Result<(), Fault> {
        if let Values::Timestamp(v) = &mut self.values
            && (EARLIEST_US..=LATEST_US).contains(&micros)
        {
            v.push(micros);
            self.len += 1;
            return Ok(());
        }
        Err(self.out_of_range(&micros.to_string(), Written::Text))
    }
}
