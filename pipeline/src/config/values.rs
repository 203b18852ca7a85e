//! Small texts within values: durations, sizes, column types, names. Each parser says in its error
//! what it would have taken.

use std::time::Duration;

use arrow::datatypes::DataType;

use super::spec::Period;
use super::suggest;

/// Longest duration that any setting takes: ten years.
const DURATION_MAX: Duration = Duration::from_secs(3660 * 86_400);
/// The same in calendar months.
const MONTHS_MAX: u32 = 120;
/// Digits that a Decimal128 holds.
const DECIMAL_PRECISION_MAX: u8 = 38;

/// What is wrong with a small text: the message after the text itself, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

fn refuse<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), help: Some(help.into()) })
}

const DURATION_UNITS: [(&str, u64); 12] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("sec", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("d", 86_400_000_000),
    ("day", 86_400_000_000),
    ("days", 86_400_000_000),
    ("w", 604_800_000_000),
];
const DURATION_HELP: &str =
    "write a whole number and a unit (us, ms, s, m, h, d, w), such as \"30s\" or \"7d\"";

/// A whole number and a unit: `500us`, `10ms`, `5s`, `30m`, `12h`, `7d`, `2w`. A day is 24 hours.
pub(crate) fn duration(text: &str) -> Result<Duration, Refusal> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if number.is_empty() {
        return refuse("isn't a duration", DURATION_HELP);
    }
    if unit.is_empty() {
        return refuse(
            "is a duration without a unit",
            format!("did you mean \"{number}s\"? {DURATION_HELP}"),
        );
    }
    let Some((_, micros)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
        return refuse("isn't a duration", DURATION_HELP);
    };
    let micros = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*micros));
    match micros.map(Duration::from_micros).filter(|duration| *duration <= DURATION_MAX) {
        Some(duration) => Ok(duration),
        None => refuse("is too long", "at most ten years, \"3660d\""),
    }
}

/// Units of whole months.
const MONTH_UNITS: [(&str, u32); 3] = [("mo", 1), ("q", 3), ("y", 12)];

/// A [`duration`], or calendar months: `1mo`, `1q`, `1y`. It is not empty.
pub(crate) fn period(text: &str) -> Result<Period, Refusal> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let months = MONTH_UNITS
        .iter()
        .find(|(name, _)| *name == unit.trim_start())
        .filter(|_| !number.is_empty());
    if let Some((_, months)) = months {
        return match number.parse::<u32>().ok().and_then(|number| number.checked_mul(*months)) {
            Some(0) => refuse("is empty", "such as \"1mo\""),
            Some(months) if months <= MONTHS_MAX => Ok(Period::Months(months)),
            _ => refuse("is too long", "at most ten years, \"10y\""),
        };
    }
    match duration(text) {
        Ok(length) if length.is_zero() => refuse("is empty", "such as \"1d\""),
        Ok(length) => Ok(Period::Time(length)),
        Err(refusal) => Err(refusal),
    }
}

/// A number of bytes with a unit, such as `64MiB` or `1GB`.
pub(crate) fn size(text: &str) -> Result<u64, Refusal> {
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => refuse(
            "isn't a size",
            "write a number and a unit (B, KB, MB, GB, KiB, MiB, GiB), such as \"64MiB\"",
        ),
    }
}

/// The names of column types, `decimal` aside.
const TYPES: [(&str, DataType); 14] = [
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("boolean", DataType::Boolean),
    ("string", DataType::Utf8),
    ("date", DataType::Date32),
    // Replaced by the program's timestamp type, which isn't a constant.
    ("timestamp", DataType::Null),
];

/// What people who come from other systems write.
const TYPE_SYNONYMS: [(&str, &str); 17] = [
    ("int", "int64"),
    ("integer", "int64"),
    ("bigint", "int64"),
    ("long", "int64"),
    ("smallint", "int16"),
    ("tinyint", "int8"),
    ("float", "float64"),
    ("double", "float64"),
    ("real", "float32"),
    ("number", "float64"),
    ("bool", "boolean"),
    ("text", "string"),
    ("str", "string"),
    ("varchar", "string"),
    ("utf8", "string"),
    ("datetime", "timestamp"),
    ("numeric", "decimal(18,2)"),
];

/// A column type: `int8` to `int64`, `uint8` to `uint64`, `float32`, `float64`, `boolean`,
/// `string`, `timestamp` (microseconds, UTC), `date`, `decimal(precision,scale)`.
pub(crate) fn data_type(text: &str) -> Result<DataType, Refusal> {
    let name = text.trim();
    if name == "timestamp" {
        return Ok(super::spec::timestamp_type());
    }
    if let Some((_, data_type)) = TYPES.iter().find(|(known, _)| *known == name) {
        return Ok(data_type.clone());
    }
    if let Some(arguments) = name.strip_prefix("decimal") {
        return decimal(arguments.trim());
    }
    let lower = name.to_ascii_lowercase();
    if let Some((_, meant)) = TYPE_SYNONYMS.iter().find(|(synonym, _)| *synonym == lower) {
        return refuse("isn't a column type", format!("did you mean `{meant}`?"));
    }
    let names = TYPES.iter().map(|(known, _)| *known).chain(["decimal(p,s)"]);
    Err(Refusal {
        message: "isn't a column type".into(),
        help: suggest::help(name, names, "the types are"),
    })
}

