//! Intervals from text: PostgreSQL's, SQL's and those of ISO 8601.

use crate::postgres::values::calendar::{DAY_US, SECOND_US};
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::value::Interval;

use super::parsed::is_space;

/// Parts of a number with a fraction.
const ONE: i128 = 1_000_000_000;
const MONTH_DAYS: i128 = 30;

/// Reads an interval.
pub(super) fn interval(text: &str) -> Result<Interval, ParameterError> {
    let trimmed = text.trim_matches(is_space);
    let mut sum = Sum::default();
    let read = match trimmed.strip_prefix('P') {
        Some(iso) => sum.iso(iso),
        None => sum.words(trimmed),
    };
    if read.is_none() {
        let text = text.to_owned();
        return Err(ParameterError::DateSyntax { postgres: "interval", text });
    }
    sum.interval().ok_or_else(|| ParameterError::DateRange {
        what: "interval field value",
        text: text.to_owned(),
    })
}

/// What has been read.
#[derive(Debug, Default)]
struct Sum {
    months: i128,
    days: i128,
    microseconds: i128,
    /// Whether a clock had too many minutes or seconds.
    out_of_range: bool,
}

impl Sum {
    fn interval(&self) -> Option<Interval> {
        if self.out_of_range {
            return None;
        }
        Some(Interval {
            months: i32::try_from(self.months).ok()?,
            days: i32::try_from(self.days).ok()?,
            microseconds: i64::try_from(self.microseconds).ok()?,
        })
    }

    /// Adds an amount, in parts of `ONE`, of a unit. What is more than a whole number of the unit
    /// goes to smaller ones.
    fn add(&mut self, amount: i128, unit: Unit) {
        match unit {
            Unit::Microseconds(size) => {
                self.microseconds += rounded(amount * i128::from(size), ONE);
            }
            Unit::Days(size) => {
                let days = amount * i128::from(size);
                self.days += days / ONE;
                self.microseconds += rounded(days % ONE * i128::from(DAY_US), ONE);
            }
            Unit::Months => {
                self.months += amount / ONE;
                self.add(amount % ONE * MONTH_DAYS, Unit::Days(1));
            }
            // A part of a year is a whole number of months.
            Unit::Years(size) => self.months += rounded(amount * i128::from(size) * 12, ONE),
        }
    }

