//! Dates and times in text: the ways of writing them that fit all values of a column.

use crate::decode::{TimePattern, parse_timestamp};

const DATES: [&str; 15] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%Y%m%d",
];
const TIMES: [&str; 7] =
    ["", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "T%H:%M:%S", ", %H:%M"];
/// Times of day alone.
const CLOCKS: [&str; 6] = ["%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H.%M", "%H%M%S"];

/// How the values of a column are written.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// `auto`, or a pattern.
    pub(super) written: String,
    /// Another pattern that fits all values, and means other times.
    pub(super) rival: Option<String>,
    pub(super) has_clock: bool,
    /// Every value says how far it is from UTC.
    pub(super) has_offset: bool,
    /// The instants, as this form reads them.
    instants: Vec<i64>,
}

/// The form that fits all values.
pub(super) fn form(values: &[String]) -> Option<Form> {
    let first = values.first()?;
    if let Some(instants) =
        values.iter().map(|v| parse_timestamp(v.as_bytes())).collect::<Option<Vec<i64>>>()
    {
        let tail = |v: &String| v.get(11..).unwrap_or_default().to_owned();
        let has_offset = values.iter().all(|v| tail(v).contains(['Z', 'z', '+', '-', 'C']));
        let has_clock = values.iter().any(|v| v.len() > 10);
        return Some(Form { written: "auto".into(), rival: None, has_clock, has_offset, instants });
    }
    let mut fitting: Vec<Form> = Vec::new();
    for date in DATES {
        for time in TIMES {
            let written = format!("{date}{time}");
            let Ok(pattern) = TimePattern::parse(&written) else { continue };
            if pattern.read(first.as_bytes()).is_none() {
                continue;
            }
            let read = |v: &String| pattern.read(v.as_bytes());
            if let Some(instants) = values.iter().map(read).collect::<Option<Vec<i64>>>() {
                let has_clock = !time.is_empty();
                let (rival, has_offset) = (None, false);
                fitting.push(Form { written, rival, has_clock, has_offset, instants });
            }
        }
    }
    let mut fitting = fitting.into_iter();
    let first = fitting.next()?;
    let Some(second) = fitting.find(|form| form.instants != first.instants) else {
        return Some(first);
    };
    // A statement is in order of its days, forwards or backwards, if it is read well.
    let is_ordered =
        |form: &Form| form.instants.is_sorted() || form.instants.iter().rev().is_sorted();
    let (mut chosen, other) = match (is_ordered(&first), is_ordered(&second)) {
        (false, true) => (second, first),
        _ => (first, second),
    };
    chosen.rival = Some(other.written);
    Some(chosen)
}

/// The time of day that all values are, as a pattern that follows a date. Without colons that is
/// what a number is too, so that the column has to be named so.
pub(super) fn clock(values: &[String], is_named: bool) -> Option<&'static str> {
    let is_clock = |v: &String| match v.split_once('.') {
        Some((_, minutes)) => minutes.len() == 2,
        None => v.contains(':') || v.len() == 6,
    };
    if !values.iter().all(is_clock) {
        return None;
    }
    let fits = |clock: &&&str| {
        if !clock.contains(':') && !is_named {
            return false;
        }
        let Ok(pattern) = TimePattern::parse(&format!("%Y-%m-%d {clock}")) else { return false };
        values.iter().all(|v| pattern.read(format!("2024-01-01 {v}").as_bytes()).is_some())
    };
    if values.is_empty() { None } else { CLOCKS.iter().find(fits).copied() }
}

/// The unit of numbers that are seconds, or parts of them, since 1970: all in 2000 to 2100.
pub(super) fn epoch(values: &[String]) -> Option<&'static str> {
    const FROM: i64 = 946_684_800;
    const TO: i64 = 4_102_444_800;
    let fits = |scale: i64| {
        !values.is_empty()
            && values
                .iter()
                .all(|v| v.parse::<i64>().is_ok_and(|n| (FROM * scale..TO * scale).contains(&n)))
    };
    [("unix-s", 1), ("unix-ms", 1_000), ("unix-us", 1_000_000)]
        .into_iter()
        .find(|(_, scale)| fits(*scale))
        .map(|(name, _)| name)
}
