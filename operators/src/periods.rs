//! Stretches of time that follow one another: so many microseconds, or calendar months, in UTC.
//!
//! Periods of microseconds are aligned to 1970-01-01 00:00; months to January, as long as a year is
//! a whole number of them. Every instant is in exactly one period, which begins with its first
//! instant and ends before the next one's.

/// From one period's start to the next's; above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Every {
    /// Microseconds.
    Micros(i64),
    /// Calendar months.
    Months(i64),
}

impl std::fmt::Display for Every {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Micros(length) => write!(f, "{} s", *length as f64 / 1e6),
            Self::Months(count) => write!(f, "{count} mo"),
        }
    }
}

const DAY: i64 = 86_400_000_000;
/// Days of 400 years, after which the calendar repeats itself.
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468;

impl Every {
    /// The start of the period that holds `time`.
    #[must_use]
    pub fn floor(self, time: i64) -> i64 {
        match self {
            Self::Micros(length) => time.saturating_sub(time.rem_euclid(length)),
            Self::Months(count) => month_start(month_of(time).div_euclid(count) * count),
        }
    }

    /// From a period's start to that of the one `periods` later (earlier, when negative).
    #[must_use]
    pub fn advance(self, start: i64, periods: i64) -> i64 {
        match self {
            Self::Micros(length) => start.saturating_add(length.saturating_mul(periods)),
            Self::Months(count) => {
                month_start(month_of(start).saturating_add(count.saturating_mul(periods)))
            }
        }
    }

    /// The end of the period that holds `time`: the first start after it.
    #[must_use]
    pub fn after(self, time: i64) -> i64 {
        self.advance(self.floor(time), 1)
    }
}

/// Months from January 1970 to the one that holds `time`.
#[must_use]
pub fn month_of(time: i64) -> i64 {
    let (year, month, _) = date_of(time.div_euclid(DAY));
    (year - 1970) * 12 + month - 1
}

/// Year, month from 1 and day from 1 of so many days after 1970-01-01. (Howard Hinnant,
/// "chrono-compatible low-level date algorithms".)
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months count from March.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to the first of a month, which counts from January 1970.
pub(crate) fn month_days(month: i64) -> i64 {
    let (year, month) = (month.div_euclid(12) + 1970, month.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.saturating_mul(ERA_DAYS).saturating_add(day_of_era).saturating_sub(DAYS_BEFORE_1970)
}

/// The first instant of a month, which counts from January 1970.
fn month_start(month: i64) -> i64 {
    month_days(month).saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Datelike};

    #[test]
    fn months_are_those_of_the_calendar() {
        for days in (-200_000i64..200_000)
            .step_by(13)
            .chain([0, -1, 30, 31, 58, 59, 60, 11_016, 11_017, 11_380])
        {
            let time = days * DAY + 5;
            let date = DateTime::from_timestamp_micros(time).expect("a date");
            assert_eq!(
                date_of(days),
                (i64::from(date.year()), i64::from(date.month()), i64::from(date.day())),
                "{date}"
            );
            let first = Every::Months(1).floor(time);
            assert_eq!(first, time - (i64::from(date.day()) - 1) * DAY - 5, "{date}");
            let next =
                DateTime::from_timestamp_micros(Every::Months(1).after(time)).expect("a date");
            let ahead =
                (next.year() - date.year()) * 12 + next.month() as i32 - date.month() as i32;
            assert_eq!((next.day(), ahead), (1, 1), "{date}");
            let year =
                DateTime::from_timestamp_micros(Every::Months(12).floor(time)).expect("a date");
            assert_eq!((year.year(), year.ordinal()), (date.year(), 1), "{date}");
            let quarter =
                DateTime::from_timestamp_micros(Every::Months(3).floor(time)).expect("a date");
            assert_eq!((quarter.month0(), quarter.day()), (date.month0() / 3 * 3, 1), "{date}");
            assert_eq!(Every::Months(1).advance(Every::Months(1).after(time), -1), first);
        }
    }

    #[test]
    fn the_ends_of_time_are_no_overflow() {
        for every in [Every::Micros(DAY), Every::Months(1), Every::Months(12)] {
            // A number that wrapped around would stand at the other end.
            let year = 366 * DAY;
            assert_eq!(every.floor(i64::MIN), i64::MIN, "{every}");
            assert!((i64::MIN + 1..=i64::MIN + year).contains(&every.after(i64::MIN)), "{every}");
            assert!((i64::MAX - year..=i64::MAX).contains(&every.floor(i64::MAX)), "{every}");
            assert_eq!(every.after(i64::MAX), i64::MAX, "{every}");
            assert_eq!(every.advance(0, i64::MAX), i64::MAX, "{every}");
            assert_eq!(every.advance(0, i64::MIN), i64::MIN, "{every}");
        }
    }
}
