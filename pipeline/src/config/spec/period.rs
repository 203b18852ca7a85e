//! Stretches of time, of which one follows the other.

use std::time::Duration;

/// A stretch of time, the first of which began with 1970: a whole number of microseconds, or of
/// calendar months, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Such as `1d`.
    Time(Duration),
    /// Such as `1mo`, `1q`, `1y`.
    Months(u32),
}
