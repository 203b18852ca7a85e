//! Event time by the machine's clock, as far as that is to be believed.
//!
//! A clock that jumps (a wrong time server, a virtual machine that was asleep) must not take the
//! watermark with it: every later row would be late. So it is believed as of the run's beginning,
//! and from then on only as far as a steady clock has gone on since. A row that is newer than that
//! shows that the clock was right after all. What the clock of an earlier run has committed wrongly
//! is put back at the next start: see [`put_back`].

/// The two clocks may differ by this, microseconds: a clock is set now and then.
const TOLERANCE_MICROS: i64 = 60_000_000;
/// The two clocks may also differ by a thousandth of the time that has passed: clocks that are
/// disciplined run a little faster or slower.
const DRIFT_DIVISOR: i64 = 1_000;

/// What the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Where event time may go, microseconds since 1970.
    pub time: i64,
    /// How far the clock is ahead of the time that has passed (behind it: below 0), where that is
    /// too much, microseconds.
    pub astray: Option<i64>,
}

/// The machine's clock beside a steady one.
#[derive(Debug, Clone, Copy)]
pub struct WallTime {
    /// The last trusted time, microseconds since 1970.
    wall: i64,
    /// What the steady clock showed at that time.
    steady: i64,
}

impl WallTime {
    /// The clock as the run begins.
    #[must_use]
    pub fn new(wall: i64, steady: i64) -> Self {
        Self { wall, steady }
    }

    fn expected(&self, steady: i64) -> i64 {
        self.wall.saturating_add(steady - self.steady)
    }

    /// Takes note of a row with this event time: the present is at least so late.
    pub fn row_seen(&mut self, event_time: i64, steady: i64) {
        if event_time > self.expected(steady) {
            *self = Self { wall: event_time, steady };
        }
    }

    /// How far the machine's clock, which shows `wall` now, is believed.
    #[must_use]
    pub fn time(&self, wall: i64, steady: i64) -> Told {
        let allowed = TOLERANCE_MICROS + (steady - self.steady) / DRIFT_DIVISOR;
        let ahead = wall.saturating_sub(self.expected(steady));
        Told {
            time: wall.min(self.expected(steady).saturating_add(allowed)),
            astray: (ahead.saturating_abs() > allowed).then_some(ahead),
        }
    }
}

/// Where to put a watermark back to that an earlier run's clock has moved beyond the present time;
/// `None` when the watermark is right.
///
/// `newest` is the newest event time of all rows, `by_clock` where the clock would have the
/// watermark now. Only a clock moves the watermark beyond the newest row. One of the two clocks is
/// wrong: if the present one is, the next rows are waited for a little longer, and no harm is done.
#[must_use]
pub fn put_back(watermark: i64, newest: Option<i64>, by_clock: i64) -> Option<i64> {
    let moved_by_clock = newest.is_none_or(|newest| watermark > newest);
    let to = newest.map_or(by_clock, |newest| newest.max(by_clock));
    (moved_by_clock && watermark.saturating_sub(by_clock) > TOLERANCE_MICROS && to < watermark)
        .then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;

    #[test]
    fn a_clock_that_jumps_is_believed_as_far_as_time_has_passed() {
        let clock = WallTime::new(1_000 * SECOND, 0);
        let at = |wall: i64, steady: i64| clock.time(wall * SECOND, steady * SECOND);
        assert_eq!(at(1_010, 10), Told { time: 1_010 * SECOND, astray: None });
        assert_eq!(at(1_050, 10), Told { time: 1_050 * SECOND, astray: None }, "set a little");
        assert_eq!(at(990, 10), Told { time: 990 * SECOND, astray: None }, "set back a little");
        let jumped = clock.time(1_010 * SECOND + DAY, 10 * SECOND);
        assert_eq!(jumped.astray, Some(DAY));
        assert!(jumped.time <= 1_071 * SECOND);
        let later = clock.time(4_600 * SECOND + DAY, 3_600 * SECOND);
        assert!(
            (4_600..4_665).contains(&(later.time / SECOND)),
            "it goes on by the time that passes"
        );
        assert_eq!(at(10, 3_600).astray, Some(-4_590 * SECOND));
        let month = clock.time(1_000 * SECOND + 30 * DAY + 1_000 * SECOND, 30 * DAY);
        assert_eq!(month.astray, None, "a thousandth of a month, as clocks are slewed");
    }

    #[test]
    fn a_row_that_is_newer_shows_that_the_clock_is_right() {
        let mut clock = WallTime::new(0, 0);
        assert!(clock.time(DAY, SECOND).astray.is_some());
        clock.row_seen(5, SECOND);
        assert!(clock.time(DAY, SECOND).astray.is_some(), "an old row shows nothing");
        clock.row_seen(DAY - SECOND, SECOND);
        assert_eq!(clock.time(DAY + SECOND, 3 * SECOND), Told { time: DAY + SECOND, astray: None });
    }

    #[test]
    fn only_what_a_clock_moved_beyond_the_present_is_put_back_and_never_behind_a_row() {
        assert_eq!(put_back(DAY, Some(100), 2 * SECOND), Some(2 * SECOND));
        assert_eq!(
            put_back(DAY, Some(DAY - SECOND), 2 * SECOND),
            Some(DAY - SECOND),
            "no further than the newest row"
        );
        assert_eq!(put_back(DAY, None, 0), Some(0));
        assert_eq!(put_back(DAY, Some(DAY), 0), None, "rows have moved it there");
        assert_eq!(put_back(DAY, Some(5), DAY + SECOND), None, "the clock is further");
        assert_eq!(put_back(30 * SECOND, Some(5), 0), None, "set back a little");
        assert_eq!(put_back(i64::MIN, None, 0), None, "there is none yet");
    }
}
