//! Zones as `SET TIME ZONE` takes them.

use chrono_tz::{TZ_VARIANTS, Tz};

/// A zone as `SHOW` gives it, if it is one: a name of the IANA database in its own spelling, or an
/// offset in the form of POSIX.
pub(super) fn shown(text: &str) -> Option<String> {
    let text = text.trim();
    let upper = text.to_ascii_uppercase();
    if let Some(interval) = upper.strip_prefix("INTERVAL") {
        let inner = interval.split('\'').nth(1)?;
        return offset(inner).map(posix);
    }
    if matches!(upper.as_str(), "DEFAULT" | "LOCAL") {
        return Some("UTC".to_owned());
    }
    if text.starts_with('<') {
        // As this module shows offsets itself.
        return offset(text.strip_prefix('<')?.split('>').next()?).map(posix);
    }
    if let Ok(zone) = text.parse::<Tz>() {
        return Some(zone.name().to_owned());
    }
    if let Some(zone) = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)) {
        return Some(zone.name().to_owned());
    }
    if matches!(upper.as_str(), "Z" | "UTC0") {
        return Some("UTC".to_owned());
    }
    // A number is hours east of Greenwich; an offset behind a name, as in `UTC+3`, is west of it.
    if let Ok(hours) = text.parse::<f64>() {
        let minutes = format!("{:.0}", hours * 60.0).parse::<i32>().ok()?;
        return (minutes.abs() <= MINUTES_MAX).then(|| posix(minutes * 60));
    }
    if let Some(seconds) = offset(text) {
        return Some(posix(seconds));
    }
    let name_end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    if name_end < 3 {
        return None;
    }
    let west = &text[name_end..];
    let west = if west.starts_with(['+', '-']) { west.to_owned() } else { format!("+{west}") };
    offset(&west).map(|seconds| posix(-seconds))
}

/// PostgreSQL takes offsets of less than 168 hours; a day can't be more than 16 off.
const MINUTES_MAX: i32 = 16 * 60 - 1;

/// The seconds east of Greenwich of `+05`, `-03:30`, `+0530`.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.trim().split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number = |text: &str| match text.len() {
        1 | 2 if text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<i32>().ok(),
        _ => None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (number(hours)?, number(minutes)?),
        None if digits.len() == 4 => (number(digits.get(..2)?)?, number(digits.get(2..)?)?),
        None => (number(digits)?, 0),
    };
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_MAX).then_some(sign * total * 60)
}

/// `<+05:30>-05:30`, as PostgreSQL shows an offset: the name first, then the way to it.
fn posix(seconds: i32) -> String {
    let text = |sign: char| {
        let minutes = seconds.abs() / 60;
        match minutes % 60 {
            0 => format!("{sign}{:02}", minutes / 60),
            rest => format!("{sign}{:02}:{rest:02}", minutes / 60),
        }
    };
    let (east, west) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    format!("<{}>{}", text(east), text(west))
}

/// What `SHOW` gives, as Arrow and DataFusion take it.
pub(super) fn for_arrow(shown: &str) -> String {
    let inner = shown.strip_prefix('<').and_then(|rest| rest.split('>').next());
    match inner.and_then(offset) {
        Some(seconds) => {
            let minutes = seconds.abs() / 60;
            let sign = if seconds < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
        None => shown.to_owned(),
    }
}
