//! Values of settings: whether they are any, and how they are shown.

use super::about::About;
use super::error::SettingError;
use super::zone;

/// A value as `SHOW` will give it.
pub(super) fn checked(about: &About, value: &str) -> Result<String, SettingError> {
    let value = value.trim();
    let invalid = || SettingError::Invalid { name: about.name.to_owned(), value: value.to_owned() };
    let unsupported =
        || SettingError::Unsupported { name: about.name.to_owned(), value: value.to_owned() };
    match about.name {
        "TimeZone" => return zone::shown(value).ok_or_else(invalid),
        "DateStyle" => return date_style(value).map_err(|known| pick(known, unsupported, invalid)),
        "client_encoding" => {
            return encoding(value).map_err(|known| pick(known, unsupported, invalid));
        }
        "role" | "session_authorization" => return Err(unsupported()),
        // What a client may do is not decided by what it sets.
        "default_transaction_read_only" | "transaction_read_only" => {
            return boolean(value).map(on_off).ok_or_else(invalid);
        }
        _ => {}
    }
    match about.kind {
        "bool" => boolean(value).map(on_off).ok_or_else(invalid),
        "enum" => {
            let lower = value.to_ascii_lowercase();
            let is_choice = about.choices.split(',').any(|choice| choice == lower);
            // `on` and `off` have other names.
            let other = boolean(&lower).map(on_off).filter(|v| about.choices.contains(v.as_str()));
            match is_choice {
                true => Ok(lower),
                false => other.ok_or_else(invalid),
            }
        }
        "integer" => {
            let number = with_unit(value, about.unit).ok_or_else(invalid)?;
            let within = about.min.parse().is_ok_and(|min: i64| min <= number)
                && about.max.parse().is_ok_and(|max: i64| number <= max);
            if within { Ok(shown(about, &number.to_string())) } else { Err(invalid()) }
        }
        "real" => value.parse::<f64>().map(|number| number.to_string()).map_err(|_| invalid()),
        _ => Ok(value.to_owned()),
    }
}

fn pick(
    known: bool,
    yes: impl Fn() -> SettingError,
    no: impl Fn() -> SettingError,
) -> SettingError {
    if known { yes() } else { no() }
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}

/// Beginnings of `true`, `false`, `yes`, `no`; `on`, `off`, 1, 0.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Units with what they are of the smallest of their kind: microseconds, bytes.
const UNITS: [(&str, i64, bool); 11] = [
    ("us", 1, true),
    ("ms", 1_000, true),
    ("s", 1_000_000, true),
    ("min", 60_000_000, true),
    ("h", 3_600_000_000, true),
    ("d", 86_400_000_000, true),
    ("B", 1, false),
    ("kB", 1 << 10, false),
    ("MB", 1 << 20, false),
    ("GB", 1 << 30, false),
    ("8kB", 8 << 10, false),
];

fn unit(name: &str) -> Option<(i64, bool)> {
    UNITS.iter().find(|(unit, ..)| *unit == name).map(|(_, size, is_time)| (*size, *is_time))
}

/// A number with or without a unit, in the setting's own.
fn with_unit(value: &str, own: &str) -> Option<i64> {
    let end = value.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(value.len());
    let (digits, name) = value.split_at(end);
    let digits = digits.trim();
    let Ok(number) = digits.parse::<i64>() else {
        // Fractions are rounded, as PostgreSQL does.
        let number: f64 = digits.parse().ok().filter(|number: &f64| number.abs() < 1e15)?;
        let whole = format!("{:.0}", number);
        return if name.is_empty() { whole.parse().ok() } else { None };
    };
    if name.is_empty() {
        return Some(number);
    }
    let (own_size, own_is_time) = unit(own)?;
    let (size, is_time) = unit(name).filter(|(_, is_time)| *is_time == own_is_time)?;
    let _same_kind = is_time;
    number.checked_mul(size).map(|small| (small + own_size / 2).div_euclid(own_size))
}

/// A number in the setting's own unit as `SHOW` gives it: in the largest unit in which it is whole.
pub(super) fn shown(about: &About, raw: &str) -> String {
    let (Some((own_size, own_is_time)), Ok(number)) = (unit(about.unit), raw.parse::<i64>()) else {
        return raw.to_owned();
    };
    if number <= 0 {
        return raw.to_owned();
    }
    let small = number.saturating_mul(own_size);
    UNITS
        .iter()
        .filter(|(name, size, is_time)| {
            *is_time == own_is_time && *name != "8kB" && small % size == 0
        })
        .max_by_key(|(_, size, _)| *size)
        .map_or_else(|| raw.to_owned(), |(name, size, _)| format!("{}{name}", small / size))
}

/// The other way: what `pg_settings` gives for what `SHOW` gives.
pub(super) fn raw(about: &About, shown: &str) -> String {
    match about.kind {
        "integer" => with_unit(shown, about.unit)
            .map_or_else(|| shown.to_owned(), |number| number.to_string()),
        _ => shown.to_owned(),
    }
}

/// The order of a date's parts in what is read; what is written is always ISO's. The error says
/// whether PostgreSQL knows the value.
fn date_style(value: &str) -> Result<String, bool> {
    let mut order = "MDY";
    for part in value.split(',').map(|part| part.trim().to_ascii_lowercase()) {
        match part.as_str() {
            "iso" | "default" => {}
            "mdy" | "us" | "noneuro" | "noneuropean" => order = "MDY",
            "dmy" | "euro" | "european" => order = "DMY",
            "ymd" => order = "YMD",
            "sql" | "postgres" | "german" => return Err(true),
            _ => return Err(false),
        }
    }
    Ok(format!("ISO, {order}"))
}

/// UTF-8 in all of its spellings. The error says whether PostgreSQL knows the value.
fn encoding(value: &str) -> Result<String, bool> {
    let bare: String =
        value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match bare.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        "sqlascii" => Ok("SQL_ASCII".to_owned()),
        _ => Err(bare.starts_with("latin") || bare.starts_with("win") || bare.starts_with("iso")),
    }
}
