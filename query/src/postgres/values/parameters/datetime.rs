//! Dates and times from text, in the forms of ISO 8601 and those that PostgreSQL takes with
//! DateStyle `ISO, MDY`.
//!
//! Words that depend on the clock (`now`, `today`) are refused, and so is `infinity`.

use crate::postgres::values::calendar::{DAY_US, Day, SECOND_US, days_of, is_date, is_timestamp};
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::zone::{SessionZone, parse_offset};

use super::parsed::{Moment, is_space};

const NANOSECONDS: i64 = 1_000_000_000;
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Why a text is no date or time.
enum Refusal {
    Syntax,
    /// A number that no month, day or clock has.
    Range,
    /// A day or instant that the type does not reach.
    Beyond,
    Zone(String),
    Displacement,
}

type Result<T> = std::result::Result<T, Refusal>;

/// Days since 1970.
pub(super) fn date(text: &str) -> std::result::Result<i64, ParameterError> {
    let days = Parts::read(text, false).and_then(|parts| parts.days());
    days.map_err(|refusal| refusal.of("date", "date", text))
}

/// Time since midnight; a date and a zone in the text count for nothing.
pub(super) fn time(text: &str) -> std::result::Result<Moment, ParameterError> {
    let time = Parts::read(text, true).and_then(|parts| {
        if parts.day.is_some() {
            parts.days()?;
        }
        parts.time.ok_or(Refusal::Syntax)
    });
    let time = time.map(|nanoseconds| moment(0, nanoseconds));
    time.map_err(|refusal| refusal.of("time", "time", text))
}

/// A timestamp on a clock without zone; a zone in the text counts for nothing.
pub(super) fn timestamp(text: &str) -> std::result::Result<Moment, ParameterError> {
    let moment = Parts::read(text, false).and_then(|parts| parts.local());
    moment.map_err(|refusal| refusal.of("timestamp", "timestamp", text))
}

/// An instant; without zone in the text the clock is the session's.
pub(super) fn timestamptz(
    text: &str,
    session: SessionZone,
) -> std::result::Result<Moment, ParameterError> {
    let moment = Parts::read(text, false).and_then(|parts| {
        let local = parts.local()?;
        let zone = parts.zone.unwrap_or(session);
        let microseconds = zone.instant(local.microseconds).ok_or(Refusal::Beyond)?;
        match is_timestamp(microseconds) {
            true => Ok(Moment { microseconds, ..local }),
            false => Err(Refusal::Beyond),
        }
    });
    moment.map_err(|refusal| refusal.of("timestamp with time zone", "timestamp", text))
}

impl Refusal {
    fn of(self, postgres: &'static str, what: &'static str, text: &str) -> ParameterError {
        let text = text.to_owned();
        match self {
            Self::Syntax => ParameterError::DateSyntax { postgres, text },
            Self::Range => ParameterError::DateRange { what: "date/time field value", text },
            Self::Beyond => ParameterError::DateRange { what, text },
            Self::Zone(zone) => ParameterError::Zone { zone },
            Self::Displacement => {
                ParameterError::DateRange { what: "time zone displacement", text }
            }
        }
    }
}

fn moment(days: i64, nanoseconds: i64) -> Moment {
    Moment {
        microseconds: days.saturating_mul(DAY_US).saturating_add(nanoseconds.div_euclid(1_000)),
        nanoseconds: u16::try_from(nanoseconds.rem_euclid(1_000)).unwrap_or_default(),
    }
}

/// What a text says.
#[derive(Default)]
struct Parts {
    day: Option<Day>,
    /// Nanoseconds since midnight.
    time: Option<i64>,
    zone: Option<SessionZone>,
    before_christ: bool,
    /// A month in letters, and the numbers around it.
    month: Option<u8>,
    numbers: Vec<(i64, usize)>,
}

impl Parts {
    /// Reads the words of a text; `of_time` if digits alone are a time.
    fn read(text: &str, of_time: bool) -> Result<Self> {
        let mut parts = Self::default();
        let words = text.split(|character| is_space(character) || character == ',');
        let mut any = false;
        for word in words.filter(|word| !word.is_empty()) {
            any = true;
            parts.word(word, of_time)?;
        }
        if let Some(month) = parts.month {
            let day = from_numbers(month, &parts.numbers)?;
            parts.set_day(day)?;
        } else if !parts.numbers.is_empty() || !any {
            return Err(Refusal::Syntax);
        }
        Ok(parts)
    }

