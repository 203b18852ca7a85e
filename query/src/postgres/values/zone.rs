//! The zone of a session.

use chrono::{DateTime, MappedLocalTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::calendar::{DAY_US, Day, SECOND_US, day_of, days_of, is_leap};

const DAY_SECONDS: i64 = 86_400;
/// The zone database's rules are written out up to this year; later years repeat the last ones.
const WRITTEN_YEAR_MAX: i64 = 2_099;
/// After so many years weekdays and leap years come back, unless a century is between.
const CYCLE_YEARS: i64 = 28;
/// PostgreSQL takes no offset of 16 hours or more.
const OFFSET_SECONDS_END: i32 = 16 * 3_600;

/// The zone in which a session shows instants and means local times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionZone {
    /// A place, with its history.
    Named(Tz),
    /// So many seconds before UTC's clock, east of Greenwich.
    Fixed(i32),
}

impl SessionZone {
    /// UTC, the zone of a session that sets none.
    pub(crate) const UTC: Self = Self::Named(Tz::UTC);

    /// The zone of a name of the IANA database in any case, or of an offset such as `+05:30`, which
    /// is east of Greenwich.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let named = || TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text));
        match text.parse::<Tz>() {
            Ok(zone) => Some(Self::Named(zone)),
            Err(_) if text.eq_ignore_ascii_case("z") => Some(Self::UTC),
            Err(_) => named()
                .map(|zone| Self::Named(*zone))
                .or_else(|| parse_offset(text).map(Self::Fixed)),
        }
    }

    /// The seconds that this zone's clock is before UTC's at an instant, in microseconds of 1970.
    pub(super) fn offset_at(self, microseconds: i64) -> i32 {
        let seconds = microseconds.div_euclid(SECOND_US);
        match self {
            Self::Fixed(offset) => offset,
            Self::Named(zone) => named_offset(zone, seconds),
        }
    }

    /// The instant at which this zone's clock shows a time, both in microseconds of 1970.
    ///
    /// As in PostgreSQL, a time that was skipped is counted on from before the gap, and one that
    /// came twice is the second.
    pub(super) fn instant(self, local: i64) -> Option<i64> {
        let offset = match self {
            Self::Fixed(offset) => offset,
            Self::Named(zone) => local_offset(zone, local.div_euclid(SECOND_US)),
        };
        local.checked_sub(i64::from(offset) * SECOND_US)
    }
}

fn named_offset(zone: Tz, seconds: i64) -> i32 {
    match DateTime::from_timestamp(within_rules(seconds), 0) {
        Some(instant) => zone.offset_from_utc_datetime(&instant.naive_utc()).fix(),
        None => return 0,
    }
    .local_minus_utc()
}

fn local_offset(zone: Tz, seconds: i64) -> i32 {
    let Some(local) = DateTime::from_timestamp(within_rules(seconds), 0) else { return 0 };
    match zone.offset_from_local_datetime(&local.naive_utc()) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => {
            offset.fix().local_minus_utc()
        }
        MappedLocalTime::None => named_offset(zone, seconds - DAY_SECONDS),
    }
}

/// The same moment in a year for which rules are written out, with the same weekdays.
fn within_rules(seconds: i64) -> i64 {
    let year = day_of(seconds.div_euclid(DAY_SECONDS)).year;
    if year <= WRITTEN_YEAR_MAX {
        return seconds;
    }
    let first = |year| days_of(Day { year, month: 1, day: 1 }).unwrap_or_default();
    let alike = (WRITTEN_YEAR_MAX + 1 - CYCLE_YEARS..=WRITTEN_YEAR_MAX).find(|&written| {
        is_leap(written) == is_leap(year) && (first(year) - first(written)) % 7 == 0
    });
    match alike {
        Some(written) => seconds - (first(year) - first(written)) * DAY_SECONDS,
        None => seconds,
    }
}

/// The seconds of `+05`, `-0330`, `+05:30` or `+00:19:32`, east of Greenwich positive.
pub(super) fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let number = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true if (1..=2).contains(&part.len()) => part.parse::<i32>().ok(),
        _ => None,
    };
    let parts: Vec<&str> = match digits.len() {
        4 if !digits.contains(':') => vec![digits.get(..2)?, digits.get(2..)?],
        _ => digits.split(':').collect(),
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours] => (number(hours)?, 0, 0),
        [hours, minutes] => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return None,
    };
    let total = hours * 3_600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total < OFFSET_SECONDS_END).then_some(sign * total)
}

/// Days and the rest of the day of microseconds.
pub(super) fn split_days(microseconds: i64) -> (i64, i64) {
    (microseconds.div_euclid(DAY_US), microseconds.rem_euclid(DAY_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names_and_offsets() {
        let berlin = SessionZone::Named(Tz::Europe__Berlin);
        assert_eq!(SessionZone::parse("Europe/Berlin"), Some(berlin));
        assert_eq!(SessionZone::parse("europe/berlin"), Some(berlin));
        assert_eq!(SessionZone::parse("+05:30"), Some(SessionZone::Fixed(19_800)));
        assert_eq!(SessionZone::parse("-0330"), Some(SessionZone::Fixed(-12_600)));
        assert_eq!(SessionZone::parse("+00:19:32"), Some(SessionZone::Fixed(1_172)));
        for wrong in ["", "+", "+ä", "+16", "+05:60", "+1:2:3:4", "Mars/Base", "+123"] {
            assert_eq!(SessionZone::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn clocks_that_skip_or_repeat_are_read_as_postgres_does() {
        let berlin = SessionZone::Named(Tz::Europe__Berlin);
        let local = |day, minutes: i64| days_of(day).unwrap() * DAY_US + minutes * 60 * SECOND_US;
        let skipped = local(Day { year: 2024, month: 3, day: 31 }, 150);
        assert_eq!(berlin.instant(skipped), Some(skipped - 3_600 * SECOND_US));
        let twice = local(Day { year: 2024, month: 10, day: 27 }, 150);
        assert_eq!(berlin.instant(twice), Some(twice - 3_600 * SECOND_US));
    }
}
