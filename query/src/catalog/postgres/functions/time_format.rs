//! Patterns of times: `YYYY-MM-DD HH24:MI:SS`.

use chrono::{Datelike, NaiveDateTime, Timelike};

/// What a pattern can show of a time or an interval.
#[derive(Debug, Clone, Default)]
pub(super) struct Moment {
    year: i64,
    month: u32,
    day: u32,
    hour: i64,
    minute: u32,
    second: u32,
    microsecond: u32,
    day_of_year: u32,
    /// From Monday, 0.
    weekday: u32,
    iso_year: i64,
    iso_week: u32,
    /// Days of the Julian calendar.
    julian: i64,
    zone: Option<(i32, String)>,
    is_interval: bool,
}

/// Days of the Julian calendar before the year 1.
const JULIAN_BEFORE_1: i64 = 1_721_425;

impl Moment {
    pub(super) fn of_time(time: NaiveDateTime, zone: Option<(i32, String)>) -> Self {
        Self {
            year: i64::from(time.year()),
            month: time.month(),
            day: time.day(),
            hour: i64::from(time.hour()),
            minute: time.minute(),
            second: time.second(),
            microsecond: time.and_utc().timestamp_subsec_micros(),
            day_of_year: time.ordinal(),
            weekday: time.weekday().num_days_from_monday(),
            iso_year: i64::from(time.iso_week().year()),
            iso_week: time.iso_week().week(),
            julian: i64::from(time.num_days_from_ce()) + JULIAN_BEFORE_1 - 1,
            zone,
            is_interval: false,
        }
    }

    pub(super) fn of_interval(months: i32, days: i32, nanoseconds: i64) -> Self {
        let microseconds = nanoseconds / 1_000;
        let part = |divisor: i64, modulus: i64| {
            u32::try_from((microseconds / divisor).abs() % modulus).unwrap_or_default()
        };
        Self {
            year: i64::from(months / 12),
            month: (months % 12).unsigned_abs(),
            day: days.unsigned_abs(),
            hour: microseconds / 3_600_000_000,
            minute: part(60_000_000, 60),
            second: part(1_000_000, 60),
            microsecond: part(1, 1_000_000),
            is_interval: true,
            ..Self::default()
        }
    }
}

/// The patterns, of several that begin alike the longest first.
const PATTERNS: &[&str] = &[
    "SSSSS", "Y,YYY", "MONTH", "Month", "month", "YYYY", "IYYY", "HH24", "HH12", "SSSS", "IDDD",
    "A.M.", "P.M.", "a.m.", "p.m.", "B.C.", "A.D.", "b.c.", "a.d.", "YYY", "IYY", "MON", "Mon",
    "mon", "DAY", "Day", "day", "DDD", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
    "HH", "MI", "SS", "MS", "US", "AM", "PM", "am", "pm", "BC", "AD", "bc", "ad", "YY", "IY", "MM",
    "DY", "Dy", "dy", "DD", "ID", "WW", "IW", "CC",
];
/// Those of two letters and one, after the others.
const SHORT_PATTERNS: &[&str] = &["TZ", "tz", "OF", "RM", "rm", "Y", "I", "D", "W", "Q", "J"];

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// The pattern, whether without padding (`FM`), and its ending (`TH`, `th`).
    Part {
        pattern: &'static str,
        bare: bool,
        ending: Option<bool>,
    },
}

/// A pattern of times.
#[derive(Debug, Clone)]
pub(super) struct TimePattern(pub(super) Vec<Piece>);

