//! Business days: weekdays that are no holiday of a calendar. Days are numbers since 1970-01-01.
//!
//! A calendar is named by a text: one of the names below, then days of one's own on which it is
//! closed too, e.g. `target 2024-12-24 2024-12-31`.
//!
//! - `weekends` is closed on Saturdays and Sundays only, as all are.
//! - `target` is T2, the euro area's payment system: closed on 1 January, Good Friday, Easter
//!   Monday, 1 May, 25 and 26 December, too.
//! - `us-fed` is closed on the Federal Reserve Banks' holidays, too; one on a Sunday is kept on the
//!   Monday after, one on a Saturday not at all.
//!
//! Sources: ECB, "T2 calendar" (long-term calendar since 2002); Federal Reserve, "Holidays observed
//! by the Federal Reserve System" (Juneteenth since 2022, Martin Luther King Jr. day since 1986).
//! The rules of today are applied from 1970 to 2199; other years have weekends only.

use crate::periods::month_days;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::LazyLock;

/// Years for which holidays are known.
const YEARS: Range<i64> = 1970..2200;
/// Days from a Monday; 1970-01-01 was a Thursday.
const THURSDAY: i64 = 3;
const SATURDAY: i64 = 5;
const SUNDAY: i64 = 6;

static TARGET: LazyLock<Vec<i64>> = LazyLock::new(|| closed_weekdays(target));
static US_FED: LazyLock<Vec<i64>> = LazyLock::new(|| closed_weekdays(us_fed));

/// A business calendar. See the [module documentation](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Weekdays on which it is closed, in order.
    holidays: &'static [i64],
    /// Further weekdays on which it is closed, from the calendar's text, without those in
    /// `holidays`.
    own: Vec<i64>,
}

/// A text that names no calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCalendar(String);

impl fmt::Display for UnknownCalendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; a calendar is `weekends`, `target` or `us-fed`, and days of one's own after it, \
             e.g. 'target 2024-12-24'",
            self.0
        )
    }
}

impl FromStr for Calendar {
    type Err = UnknownCalendar;

    fn from_str(text: &str) -> Result<Self, UnknownCalendar> {
        let mut words = text.split_whitespace();
        let holidays: &'static [i64] = match words.next() {
            Some("weekends") => &[],
            Some("target") => &TARGET,
            Some("us-fed") => &US_FED,
            Some(other) => return Err(UnknownCalendar(format!("`{other}` is no calendar"))),
            None => return Err(UnknownCalendar("a calendar has no name".into())),
        };
        let mut own = words.map(day).collect::<Result<Vec<_>, _>>()?;
        own.retain(|day| is_weekday(*day) && holidays.binary_search(day).is_err());
        own.sort_unstable();
        own.dedup();
        Ok(Self { holidays, own })
    }
}

fn day(text: &str) -> Result<i64, UnknownCalendar> {
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_err(|_| UnknownCalendar(format!("`{text}` is no day such as 2024-12-24")))?;
    Ok(date.signed_duration_since(chrono::NaiveDate::default()).num_days())
}

impl Calendar {
    /// Whether it is open on `day`.
    #[must_use]
    pub fn is_open(&self, day: i64) -> bool {
        is_weekday(day)
            && self.holidays.binary_search(&day).is_err()
            && self.own.binary_search(&day).is_err()
    }

    /// `day`, or the first after it on which it is open.
    #[must_use]
    pub fn open_from(&self, mut day: i64) -> i64 {
        while !self.is_open(day) {
            day += 1;
        }
        day
    }

    /// `day`, or the last before it on which it is open.
    #[must_use]
    pub fn open_until(&self, mut day: i64) -> i64 {
        while !self.is_open(day) {
            day -= 1;
        }
        day
    }

    /// Business days after `from` up to `to`, that one included; negative when `to` is before
    /// `from`.
    #[must_use]
    pub fn days_between(&self, from: i64, to: i64) -> i64 {
        self.open_before(to + 1) - self.open_before(from + 1)
    }

    /// Business days before `day`, counted from some day on.
    fn open_before(&self, day: i64) -> i64 {
        // A week before 1970-01-05, a Monday.
        let (weeks, rest) = ((day + THURSDAY).div_euclid(7), (day + THURSDAY).rem_euclid(7));
        let closed = |days: &[i64]| days.partition_point(|closed| *closed < day) as i64;
        weeks * 5 + rest.min(5) - closed(self.holidays) - closed(&self.own)
    }
}

/// 0 for a Monday.
fn weekday(day: i64) -> i64 {
    (day + THURSDAY).rem_euclid(7)
}

fn is_weekday(day: i64) -> bool {
    weekday(day) < SATURDAY
}

