//! Times read by patterns: what `to_timestamp` and `to_date` do with `YYYY-MM-DD`.

use chrono::NaiveDate;
use datafusion::common::{DataFusionError, Result};

use super::super::super::value_error::ValueError;
use super::time_format::{MONTHS, Piece, TimePattern};

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Days of the Julian calendar before 1970.
const JULIAN_EPOCH: i64 = 2_440_588;

/// What a text says of a time.
#[derive(Debug, Default, Clone, Copy)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    microsecond: i64,
    seconds_of_day: Option<i64>,
    /// Whether the hour is one of twelve, and which half of the day it is in.
    is_twelve: bool,
    is_afternoon: Option<bool>,
    before_christ: bool,
    /// East of Greenwich.
    zone_hours: Option<i64>,
    zone_minutes: i64,
}

/// A time on some clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadTime {
    /// In microseconds since 1970.
    pub(super) microseconds: i64,
    /// The seconds that the clock is east of Greenwich, if the text says so.
    pub(super) zone_seconds: Option<i64>,
}

impl TimePattern {
    /// Reads a text.
    pub(super) fn read(&self, text: &str) -> Result<ReadTime> {
        let mut parts = Parts::default();
        let mut rest = text;
        let mut pieces = self.0.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(literal) => rest = behind(literal, rest),
                Piece::Part { pattern, .. } => {
                    // Digits end at their width only where another number follows.
                    let is_tight = matches!(pieces.peek(), Some(Piece::Part { pattern, .. })
                        if is_number(pattern));
                    rest = parts.read(pattern, is_tight, rest.trim_start(), text)?;
                }
            }
        }
        parts.time(text)
    }
}

/// The text behind what stands between patterns: separators are any separators, and other
/// characters any single ones.
fn behind<'a>(literal: &str, rest: &'a str) -> &'a str {
    let is_separator = |c: char| !c.is_alphanumeric();
    if literal.chars().all(is_separator) {
        // A sign is of the number behind it.
        let skipped = rest.trim_start_matches(|c: char| is_separator(c) && c != '-' && c != '+');
        return match skipped.strip_prefix(['-', '+']) {
            Some(behind) if !literal.trim().is_empty() => behind,
            _ => skipped,
        };
    }
    let count = literal.chars().count();
    rest.char_indices().nth(count).map_or("", |(at, _)| &rest[at..])
}

fn is_number(pattern: &str) -> bool {
    let words =
        ["MONTH", "MON", "DAY", "DY", "AM", "PM", "A.M.", "P.M.", "BC", "AD", "B.C.", "A.D."];
    !words.iter().any(|word| word.eq_ignore_ascii_case(pattern))
}

fn invalid(text: &str, pattern: &str) -> DataFusionError {
    ValueError::of("22007", format!("invalid value \"{text}\" for \"{pattern}\""))
}

fn out_of_range(text: &str) -> DataFusionError {
    ValueError::of("22008", format!("date/time field value out of range: \"{text}\""))
}

