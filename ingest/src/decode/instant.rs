//! Instants as RFC 3339 writes them, and its relatives: `YYYY-MM-DD HH:MM:SS[.ffffff]` with or
//! without an offset, or a date.

use crate::decode::civil::{days_from_civil, days_in_month};

#[inline]
fn two(text: &[u8], at: usize) -> Option<i64> {
    let high = text.get(at)?.wrapping_sub(b'0');
    let low = text.get(at + 1)?.wrapping_sub(b'0');
    if high > 9 || low > 9 { None } else { Some(i64::from(high) * 10 + i64::from(low)) }
}

/// Days since 1970 of `YYYY-MM-DD` at the start of `text`.
#[inline]
pub(crate) fn parse_date(text: &[u8]) -> Option<i64> {
    let date = text.first_chunk::<10>()?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = two(date, 0)? * 100 + two(date, 2)?;
    let (month, day) = (two(date, 5)?, two(date, 8)?);
    if year < 1
        || !(1..=12).contains(&month)
        || day < 1
        || (day > 28 && day > days_in_month(year, month))
    {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// The last date read, and its days since 1970.
#[derive(Debug, Default)]
pub(crate) struct DayMemo {
    date: [u8; 10],
    days: i64,
}

impl DayMemo {
    /// As [`parse_timestamp`].
    #[inline]
    pub(crate) fn read(&mut self, text: &[u8]) -> Option<i64> {
        add_time_of_day(text, self.days(text)?)
    }

    #[inline]
    fn days(&mut self, text: &[u8]) -> Option<i64> {
        let date = text.first_chunk::<10>()?;
        if *date != self.date {
            self.days = parse_date(text)?;
            self.date = *date;
        }
        Some(self.days)
    }
}

/// Microseconds of RFC 3339 or its relatives; a text without an offset is UTC.
#[inline]
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    add_time_of_day(text, parse_date(text)?)
}

/// The instant of a text that begins with a date, which is `days` since 1970.
#[inline]
fn add_time_of_day(text: &[u8], days: i64) -> Option<i64> {
    if text.len() == 10 {
        return Some(days * 86_400_000_000);
    }
    if text.len() < 16 || !matches!(text[10], b'T' | b't' | b' ') || text[13] != b':' {
        return None;
    }
    let (hour, minute) = (two(text, 11)?, two(text, 14)?);
    let (second, mut at) = if text.get(16) == Some(&b':') { (two(text, 17)?, 19) } else { (0, 16) };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut us = ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000;
    if text.len() == at {
        return Some(leap_cut(us, second));
    }
    if text[at] == b'.' || text[at] == b',' {
        let start = at + 1;
        at = start;
        let mut place = 100_000;
        while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
            us += i64::from(digit) * place;
            place /= 10;
            at += 1;
        }
        if at == start {
            return None;
        }
    }
    Some(leap_cut(us, second) - parse_offset(&text[at..])? * 60_000_000)
}

/// A leap second, `us` of which has the 60 and perhaps a fraction, as the last microsecond before
/// it ends; any other time as it is.
#[inline]
fn leap_cut(us: i64, second: i64) -> i64 {
    if second == 60 { us.div_euclid(60_000_000) * 60_000_000 - 1 } else { us }
}

/// Minutes east of UTC: nothing, `Z`, `+HH`, `+HHMM` or `+HH:MM`, after an optional space.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let (sign, rest) = match text {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let minutes = match rest.len() {
        2 => 0,
        4 => two(rest, 2)?,
        5 if rest[2] == b':' => two(rest, 3)?,
        _ => return None,
    };
    let hours = two(rest, 0)?;
    if hours > 23 || minutes > 59 { None } else { Some(sign * (hours * 60 + minutes)) }
}