    /// Words such as `1 year -2 days 03:04:05 ago`.
    fn words(&mut self, text: &str) -> Option<()> {
        let mut pending: Option<i128> = None;
        let mut any = false;
        let mut ago = false;
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(|character| is_space(character) || character == '@');
            let Some(first) = rest.chars().next() else { break };
            if ago {
                return None;
            }
            if first.is_ascii_alphabetic() {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                rest = behind;
                match (pending.take(), word.eq_ignore_ascii_case("ago")) {
                    (None, true) if any => ago = true,
                    (Some(amount), false) => self.add(amount, unit(word)?),
                    _ => return None,
                }
                continue;
            }
            any = true;
            let end = rest.find(|c: char| is_space(c) || c.is_ascii_alphabetic());
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            rest = behind;
            if word.contains(':') {
                // A number in front of a time counts days.
                if let Some(days) = pending.take() {
                    self.add(days, Unit::Days(1));
                }
                self.clock(word)?;
            } else if let Some(months) = years_and_months(word) {
                self.months += months;
            } else if pending.replace(number(word)?).is_some() {
                return None;
            }
        }
        // A number alone counts seconds.
        if let Some(seconds) = pending {
            self.add(seconds, Unit::Microseconds(SECOND_US));
        }
        if ago {
            self.months = -self.months;
            self.days = -self.days;
            self.microseconds = -self.microseconds;
        }
        any.then_some(())
    }

    /// `1Y2M3DT4H5M6.5S` or `0001-02-03T04:05:06`.
    fn iso(&mut self, text: &str) -> Option<()> {
        let (date, time) = text.split_once('T').unwrap_or((text, ""));
        if text.is_empty() {
            return None;
        }
        if let [years, months, days] = date.split('-').collect::<Vec<_>>().as_slice()
            && !years.is_empty()
        {
            self.add(number(years)?, Unit::Years(1));
            self.add(number(months)?, Unit::Months);
            self.add(number(days)?, Unit::Days(1));
        } else {
            self.designators(date, |unit| {
                Some(match unit {
                    'Y' => Unit::Years(1),
                    'M' => Unit::Months,
                    'W' => Unit::Days(7),
                    'D' => Unit::Days(1),
                    _ => return None,
                })
            })?;
        }
        if time.contains(':') {
            return self.clock(time);
        }
        self.designators(time, |unit| {
            Some(Unit::Microseconds(match unit {
                'H' => 3_600 * SECOND_US,
                'M' => 60 * SECOND_US,
                'S' => SECOND_US,
                _ => return None,
            }))
        })
    }

    /// Adds `-04:05:06.789`.
    fn clock(&mut self, word: &str) -> Option<()> {
        let (negative, digits) = signed(word);
        let (hours, minutes, seconds) = match digits.split(':').collect::<Vec<_>>().as_slice() {
            [hours, minutes] => (unsigned(hours)?, unsigned(minutes)?, 0),
            [hours, minutes, seconds] => (unsigned(hours)?, unsigned(minutes)?, unsigned(seconds)?),
            _ => return None,
        };
        self.out_of_range |= minutes >= 60 * ONE || seconds > 60 * ONE;
        let total = ((hours * 60 + minutes) * 60 + seconds) * i128::from(SECOND_US);
        let total = rounded(total, ONE);
        self.microseconds += if negative { -total } else { total };
        Some(())
    }

    fn designators(&mut self, text: &str, unit: impl Fn(char) -> Option<Unit>) -> Option<()> {
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|character: char| character.is_ascii_alphabetic())?;
            let (amount, behind) = rest.split_at(end);
            let mut characters = behind.chars();
            let unit = unit(characters.next()?)?;
            rest = characters.as_str();
            self.add(number(amount)?, unit);
        }
        Some(())
    }
}

/// A unit, by what its whole numbers are added to.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Microseconds(i64),
    Days(i64),
    Months,
    Years(i64),
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word.to_ascii_lowercase().as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds"
        | "microsecon" => Unit::Microseconds(1),
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds"
        | "millisecon" => Unit::Microseconds(1_000),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Microseconds(SECOND_US),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Microseconds(60 * SECOND_US),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Microseconds(3_600 * SECOND_US),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Years(1),
        "dec" | "decs" | "decade" | "decades" => Unit::Years(10),
        "c" | "cent" | "century" | "centuries" => Unit::Years(100),
        "mil" | "mils" | "millennia" | "millennium" => Unit::Years(1_000),
        _ => return None,
    })
}

fn rounded(value: i128, divisor: i128) -> i128 {
    let half = if value < 0 { -divisor / 2 } else { divisor / 2 };
    (value + half) / divisor
}

/// Whether a word is negative, and what is behind its sign.
fn signed(word: &str) -> (bool, &str) {
    match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    }
}

fn unsigned(text: &str) -> Option<i128> {
    match text.starts_with(['-', '+']) {
        false => number(text),
        true => None,
    }
}

/// A number with a fraction in parts of `ONE`.
fn number(text: &str) -> Option<i128> {
    let (negative, digits) = signed(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    // 18 digits are more than any field holds; all sums of them fit.
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = match whole {
        "" => 0,
        whole if whole.len() <= 18 => whole.parse::<i128>().ok()?,
        _ => ONE * ONE,
    };
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let fraction = padded.fold(0, |number, digit| number * 10 + i128::from(digit - b'0'));
    let amount = whole * ONE + fraction;
    Some(if negative { -amount } else { amount })
}

/// The months of SQL's `1-2`.
fn years_and_months(word: &str) -> Option<i128> {
    let (negative, digits) = signed(word);
    let (years, months) = digits.split_once('-')?;
    let (years, months) = (unsigned(years)? / ONE, unsigned(months)? / ONE);
    let total = years * 12 + months;
    (months < 12).then_some(if negative { -total } else { total })
}