    fn word(&mut self, word: &str, of_time: bool) -> Result<()> {
        let first = word.chars().next().unwrap_or(' ');
        if first.is_ascii_digit() {
            return self.digits(word, of_time);
        }
        let lower = word.to_ascii_lowercase();
        if lower.trim_start_matches(['-', '+']) == "infinity" {
            return Err(Refusal::Range);
        }
        if matches!(first, '+' | '-') {
            return self.offset(word);
        }
        if let Some(time) = lower.strip_prefix('t').filter(|time| is_clock(time)) {
            return self.clock(time);
        }
        match lower.as_str() {
            "bc" => self.before_christ = true,
            "ad" => {}
            "am" | "pm" => self.half_day(lower == "pm")?,
            "epoch" => {
                self.set_day(Day { year: 1970, month: 1, day: 1 })?;
                self.zone = Some(SessionZone::UTC);
            }
            "now" | "today" | "tomorrow" | "yesterday" => return Err(Refusal::Syntax),
            _ => match (month(&lower), is_weekday(&lower)) {
                (Some(month), _) if self.month.is_none() => self.month = Some(month),
                (None, true) => {}
                _ => return self.zone_name(word),
            },
        }
        Ok(())
    }

    /// A word that begins with a digit: a date, a time, or both with `T` between.
    fn digits(&mut self, word: &str, of_time: bool) -> Result<()> {
        if let Some((date, time)) = word.split_once(['T', 't'])
            && date.chars().all(|character| !character.is_alphabetic())
        {
            self.date(date)?;
            return self.clock(time);
        }
        let separated = word.contains(['-', '/', '.']) && !word.contains(':');
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            let known = self.day.is_some() || of_time;
            return match word.len() {
                4 | 6 if known && self.time.is_none() => self.clock(word),
                6 | 8.. => self.date(word),
                length => {
                    let number = word.parse().map_err(|_| Refusal::Range)?;
                    self.numbers.push((number, length));
                    Ok(())
                }
            };
        }
        let is_date = separated && self.day.is_none() && !(of_time && word.contains('.'));
        let is_clock = self.day.is_some() || of_time || word.contains(':');
        match (is_date, is_clock) {
            (true, _) => self.date(word),
            (false, true) => self.clock(word),
            (false, false) => Err(Refusal::Syntax),
        }
    }

    fn date(&mut self, word: &str) -> Result<()> {
        let separator = word.chars().find(|character| matches!(character, '-' | '/' | '.'));
        let parts = word.split(separator.unwrap_or('-')).collect::<Vec<_>>();
        let day = match parts.as_slice() {
            [digits] => match digits.len() {
                8.. => {
                    let (year, rest) =
                        digits.split_at_checked(digits.len() - 4).ok_or(Refusal::Syntax)?;
                    let (month, day) = rest.split_at_checked(2).ok_or(Refusal::Syntax)?;
                    Day { year: number(year)?, month: small(month)?, day: small(day)? }
                }
                6 => {
                    let (year, rest) = digits.split_at_checked(2).ok_or(Refusal::Syntax)?;
                    let (month, day) = rest.split_at_checked(2).ok_or(Refusal::Syntax)?;
                    Day { year: century(year)?, month: small(month)?, day: small(day)? }
                }
                _ => return Err(Refusal::Syntax),
            },
            [first, second, third] => {
                let lower = second.to_ascii_lowercase();
                match month(&lower) {
                    Some(month) if first.len() > 2 => {
                        Day { year: number(first)?, month, day: small(third)? }
                    }
                    Some(month) => Day { year: century(third)?, month, day: small(first)? },
                    None if first.len() > 2 => {
                        Day { year: number(first)?, month: small(second)?, day: small(third)? }
                    }
                    None => {
                        Day { year: century(third)?, month: small(first)?, day: small(second)? }
                    }
                }
            }
            _ => return Err(Refusal::Syntax),
        };
        self.set_day(day)
    }

    fn set_day(&mut self, day: Day) -> Result<()> {
        match self.day.replace(day) {
            None => Ok(()),
            Some(_) => Err(Refusal::Syntax),
        }
    }

    /// A time of the day, with `PM` or a zone behind it or not.
    fn clock(&mut self, word: &str) -> Result<()> {
        let end = word
            .find(|character: char| !character.is_ascii_digit() && !matches!(character, ':' | '.'))
            .unwrap_or(word.len());
        let (clock, suffix) = word.split_at(end);
        if self.time.is_some() {
            return Err(Refusal::Syntax);
        }
        self.time = Some(read_clock(clock)?);
        match suffix {
            "" => Ok(()),
            suffix if suffix.starts_with(['+', '-']) => self.offset(suffix),
            suffix => match suffix.to_ascii_lowercase().as_str() {
                "am" => self.half_day(false),
                "pm" => self.half_day(true),
                _ => self.zone_name(suffix),
            },
        }
    }

    fn half_day(&mut self, afternoon: bool) -> Result<()> {
        let hour = 3_600 * NANOSECONDS;
        let time = self.time.ok_or(Refusal::Syntax)?;
        self.time = Some(match time / hour {
            12 if !afternoon => time - 12 * hour,
            0..=11 if afternoon => time + 12 * hour,
            0..=12 => time,
            _ => return Err(Refusal::Range),
        });
        Ok(())
    }

    fn offset(&mut self, word: &str) -> Result<()> {
        match (self.zone, parse_offset(word)) {
            (None, Some(seconds)) if self.time.is_some() => {
                self.zone = Some(SessionZone::Fixed(seconds));
                Ok(())
            }
            (None, None) if is_displacement(&word[1..]) => Err(Refusal::Displacement),
            _ => Err(Refusal::Syntax),
        }
    }

    fn zone_name(&mut self, word: &str) -> Result<()> {
        if self.zone.is_some() || self.day.is_none() && self.time.is_none() {
            return Err(Refusal::Syntax);
        }
        self.zone = Some(match SessionZone::parse(word) {
            Some(zone) => zone,
            None if word.contains('/') => return Err(Refusal::Zone(word.to_ascii_lowercase())),
            None => return Err(Refusal::Syntax),
        });
        Ok(())
    }

    fn days(&self) -> Result<i64> {
        let mut day = self.day.ok_or(Refusal::Syntax)?;
        // No year is called 0.
        if day.year < 1 {
            return Err(Refusal::Range);
        }
        if self.before_christ {
            day.year = 1 - day.year;
        }
        let days = days_of(day).ok_or(Refusal::Range)?;
        if is_date(days) { Ok(days) } else { Err(Refusal::Beyond) }
    }

    fn local(&self) -> Result<Moment> {
        let (days, time) = (self.days()?, self.time.unwrap_or(0));
        let fits = days.checked_mul(DAY_US).and_then(|start| start.checked_add(time / 1_000));
        match fits.is_some_and(is_timestamp) {
            true => Ok(moment(days, time)),
            false => Err(Refusal::Beyond),
        }
    }
}