impl TimePattern {
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut bare = false;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
                bare = true;
                rest = after;
                continue;
            }
            if let Some(after) = ["TM", "FX"].iter().find_map(|mark| rest.strip_prefix(mark)) {
                rest = after;
                continue;
            }
            if let Some(after) = rest.strip_prefix('"') {
                let end = after.find('"').unwrap_or(after.len());
                pieces.push(Piece::Text(after[..end].to_owned()));
                rest = after.get(end + 1..).unwrap_or_default();
                continue;
            }
            let all = PATTERNS.iter().chain(SHORT_PATTERNS).copied();
            // Letters that only mean numbers are the same in both cases.
            let found = all.clone().find(|pattern| rest.starts_with(*pattern)).or_else(|| {
                all.clone().find(|pattern| {
                    rest.get(..pattern.len()).is_some_and(|head| head.eq_ignore_ascii_case(pattern))
                })
            });
            match found {
                Some(pattern) => {
                    rest = &rest[pattern.len()..];
                    let ending = match rest.get(..2) {
                        Some("TH") => Some(true),
                        Some("th") => Some(false),
                        _ => None,
                    };
                    if ending.is_some() {
                        rest = &rest[2..];
                    }
                    pieces.push(Piece::Part { pattern, bare, ending });
                    bare = false;
                }
                None => {
                    let length = first.len_utf8();
                    let text = if first == '\\' { &rest[..0] } else { &rest[..length] };
                    pieces.push(Piece::Text(text.to_owned()));
                    rest = &rest[length..];
                }
            }
        }
        Self(pieces)
    }

    pub(super) fn show(&self, moment: &Moment) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Part { pattern, bare, ending } => {
                    let shown = part(pattern, *bare, moment);
                    text.push_str(&shown);
                    if let Some(upper) = ending {
                        let ending = ordinal(&shown);
                        match upper {
                            true => text.push_str(&ending.to_ascii_uppercase()),
                            false => text.push_str(ending),
                        }
                    }
                }
            }
        }
        text
    }
}

/// The ending of a number that counts: `1st`.
pub(super) fn ordinal(digits: &str) -> &'static str {
    let number: i64 = digits.trim().trim_start_matches('-').parse().unwrap_or_default();
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

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
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ROMAN: [&str; 13] =
    ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

