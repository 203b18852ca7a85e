//! Days since 1970 and the calendar.

use crate::decode::days_from_civil;
use chrono::{Datelike, NaiveDate};

/// Days from 0001-01-01, which is chrono's day 1, to 1970-01-01.
const DAYS_TO_1970: i64 = 719_163;

/// Year, month and day of a day since 1970: the inverse of `days_from_civil`. A day before or after
/// chrono's calendar, of 262,000 years each way, is its first.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let day = i32::try_from(days.saturating_add(DAYS_TO_1970)).ok();
    let date = day.and_then(NaiveDate::from_num_days_from_ce_opt).unwrap_or(NaiveDate::MIN);
    (date.year().into(), date.month().into(), date.day().into())
}

/// Months counted from that of a first day; those before are negative.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Months {
    /// Months since year 0.
    first: i64,
}

impl Months {
    pub(crate) fn from(day: i32) -> Self {
        let (year, month, _) = civil_from_days(i64::from(day));
        Self { first: year * 12 + month - 1 }
    }

    /// A day of a month, counted from 1, as days since 1970.
    pub(crate) fn day(self, month: i32, day: u32) -> i32 {
        let months = self.first + i64::from(month);
        days_from_civil(months.div_euclid(12), months.rem_euclid(12) + 1, i64::from(day)) as i32
    }

    /// The month of a day, and the day in it, counted from 1.
    pub(crate) fn of(self, day: i32) -> (i32, u32) {
        let (year, month, in_month) = civil_from_days(i64::from(day));
        ((year * 12 + month - 1 - self.first) as i32, in_month as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for days in (-719_162..2_932_896).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn months_are_counted_from_the_first_days() {
        let months = Months::from(18_262); // 2020-01-01
        assert_eq!(
            (months.day(0, 1), months.day(1, 29), months.day(2, 1), months.day(-1, 31)),
            (18_262, 18_321, 18_322, 18_261)
        );
        assert_eq!((months.of(18_321), months.of(18_261)), ((1, 29), (-1, 31)));
    }
}
