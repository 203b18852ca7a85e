//! A text into an instant.

use super::item::{Exact, Fraction, Item, Name, Part};
use crate::decode::civil::{days_from_civil, days_in_month};
use chrono::{Datelike, NaiveDate, Weekday};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Days from 0001-01-01 to 1970-01-01, for chrono's day count.
const EPOCH_DAYS_FROM_CE: i64 = 719_163;

/// What was read so far.
#[derive(Default)]
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    week: Option<i64>,
    /// From 0, Monday.
    day_of_week: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    epoch: Option<i64>,
    offset_minutes: i64,
}

pub(super) fn read(items: &[Item], text: &[u8]) -> Option<i64> {
    let mut parts = Parts::default();
    let mut at = 0;
    for item in items {
        at = match item {
            Item::Literal(bytes) => text[at..].starts_with(bytes).then_some(at + bytes.len())?,
            Item::Space(_) => {
                let spaces = text[at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
                (spaces > 0).then_some(at + spaces)?
            }
            Item::Part(part, _, exact) => parts.take(*part, *exact, text, at)?,
        };
    }
    if at == text.len() { parts.instant() } else { None }
}

/// The digits at `at`, at most `most`: their value and their end.
fn digits(text: &[u8], at: usize, least: usize, most: usize) -> Option<(i64, usize)> {
    let count = text[at..].iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    if count < least {
        return None;
    }
    let value =
        text[at..at + count].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((value, at + count))
}

/// The place of the name at `at` among `names`, and its end. Where the long form is asked for the
/// short one will do.
fn name(text: &[u8], at: usize, names: &[&str], form: Name) -> Option<(i64, usize)> {
    let is_at = |name: &str| {
        text[at..]
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    };
    let place = names.iter().position(|name| is_at(&name[..3]))?;
    let length = if form == Name::Long && is_at(names[place]) { names[place].len() } else { 3 };
    Some((place as i64, at + length))
}

impl Parts {
    /// Reads a part at `at`; its end.
    fn take(&mut self, part: Part, exact: Exact, text: &[u8], at: usize) -> Option<usize> {
        let number = || {
            let (width, fewer) = part.width()?;
            if exact == Exact::Yes || !fewer {
                return digits(text, at, width, width);
            }
            // A space may stand for the first of two digits.
            let padded = width == 2 && text.get(at) == Some(&b' ');
            if padded { digits(text, at + 1, 1, 1) } else { digits(text, at, 1, width) }
        };
        let within = |range: std::ops::RangeInclusive<i64>| {
            number().filter(|(value, _)| range.contains(value))
        };
        let (place, (value, end)) = match part {
            Part::Year | Part::IsoYear => (&mut self.year, within(1..=9999)?),
            Part::YearOfCentury => {
                let (value, end) = number()?;
                (&mut self.year, (if value < 69 { 2000 + value } else { 1900 + value }, end))
            }
            Part::Month => (&mut self.month, within(1..=12)?),
            Part::MonthName(form) => {
                let (value, end) = name(text, at, &MONTHS, form)?;
                (&mut self.month, (value + 1, end))
            }
            Part::Day => (&mut self.day, within(1..=31)?),
            Part::DayOfYear => (self.day_of_year.insert(0), within(1..=366)?),
            Part::IsoWeek => (self.week.insert(0), within(1..=53)?),
            Part::DayOfWeek => {
                let (value, end) = within(1..=7)?;
                (self.day_of_week.insert(0), (value - 1, end))
            }
            Part::DayName(form) => (self.day_of_week.insert(0), name(text, at, &DAYS, form)?),
            Part::Hour => (&mut self.hour, within(0..=23)?),
            Part::HourOfHalf => (&mut self.hour, within(1..=12)?),
            Part::HalfOfDay(_) => {
                let (half, end) = (text.get(at..at + 2)?, at + 2);
                let afternoon = half.eq_ignore_ascii_case(b"pm");
                self.afternoon = Some(afternoon);
                return (afternoon || half.eq_ignore_ascii_case(b"am")).then_some(end);
            }
            Part::Minute => (&mut self.minute, within(0..=59)?),
            Part::Second => (&mut self.second, within(0..=60)?),
            Part::Fraction(form) => (&mut self.micros, fraction(text, at, form)?),
            Part::Epoch => {
                let negative = text.get(at) == Some(&b'-');
                let (value, end) = digits(text, at + usize::from(negative), 1, 12)?;
                (self.epoch.insert(0), (if negative { -value } else { value }, end))
            }
            Part::Offset(_) => (&mut self.offset_minutes, offset(text, at)?),
        };
        *place = value;
        Some(end)
    }

    fn days(&self) -> Option<i64> {
        let days = if let Some(week) = self.week {
            let weekday = Weekday::try_from(self.day_of_week? as u8).ok()?;
            let date = NaiveDate::from_isoywd_opt(self.year as i32, week as u32, weekday)?;
            i64::from(date.num_days_from_ce()) - EPOCH_DAYS_FROM_CE
        } else if self.month == 0 {
            days_from_civil(self.year, 1, 1) + self.day_of_year? - 1
        } else {
            if self.day > days_in_month(self.year, self.month) {
                return None;
            }
            days_from_civil(self.year, self.month, self.day)
        };
        // What says the day once more must say the same.
        let first = days_from_civil(self.year, 1, 1);
        let year_holds = self.week.is_some() || days < days_from_civil(self.year + 1, 1, 1);
        let day_of_year_holds =
            self.week.is_some() || self.day_of_year.is_none_or(|day| first + day - 1 == days);
        let day_of_week_holds = self.day_of_week.is_none_or(|day| (days + 3).rem_euclid(7) == day);
        (year_holds && day_of_year_holds && day_of_week_holds).then_some(days)
    }

    fn instant(self) -> Option<i64> {
        if let Some(seconds) = self.epoch {
            return Some(seconds * 1_000_000);
        }
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        // A leap second is cut to the end of the second before it.
        let (second, micros) =
            if self.second == 60 { (59, 999_999) } else { (self.second, self.micros) };
        let minutes = (self.days()? * 24 + hour) * 60 + self.minute - self.offset_minutes;
        Some((minutes * 60 + second) * 1_000_000 + micros)
    }
}

/// Microseconds of the fraction at `at`, and its end.
fn fraction(text: &[u8], at: usize, form: Fraction) -> Option<(i64, usize)> {
    let (start, most) = match form {
        Fraction::Digits => (at, usize::MAX),
        Fraction::Fixed(digits) => (at, usize::from(digits)),
        Fraction::Pointed if text.get(at) != Some(&b'.') => return Some((0, at)),
        Fraction::Pointed | Fraction::PointedFixed(_) => {
            (text.get(at) == Some(&b'.')).then_some((at + 1, usize::MAX))?
        }
    };
    let count = text[start..].iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let least = if matches!(form, Fraction::Fixed(_)) { most } else { 1 };
    if count < least {
        return None;
    }
    let mut micros = 0;
    let mut unit = 100_000;
    for digit in text[start..start + count].iter().take(6) {
        micros += i64::from(digit - b'0') * unit;
        unit /= 10;
    }
    Some((micros, start + count))
}

/// Minutes east of UTC at `at`, and their end: `Z`, `+HH`, `+HHMM` or `+HH:MM`.
fn offset(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let sign = match text.get(at)? {
        b'Z' | b'z' => return Some((0, at + 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, after_hours) = digits(text, at + 1, 2, 2)?;
    let colon = text.get(after_hours) == Some(&b':');
    let (minutes, end) = match digits(text, after_hours + usize::from(colon), 2, 2) {
        Some(found) => found,
        None if colon => return None,
        None => (0, after_hours),
    };
    (hours <= 23 && minutes <= 59).then_some((sign * (hours * 60 + minutes), end))
}
