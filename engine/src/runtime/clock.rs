//! The one place that reads the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Time as the runtime sees it; tests and the simulation step their own.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970, by the wall.
    fn wall_micros(&self) -> i64;
    /// Nanoseconds since some start, never going back.
    fn steady_nanos(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_micros(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
    }

    fn steady_nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