fn closed_weekdays(of_year: fn(i64) -> Vec<i64>) -> Vec<i64> {
    let mut days: Vec<i64> = YEARS.flat_map(of_year).filter(|day| is_weekday(*day)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// A date's day; months count from 1.
fn date(year: i64, month: i64, day: i64) -> i64 {
    month_days((year - 1970) * 12 + month - 1) + day - 1
}

/// The `nth` weekday of a month, from 1.
fn nth(year: i64, month: i64, wanted: i64, nth: i64) -> i64 {
    let first = date(year, month, 1);
    first + (wanted - weekday(first)).rem_euclid(7) + 7 * (nth - 1)
}

fn target(year: i64) -> Vec<i64> {
    let easter = easter(year);
    vec![
        date(year, 1, 1),
        easter - 2,
        easter + 1,
        date(year, 5, 1),
        date(year, 12, 25),
        date(year, 12, 26),
    ]
}

fn us_fed(year: i64) -> Vec<i64> {
    const MONDAY: i64 = 0;
    // Kept on the Monday after a Sunday.
    let kept = |day: i64| if weekday(day) == SUNDAY { day + 1 } else { day };
    let mut days = vec![
        kept(date(year, 1, 1)),
        nth(year, 2, MONDAY, 3),
        nth(year, 6, MONDAY, 1) - 7,
        kept(date(year, 7, 4)),
        nth(year, 9, MONDAY, 1),
        nth(year, 10, MONDAY, 2),
        kept(date(year, 11, 11)),
        nth(year, 11, THURSDAY, 4),
        kept(date(year, 12, 25)),
    ];
    if year >= 1986 {
        days.push(nth(year, 1, MONDAY, 3));
    }
    if year >= 2022 {
        days.push(kept(date(year, 6, 19)));
    }
    days
}

/// Easter Sunday of the Gregorian calendar. (The "anonymous" computus: Meeus, "Astronomical
/// Algorithms", chapter 8.)
fn easter(year: i64) -> i64 {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (b - (b + 8) / 25 + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let month_and_day = h + l - 7 * m + 114;
    date(year, month_and_day / 31, month_and_day % 31 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    fn closed(calendar: &str, year: i64) -> Vec<String> {
        let calendar: Calendar = calendar.parse().unwrap();
        let days = date(year, 1, 1)..date(year + 1, 1, 1);
        let closed = days.filter(|day| is_weekday(*day) && !calendar.is_open(*day));
        closed
            .map(|day| {
                (NaiveDate::default() + chrono::Days::new(day as u64)).format("%m-%d").to_string()
            })
            .collect()
    }

    #[test]
    fn holidays_are_those_that_were_published() {
        assert_eq!(closed("target", 2024), ["01-01", "03-29", "04-01", "05-01", "12-25", "12-26"]);
        assert_eq!(closed("target", 2025), ["01-01", "04-18", "04-21", "05-01", "12-25", "12-26"]);
        assert_eq!(
            closed("target", 2022),
            ["04-15", "04-18", "12-26"],
            "the others were on weekends"
        );
        let fed = [
            "01-01", "01-15", "02-19", "05-27", "06-19", "07-04", "09-02", "10-14", "11-11",
            "11-28", "12-25",
        ];
        assert_eq!(closed("us-fed", 2024), fed);
        let fed = [
            "01-02", "01-16", "02-20", "05-29", "06-19", "07-04", "09-04", "10-09", "11-23",
            "12-25",
        ];
        assert_eq!(
            closed("us-fed", 2023),
            fed,
            "New Year's Day was a Sunday, Veterans Day a Saturday"
        );
        assert_eq!(closed("weekends 2024-12-24 2024-12-28", 2024), ["12-24"]);
    }

    #[test]
    fn counting_is_what_counting_one_by_one_gives() {
        for text in ["weekends", "target", "us-fed", "us-fed 2024-02-29 2024-07-04 1999-12-31"] {
            let calendar: Calendar = text.parse().unwrap();
            for from in (date(1968, 1, 1)..date(2030, 1, 1)).step_by(97) {
                for length in [0, 1, 2, 6, 7, 8, 30, 366] {
                    let slowly = (from + 1..=from + length)
                        .filter(|day| calendar.is_open(*day))
                        .count() as i64;
                    assert_eq!(
                        calendar.days_between(from, from + length),
                        slowly,
                        "{text}: {length} days from {from}"
                    );
                    assert_eq!(calendar.days_between(from + length, from), -slowly);
                }
                let (next, last) = (calendar.open_from(from), calendar.open_until(from));
                assert!(
                    calendar.is_open(next)
                        && calendar.is_open(last)
                        && last <= from
                        && from <= next
                        && next - last <= 8
                );
            }
        }
    }

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        for day in (-1_000..60_000).step_by(31) {
            let there = NaiveDate::default() + chrono::TimeDelta::days(day);
            assert_eq!(weekday(day), i64::from(there.weekday().num_days_from_monday()), "{there}");
        }
    }

    #[test]
    fn what_is_no_calendar_says_what_is() {
        for (text, expected) in [
            ("nyse", "`nyse` is no calendar"),
            ("", "has no name"),
            ("target 2024-02-30", "`2024-02-30` is no day"),
        ] {
            let said = text.parse::<Calendar>().unwrap_err().to_string();
            assert!(said.contains(expected) && said.contains("`us-fed`"), "{said}");
        }
    }
}