impl Parts {
    /// Reads what a pattern stands for, and gives what is behind it.
    fn read<'a>(
        &mut self,
        pattern: &str,
        is_tight: bool,
        rest: &'a str,
        text: &str,
    ) -> Result<&'a str> {
        let upper = pattern.to_ascii_uppercase();
        let number = |width: usize| number(rest, if is_tight { width } else { usize::MAX }, width);
        let digits = |width: usize| match number(width) {
            Some(found) => Ok(found),
            None => Err(invalid(rest.get(..width).unwrap_or(rest), pattern)),
        };
        let (value, behind) = match upper.as_str() {
            "MONTH" | "MON" => return self.month_name(pattern, rest),
            "DAY" | "DY" => {
                return Ok(rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()));
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let (word, behind) = half(rest).ok_or_else(|| invalid(rest, pattern))?;
                self.is_afternoon = Some(word);
                return Ok(behind);
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let lower = rest.to_ascii_lowercase();
                self.before_christ = lower.starts_with('b');
                let width = if lower.get(1..2) == Some(".") { 4 } else { 2 };
                return Ok(rest.get(width..).unwrap_or_default());
            }
            "TZH" => {
                let (hours, behind) = digits(3)?;
                self.zone_hours = Some(hours);
                return Ok(behind);
            }
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                return self.fraction(&upper, rest, pattern);
            }
            "YYYY" | "Y,YYY" => digits(4)?,
            "YYY" | "DDD" => digits(3)?,
            "YY" | "MM" | "DD" | "HH24" | "HH12" | "HH" | "MI" | "SS" | "TZM" => digits(2)?,
            "Y" | "Q" | "D" | "W" => digits(1)?,
            "SSSS" | "SSSSS" => digits(5)?,
            "J" => digits(7)?,
            other => {
                let message = format!("pattern \"{other}\" in to_timestamp is not supported");
                return Err(ValueError::of("0A000", message));
            }
        };
        let within = |least: i64, most: i64| match (least..=most).contains(&value) {
            true => Ok(value),
            false => Err(out_of_range(text)),
        };
        match upper.as_str() {
            "YYYY" | "Y,YYY" => self.year = Some(value),
            // A short year is the nearest one to 2020.
            "YYY" | "YY" | "Y" => {
                self.year = Some(match value {
                    ..70 => value + 2_000,
                    70..100 => value + 1_900,
                    100..520 => value + 2_000,
                    520..1_000 => value + 1_000,
                    _ => value,
                });
            }
            "MM" => self.month = Some(within(1, 12)?),
            "DD" => self.day = Some(within(1, 31)?),
            "DDD" => self.day_of_year = Some(within(1, 366)?),
            "HH24" => self.hour = within(0, 24)?,
            "HH12" | "HH" => {
                if !(1..=12).contains(&value) {
                    let message = format!("hour \"{value}\" is invalid for the 12-hour clock");
                    return Err(ValueError::of("22007", message));
                }
                (self.hour, self.is_twelve) = (value, true);
            }
            "MI" => self.minute = within(0, 59)?,
            "SS" => self.second = within(0, 59)?,
            "SSSS" | "SSSSS" => self.seconds_of_day = Some(within(0, DAY_SECONDS - 1)?),
            "TZM" => self.zone_minutes = within(0, 59)?,
            "J" => self.julian = Some(value),
            // A quarter and places in a week say nothing more.
            _ => {}
        }
        Ok(behind)
    }

    fn month_name<'a>(&mut self, pattern: &str, rest: &'a str) -> Result<&'a str> {
        let is_short = pattern.len() == 3;
        let found = MONTHS.into_iter().zip(1..).find_map(|(name, month)| {
            let name = if is_short { name.get(..3)? } else { name };
            let head = rest.get(..name.len())?;
            head.eq_ignore_ascii_case(name).then(|| (month, &rest[name.len()..]))
        });
        let (month, behind) = found.ok_or_else(|| invalid(rest, pattern))?;
        self.month = Some(month);
        Ok(behind)
    }

    /// Digits behind the point of seconds.
    fn fraction<'a>(&mut self, upper: &str, rest: &'a str, pattern: &str) -> Result<&'a str> {
        let width = match upper {
            "MS" => 3,
            "US" => 6,
            other => other.get(2..).and_then(|width| width.parse().ok()).unwrap_or(6),
        };
        let length = rest.bytes().take(width).take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at(length);
        if digits.is_empty() {
            return Err(invalid(rest, pattern));
        }
        let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
        self.microsecond += padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(behind)
    }

    fn time(self, text: &str) -> Result<ReadTime> {
        let beyond = || out_of_range(text);
        let year = match self.year.unwrap_or(0) {
            year if self.before_christ => 1 - year,
            year => year,
        };
        let year = i32::try_from(year).map_err(|_| beyond())?;
        let small = |number: i64| u32::try_from(number).map_err(|_| beyond());
        let date = match (self.day_of_year, self.month) {
            (Some(day), None) => NaiveDate::from_yo_opt(year, small(day)?),
            _ => {
                let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
                NaiveDate::from_ymd_opt(year, small(month)?, small(day)?)
            }
        };
        let days = match self.julian {
            Some(julian) => julian - JULIAN_EPOCH,
            None => {
                let date = date.ok_or_else(beyond)?;
                i64::from(date.to_epoch_days())
            }
        };
        let hour = match (self.is_twelve, self.is_afternoon) {
            (_, Some(true)) if self.hour < 12 => self.hour + 12,
            (_, Some(false)) if self.hour == 12 => 0,
            // Twelve of the clock without a half of the day is midnight.
            (true, None) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let seconds = self.seconds_of_day.unwrap_or(hour * 3_600 + self.minute * 60 + self.second);
        if seconds > DAY_SECONDS {
            return Err(beyond());
        }
        let microseconds = days
            .checked_mul(DAY_SECONDS)
            .and_then(|day| day.checked_add(seconds)?.checked_mul(SECOND))
            .and_then(|whole| whole.checked_add(self.microsecond))
            .ok_or_else(beyond)?;
        let zone_seconds = self.zone_hours.map(|hours| {
            let minutes = if hours < 0 { -self.zone_minutes } else { self.zone_minutes };
            hours * 3_600 + minutes * 60
        });
        Ok(ReadTime { microseconds, zone_seconds })
    }
}

/// Whether a word is of the afternoon, and what is behind it.
fn half(rest: &str) -> Option<(bool, &str)> {
    let words = [("a.m.", false), ("p.m.", true), ("am", false), ("pm", true)];
    words.into_iter().find_map(|(word, is_afternoon)| {
        let head = rest.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then(|| (is_afternoon, &rest[word.len()..]))
    })
}

/// A number of at most so many digits, and what is behind it. A year may have a comma.
fn number(rest: &str, digits_max: usize, width: usize) -> Option<(i64, &str)> {
    let (sign, digits) = match rest.strip_prefix(['-', '+']) {
        Some(digits) if rest.starts_with('-') => (-1, digits),
        Some(digits) => (1, digits),
        None => (1, rest),
    };
    // More digits than a pattern has are taken for years and days of the Julian calendar alone.
    let most = if width >= 4 { digits_max } else { width };
    let length = digits.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (digits, behind) = digits.split_at(length);
    Some((digits.parse::<i64>().ok()? * sign, behind))
}