fn part(pattern: &str, bare: bool, moment: &Moment) -> String {
    let number = |value: i64, width: usize| match bare {
        true => value.to_string(),
        false if value < 0 => format!("-{:0width$}", value.unsigned_abs()),
        false => format!("{value:0width$}"),
    };
    let digits = |value: u32, width| number(i64::from(value), width);
    // Years are counted without a year 0.
    let year = |year: i64| if year > 0 || moment.is_interval { year } else { 1 - year };
    let hour12 = match moment.hour.rem_euclid(12) {
        0 if !moment.is_interval || moment.hour != 0 => 12,
        0 => 12,
        hour => hour,
    };
    let is_pm = moment.hour.rem_euclid(24) >= 12;
    let is_bc = moment.year <= 0 && !moment.is_interval;
    match pattern {
        "YYYY" => number(year(moment.year), 4),
        "Y,YYY" => {
            let year = year(moment.year);
            format!("{},{:03}", year / 1_000, year % 1_000)
        }
        "YYY" => number(year(moment.year) % 1_000, 3),
        "YY" => number(year(moment.year) % 100, 2),
        "Y" => number(year(moment.year) % 10, 1),
        "IYYY" => number(year(moment.iso_year), 4),
        "IYY" => number(year(moment.iso_year) % 1_000, 3),
        "IY" => number(year(moment.iso_year) % 100, 2),
        "I" => number(year(moment.iso_year) % 10, 1),
        "MM" => digits(moment.month, 2),
        "DD" => digits(moment.day, 2),
        "DDD" => digits(moment.day_of_year, 3),
        "IDDD" => digits((moment.iso_week.max(1) - 1) * 7 + moment.weekday + 1, 3),
        "D" => digits((moment.weekday + 1) % 7 + 1, 1),
        "ID" => digits(moment.weekday + 1, 1),
        "WW" => digits((moment.day_of_year.max(1) - 1) / 7 + 1, 2),
        "IW" => digits(moment.iso_week, 2),
        "W" => digits((moment.day.max(1) - 1) / 7 + 1, 1),
        "Q" => digits((moment.month.max(1) - 1) / 3 + 1, 1),
        "CC" => number((year(moment.year) - 1).div_euclid(100) + 1, 2),
        "J" => moment.julian.to_string(),
        "HH24" => number(moment.hour, 2),
        "HH12" | "HH" => number(hour12, 2),
        "MI" => digits(moment.minute, 2),
        "SS" => digits(moment.second, 2),
        "SSSS" | "SSSSS" => number(
            moment.hour * 3_600 + i64::from(moment.minute * 60 + moment.second),
            if bare { 0 } else { 1 },
        ),
        "MS" => digits(moment.microsecond / 1_000, 3),
        "US" => digits(moment.microsecond, 6),
        "FF1" => digits(moment.microsecond / 100_000, 1),
        "FF2" => digits(moment.microsecond / 10_000, 2),
        "FF3" => digits(moment.microsecond / 1_000, 3),
        "FF4" => digits(moment.microsecond / 100, 4),
        "FF5" => digits(moment.microsecond / 10, 5),
        "FF6" => digits(moment.microsecond, 6),
        "AM" | "PM" => if is_pm { "PM" } else { "AM" }.to_owned(),
        "am" | "pm" => if is_pm { "pm" } else { "am" }.to_owned(),
        "A.M." | "P.M." => if is_pm { "P.M." } else { "A.M." }.to_owned(),
        "a.m." | "p.m." => if is_pm { "p.m." } else { "a.m." }.to_owned(),
        "BC" | "AD" => if is_bc { "BC" } else { "AD" }.to_owned(),
        "bc" | "ad" => if is_bc { "bc" } else { "ad" }.to_owned(),
        "B.C." | "A.D." => if is_bc { "B.C." } else { "A.D." }.to_owned(),
        "b.c." | "a.d." => if is_bc { "b.c." } else { "a.d." }.to_owned(),
        "MONTH" | "Month" | "month" | "MON" | "Mon" | "mon" => {
            word(pattern, bare, MONTHS.get(at(moment.month.wrapping_sub(1))), 9)
        }
        "DAY" | "Day" | "day" | "DY" | "Dy" | "dy" => {
            word(pattern, bare, DAYS.get(at(moment.weekday)), 9)
        }
        "RM" | "rm" => {
            let roman = ROMAN.get(at(moment.month)).copied().unwrap_or_default();
            let roman = if pattern == "rm" { roman.to_lowercase() } else { roman.to_owned() };
            if bare { roman } else { format!("{roman:<4}") }
        }
        "TZ" | "tz" => match &moment.zone {
            Some((_, name)) if pattern == "tz" => name.to_lowercase(),
            Some((_, name)) => name.clone(),
            None => String::new(),
        },
        "OF" => {
            let seconds = moment.zone.as_ref().map_or(0, |zone| zone.0);
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.abs() / 60;
            match minutes % 60 {
                0 => format!("{sign}{:02}", minutes / 60),
                rest => format!("{sign}{:02}:{rest:02}", minutes / 60),
            }
        }
        "TZH" => {
            let seconds = moment.zone.as_ref().map_or(0, |zone| zone.0);
            format!("{}{:02}", if seconds < 0 { '-' } else { '+' }, seconds.abs() / 3_600)
        }
        "TZM" => {
            let seconds = moment.zone.as_ref().map_or(0, |zone| zone.0);
            format!("{:02}", seconds.abs() / 60 % 60)
        }
        _ => String::new(),
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A name in the case of its pattern, short where the pattern is, else padded.
fn word(pattern: &str, bare: bool, name: Option<&&str>, width: usize) -> String {
    let name = name.copied().unwrap_or_default();
    let short = pattern.len() <= 3 && !pattern.eq_ignore_ascii_case("day");
    let name = if short { name.get(..3).unwrap_or_default() } else { name };
    let cased = match pattern.chars().nth(1) {
        Some(second) if second.is_ascii_uppercase() => name.to_uppercase(),
        _ if pattern.starts_with(|c: char| c.is_ascii_uppercase()) => name.to_owned(),
        _ => name.to_lowercase(),
    };
    if bare || short { cased } else { format!("{cased:<width$}") }
}