fn is_clock(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

fn is_displacement(text: &str) -> bool {
    is_clock(text) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// A month by its name or the first three letters.
fn month(lower: &str) -> Option<u8> {
    let is = |name: &&str| *name == lower || name.get(..3) == Some(lower);
    let index = MONTHS.iter().position(is).or_else(|| (lower == "sept").then_some(8))?;
    u8::try_from(index + 1).ok()
}

fn is_weekday(lower: &str) -> bool {
    WEEKDAYS.iter().any(|day| lower.starts_with(day))
        && (lower.len() == 3 || lower.ends_with("day"))
}

fn number(digits: &str) -> Result<i64> {
    match digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        true => digits.parse().map_err(|_| Refusal::Range),
        false => Err(Refusal::Syntax),
    }
}

/// A month or a day of one or two digits.
fn small(digits: &str) -> Result<u8> {
    match (u8::try_from(number(digits)?), digits.len()) {
        (Ok(number), 1 | 2) => Ok(number),
        _ => Err(Refusal::Range),
    }
}

/// A year, of the century around 2000 if it has two digits.
fn century(digits: &str) -> Result<i64> {
    Ok(match (number(digits)?, digits.len()) {
        (year @ 0..=69, 1 | 2) => year + 2_000,
        (year, 1 | 2) => year + 1_900,
        (year, _) => year,
    })
}

/// The day of a month in letters and the two numbers around it.
fn from_numbers(month: u8, numbers: &[(i64, usize)]) -> Result<Day> {
    let [first, second] = numbers else { return Err(Refusal::Syntax) };
    let (year, day) = if first.1 > 2 { (first, second) } else { (second, first) };
    let year = match year {
        (year @ 0..=69, 1 | 2) => year + 2_000,
        (year, 1 | 2) => year + 1_900,
        (year, _) => *year,
    };
    Ok(Day { year, month, day: u8::try_from(day.0).map_err(|_| Refusal::Range)? })
}

/// Nanoseconds since midnight of `10:11`, `10:11:12.5`, `1011` or `101112.5`.
fn read_clock(text: &str) -> Result<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<&str> = match clock.contains(':') {
        true => clock.split(':').collect(),
        false if matches!(clock.len(), 4 | 6) && clock.is_ascii() => {
            (0..clock.len()).step_by(2).filter_map(|start| clock.get(start..start + 2)).collect()
        }
        false => return Err(Refusal::Syntax),
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] if fraction.is_empty() => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return Err(Refusal::Syntax),
    };
    let fraction = nanoseconds(fraction)?;
    let whole = hours.saturating_mul(3_600).saturating_add(minutes.saturating_mul(60));
    let whole = whole.saturating_add(seconds);
    let total = whole.checked_mul(NANOSECONDS).and_then(|total| total.checked_add(fraction));
    let day = DAY_US / SECOND_US * NANOSECONDS;
    match total {
        Some(total) if minutes < 60 && seconds <= 60 && hours <= 24 && total <= day => Ok(total),
        _ => Err(Refusal::Range),
    }
}

/// The nanoseconds of digits behind a point; further digits are cut.
fn nanoseconds(digits: &str) -> Result<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Syntax);
    }
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    Ok(padded.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}
