//! Which event times are taken.

use super::fault::Fault;
use crate::decode::civil::{EARLIEST_US, LATEST_US};
use crate::decode::reason;

/// Why an event time can't be taken; `latest` is the newest time that is possible now.
pub(crate) fn check_event_time(name: &str, time: Option<i64>, latest: i64) -> Result<(), Fault> {
    match time {
        None => Err(Fault::new(reason::NULL, format!("{name}: the event time is missing"))),
        Some(us) if !(EARLIEST_US..=LATEST_US).contains(&us) => Err(Fault::new(
            reason::IMPOSSIBLE,
            format!("{name}: the event time {us} µs since 1970 is outside the years 1 to 9999"),
        )),
        Some(us) if us > latest => {
            let time = chrono::DateTime::from_timestamp_micros(us)
                .map_or_else(|| us.to_string(), |t| t.to_rfc3339());
            Err(Fault::new(
                reason::FUTURE,
                format!("{name}: the event time {time} is further ahead than the clock allows"),
            ))
        }
        Some(_) => Ok(()),
    }
}
