//! Column types as they are written in a configuration, and the ones that sources can carry.

use arrow::datatypes::{DataType, TimeUnit};

/// The one timestamp type of the program: microseconds since 1970 in UTC.
#[must_use]
pub fn utc_timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Reads a type as a user writes it: `int8` … `int64`, `uint8` … `uint64`, `float32`, `float64`,
/// `bool`, `string`, `timestamp`, `date`, `decimal(precision,scale)`.
///
/// # Errors
/// A sentence that names the text and what would be right.
pub fn parse_type(text: &str) -> Result<DataType, String> {
    let lower = text.trim().to_ascii_lowercase();
    Ok(match lower.as_str() {
        "bool" | "boolean" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" | "int" | "integer" => DataType::Int32,
        "int64" | "bigint" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" | "float" => DataType::Float32,
        "float64" | "double" => DataType::Float64,
        "string" | "text" | "utf8" => DataType::Utf8,
        "timestamp" => utc_timestamp(),
        "date" => DataType::Date32,
        other => return parse_decimal_type(other, text),
    })
}

fn parse_decimal_type(lower: &str, text: &str) -> Result<DataType, String> {
    let arguments = lower
        .strip_prefix("decimal")
        .map(str::trim)
        .and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let Some(arguments) = arguments else {
        return Err(format!(
            "{text:?} is not a type; use int8, int16, int32, int64, uint8, uint16, uint32, uint64, \
             float32, float64, bool, string, timestamp, date or decimal(precision,scale)"
        ));
    };
    let mut parts = arguments.split(',').map(str::trim);
    let precision = parts.next().and_then(|p| p.parse::<u8>().ok());
    let scale = parts.next().map_or(Some(0), |s| s.parse::<i8>().ok());
    match (precision, scale, parts.next()) {
        (Some(p), Some(s), None) if (1..=38).contains(&p) && s >= 0 && s as u8 <= p => {
            Ok(DataType::Decimal128(p, s))
        }
        _ => Err(format!(
            "{text:?} is not a decimal type; use decimal(precision,scale) with precision 1 to 38 \
             and scale 0 to precision"
        )),
    }
}

/// A type as [`parse_type`] reads it.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Utf8 => "string".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Date32 => "date".into(),
        DataType::Decimal128(p, s) => format!("decimal({p},{s})"),
        other => other.to_string().to_ascii_lowercase(),
    }
}

/// What a column of a Parquet file becomes when no schema is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadAs {
    /// This type, which holds all of its values.
    Type(DataType),
    /// This type, which does not hold all of them, and what becomes of the others.
    Narrowed(DataType, String),
    /// A string, if its bytes are text.
    TextIfUtf8,
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What a column of a Parquet file becomes when no schema is given.
pub(crate) fn read_as(data_type: &DataType) -> ReadAs {
    ReadAs::Type(match data_type {
        // Tables have no unsigned numbers.
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s)
            if *s >= 0 =>
        {
            DataType::Decimal128(*p, *s)
        }
        DataType::Decimal256(_, s) if (0..=38).contains(s) => {
            let how = format!(
                "read as decimal(38,{s}), a row with more digits is a dead letter; a schema with \
                 string for the column keeps all of them"
            );
            return ReadAs::Narrowed(DataType::Decimal128(38, *s), how);
        }
        DataType::Decimal256(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Time32(_)
        | DataType::Time64(_) => DataType::Utf8,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            return ReadAs::Narrowed(
                utc_timestamp(),
                "digits below a microsecond are cut off".to_owned(),
            );
        }
        DataType::Timestamp(..) | DataType::Date64 => utc_timestamp(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => return ReadAs::TextIfUtf8,
        DataType::Dictionary(_, values) => return read_as(values),
        DataType::Null => return ReadAs::Nothing("and has no values"),
        DataType::Interval(_) | DataType::Duration(_) => {
            return ReadAs::Nothing("a length of time, for which there is no type");
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => {
            return ReadAs::Nothing("a list, for which there is no type");
        }
        DataType::Map(..) => return ReadAs::Nothing("a map, for which there is no type"),
        other if is_carried(other) => other.clone(),
        _ => return ReadAs::Nothing("for which there is no type"),
    })
}

/// Whether a source's column can have this type.
pub(crate) fn is_carried(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Date32 => true,
        DataType::Decimal128(_, s) => *s >= 0,
        other => *other == utc_timestamp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_from_its_name() {
        for text in [
            "bool",
            "int8",
            "int64",
            "uint32",
            "float64",
            "string",
            "timestamp",
            "date",
            "decimal(12,2)",
        ] {
            let data_type = parse_type(text).expect("a type");
            assert_eq!(type_name(&data_type), text);
            assert!(is_carried(&data_type));
        }
    }

    #[test]
    fn a_wrong_type_says_what_would_be_right() {
        assert!(parse_type("strng").expect_err("no type").contains("string"));
        assert!(parse_type("decimal(40,2)").expect_err("too wide").contains("precision 1 to 38"));
        assert!(parse_type("decimal(4,5)").is_err());
        assert!(parse_type("decimal()").is_err());
    }
}