fn decimal(arguments: &str) -> Result<DataType, Refusal> {
    let help = "write decimal(precision,scale), such as \"decimal(12,2)\" for amounts up to \
                9,999,999,999.99";
    let parsed = arguments
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|inner| inner.split_once(','))
        .and_then(|(precision, scale)| {
            Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?))
        });
    match parsed {
        None => refuse("isn't a column type", help),
        Some((precision, _)) if precision == 0 || precision > DECIMAL_PRECISION_MAX => refuse(
            format!("has a precision of {precision}"),
            format!("the precision is 1 to {DECIMAL_PRECISION_MAX} digits"),
        ),
        Some((precision, scale)) if scale > precision => refuse(
            format!("has more digits after the point ({scale}) than in all ({precision})"),
            help,
        ),
        Some((precision, scale)) => Ok(DataType::Decimal128(precision, scale as i8)),
    }
}

/// What a name may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameKind {
    /// Sources, pipelines, steps, destinations, models: parts of file names and of state keys.
    Id,
    /// Tables and new columns: SQL identifiers that need no quotes.
    Identifier,
}

/// Longest name; it becomes part of file names.
const NAME_MAX: usize = 64;

/// Whether `text` can be a name of this kind.
pub(crate) fn name(kind: NameKind, text: &str) -> Result<(), Refusal> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '-' && kind == NameKind::Id);
    let rule = match kind {
        NameKind::Id => "a name is made of letters, digits, `-` and `_`",
        NameKind::Identifier => {
            "a name here is made of letters, digits and `_`, so that SQL needs no quotes around it"
        }
    };
    if text.is_empty() {
        return refuse("is an empty name", rule);
    }
    if text.len() > NAME_MAX {
        return refuse(
            format!("has {} characters", text.len()),
            format!("a name has at most {NAME_MAX}"),
        );
    }
    if let Some(wrong) = text.chars().find(|c| !allowed(*c)) {
        let fixed: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        return refuse(
            format!("has `{}` in it", wrong.escape_default()),
            format!("{rule}; did you mean `{fixed}`?"),
        );
    }
    if text.starts_with(|c: char| c.is_ascii_digit() && kind == NameKind::Identifier || c == '-') {
        return refuse("doesn't start with a letter", rule);
    }
    Ok(())
}

/// As a configuration would say it.
pub(crate) fn period_text(period: Period) -> String {
    match period {
        Period::Time(length) => duration_text(length),
        Period::Months(months) if months % 12 == 0 => format!("{}y", months / 12),
        Period::Months(months) => format!("{months}mo"),
    }
}

/// As a configuration would say it: whole days, else what there is of each unit.
pub(crate) fn duration_text(duration: Duration) -> String {
    const DAY_SECONDS: u64 = 24 * 3600;
    match (duration.as_secs(), duration.subsec_nanos()) {
        (seconds, 0) if seconds > 0 && seconds.is_multiple_of(DAY_SECONDS) => {
            format!("{}d", seconds / DAY_SECONDS)
        }
        _ => humantime::format_duration(duration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        assert_eq!(duration("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration("2 w"), Ok(Duration::from_secs(1_209_600)));
        for wrong in
            ["", "s", "1.5s", "-1s", "10", "1y", "99999999999999999999s", "4000d", "1d ", "١s"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn column_types_keep_precision_and_scale() {
        assert_eq!(data_type("decimal(12, 2)"), Ok(DataType::Decimal128(12, 2)));
        assert_eq!(data_type("timestamp"), Ok(super::super::spec::timestamp_type()));
        assert_eq!(data_type("int").unwrap_err().help.as_deref(), Some("did you mean `int64`?"));
        assert_eq!(
            data_type("strnig").unwrap_err().help.as_deref(),
            Some("did you mean `string`?")
        );
        for wrong in
            ["decimal", "decimal(39,2)", "decimal(2,3)", "decimal(0,0)", "decimal(300,2)", ""]
        {
            assert!(data_type(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_safe_in_paths_and_sql() {
        assert_eq!(name(NameKind::Id, "card-fraud"), Ok(()));
        assert_eq!(name(NameKind::Identifier, "tx_1d"), Ok(()));
        for wrong in ["", "a/b", "..", "-x", "naïve", "a b"] {
            assert!(name(NameKind::Id, wrong).is_err(), "{wrong}");
        }
        for wrong in ["1d", "card-fraud"] {
            assert!(name(NameKind::Identifier, wrong).is_err(), "{wrong}");
        }
    }
}
