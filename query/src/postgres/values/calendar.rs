//! Days and microseconds of PostgreSQL's calendar: Gregorian at all times, from 4714 BC on.
//!
//! `chrono` ends at the year 262142, PostgreSQL's dates go to 5874897.

/// Microseconds of a second.
pub(super) const SECOND_US: i64 = 1_000_000;
/// Microseconds of a day.
pub(super) const DAY_US: i64 = 86_400 * SECOND_US;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
pub(super) const EPOCH_DAYS: i64 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(super) const EPOCH_US: i64 = EPOCH_DAYS * DAY_US;
/// The first day that PostgreSQL has, 4714-11-24 BC, in days since 1970.
const DAY_MIN: i64 = EPOCH_DAYS - 2_451_545;
/// The day after PostgreSQL's last date, 5874897-12-31, in days since 1970.
const DAY_END: i64 = DAY_MIN + 2_147_483_494;
/// The first microsecond of PostgreSQL's timestamps, since 1970. Their end is behind the last
/// microsecond that 64 bits can count from 1970.
const TIMESTAMP_MIN: i64 = DAY_MIN * DAY_US;

/// Whether PostgreSQL has a date so many days after 1970-01-01.
pub(super) fn is_date(days: i64) -> bool {
    (DAY_MIN..DAY_END).contains(&days)
}

/// Whether PostgreSQL has an instant so many microseconds after 1970-01-01.
pub(super) fn is_timestamp(microseconds: i64) -> bool {
    microseconds >= TIMESTAMP_MIN
}

/// A day of the calendar; the year before 1 is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) year: i64,
    pub(super) month: u8,
    pub(super) day: u8,
}

/// The day so many days after 1970-01-01.
pub(super) fn day_of(days: i64) -> Day {
    // Years begin in March, so that the leap day is a year's last one.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Day { year, month: small(month), day: small(day) }
}

fn small(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// Days from 1970-01-01 to a day, if the calendar has it.
pub(super) fn days_of(day: Day) -> Option<i64> {
    if day.month == 0 || day.month > 12 || day.day == 0 || day.day > month_days(day) {
        return None;
    }
    if day.year.abs() > 10_000_000 {
        return None;
    }
    let year = day.year - i64::from(day.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (i64::from(day.month) + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(day.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Whether a year has a 29th of February.
pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(day: Day) -> u8 {
    match day.month {
        2 if is_leap(day.year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_there_and_back() {
        for days in (-2_440_588..4_000_000).step_by(97).chain([2_145_042_540, 0, 59, 60]) {
            assert_eq!(days_of(day_of(days)), Some(days));
        }
        assert_eq!(day_of(0), Day { year: 1970, month: 1, day: 1 });
        assert_eq!(days_of(Day { year: 2023, month: 2, day: 29 }), None);
        assert_eq!(days_of(Day { year: 2024, month: 13, day: 1 }), None);
    }

    #[test]
    fn ends_are_those_of_postgres() {
        let last = days_of(Day { year: 5_874_897, month: 12, day: 31 }).unwrap();
        assert!(is_date(last) && !is_date(last + 1));
        let first = days_of(Day { year: -4_713, month: 11, day: 24 }).unwrap();
        assert!(is_date(first) && !is_date(first - 1));
        let end = days_of(Day { year: 294_277, month: 1, day: 1 }).unwrap();
        assert!(end > i64::MAX / DAY_US);
        assert!(is_timestamp(first * DAY_US) && !is_timestamp(first * DAY_US - 1));
    }
}
