//! Delta's per-file statistics: the bounds of each column, as far as they can be relied on.
//!
//! A bound is never tighter than the rows. Where a writer may have cut or rounded it, it is widened
//! here, and what is not understood is absent:
//! - A long string may be cut: its maximum gets the highest character appended.
//! - A maximal timestamp may be cut to the millisecond: the whole millisecond is taken.
//! - Decimals of many digits may have gone through a float: both bounds move by its error.
//! - A float column may hold NaN, which comparisons order above all numbers and other writers leave
//!   out. Only this program's own writer is known to write no bounds then, so bounds of floats
//!   count in its own files alone.

use std::collections::HashMap;

use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use chrono::Utc;
use datafusion::common::ScalarValue;
use riskstream_sinks::ActiveFile;
use serde_json::value::RawValue;

/// Strings of at least so many characters may have been cut.
const CUT_CHARS: usize = 32;
/// What a timestamp that was cut to its millisecond may be above it, in microseconds.
const CUT_MICROS: i64 = 999;
/// Decimals of so many digits come through a 64-bit float unchanged.
const FLOAT_DIGITS: usize = 15;
/// A number that has gone through a float differs by less than itself shifted by so much.
const FLOAT_ERROR_SHIFT: u32 = 50;

/// What the log says of one column of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ColumnBounds {
    /// No value is less.
    pub min: Option<ScalarValue>,
    /// No value is greater.
    pub max: Option<ScalarValue>,
    /// How many values are missing, exactly.
    pub nulls: Option<u64>,
}

/// What the log says of a file's own columns, in the order of the schema.
pub(super) fn column_bounds(file: &ActiveFile, file_schema: &Schema) -> Vec<ColumnBounds> {
    let Some(parsed) = file.stats_json.as_deref().and_then(Parsed::from_json) else {
        return vec![ColumnBounds::default(); file_schema.fields().len()];
    };
    let writer = if is_own(&file.path) { Writer::Own } else { Writer::Other };
    file_schema
        .fields()
        .iter()
        .map(|field| parsed.column(field.name(), field.data_type(), writer))
        .collect()
}

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// This program: see the docs of its `stats.rs`.
    Own,
    /// Any other.
    Other,
}

/// Whether a file's name is one that this program gives: to staged files, or to compacted ones.
fn is_own(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(name) = name.strip_suffix(".parquet") else { return false };
    if let Some(unique) = name.strip_prefix("compact-") {
        return unique.len() == 32 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let Some(numbers) = name.strip_prefix("part-") else { return false };
    let digits = [6, 12, 4, 4];
    let parts: Vec<&str> = numbers.split('-').collect();
    parts.len() == digits.len()
        && parts.iter().zip(digits).all(|(part, least)| {
            part.len() >= least && part.bytes().all(|byte| byte.is_ascii_digit())
        })
}

type RawFields<'a> = HashMap<String, &'a RawValue>;

/// Numbers are kept as text, so that decimals and 64-bit integers stay exact.
struct Parsed<'a> {
    min: RawFields<'a>,
    max: RawFields<'a>,
    nulls: RawFields<'a>,
}

/// Which of the two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Min,
    Max,
}

impl<'a> Parsed<'a> {
    fn from_json(json: &'a str) -> Option<Self> {
        let mut parts: RawFields<'a> = serde_json::from_str(json).ok()?;
        let mut part = |name: &str| -> RawFields<'a> {
            parts
                .remove(name)
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default()
        };
        Some(Self { min: part("minValues"), max: part("maxValues"), nulls: part("nullCount") })
    }

    fn column(&self, name: &str, data_type: &DataType, writer: Writer) -> ColumnBounds {
        let bound = |fields: &RawFields<'_>, side: Side| {
            let json = fields.get(name)?.get();
            scalar(json, data_type, side, writer)
        };
        ColumnBounds {
            min: bound(&self.min, Side::Min),
            max: bound(&self.max, Side::Max),
            nulls: self.nulls.get(name).and_then(|raw| raw.get().parse().ok()),
        }
    }
}

fn scalar(json: &str, data_type: &DataType, side: Side, writer: Writer) -> Option<ScalarValue> {
    let text = || serde_json::from_str::<String>(json).ok();
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(json.parse().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(json.parse().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(json.parse().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(json.parse().ok()?)),
        DataType::Float32 => {
            // The log has the value as a double; what a float cannot hold exactly is no bound.
            let value = float(json, side, writer)?;
            let narrow = value as f32;
            (f64::from(narrow) == value).then_some(ScalarValue::Float32(Some(narrow)))?
        }
        DataType::Float64 => ScalarValue::Float64(Some(float(json, side, writer)?)),
        DataType::Utf8 => ScalarValue::Utf8(Some(string(text()?, side))),
        DataType::Date32 => ScalarValue::try_from_string(text()?, data_type).ok()?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = timestamp_micros(&text()?, side)?;
            ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())
        }
        DataType::Decimal128(precision, scale) => {
            let value = decimal(json, *scale, side, writer)?;
            ScalarValue::Decimal128(Some(value), *precision, *scale)
        }
        _ => return None,
    })
}

fn float(json: &str, side: Side, writer: Writer) -> Option<f64> {
    let value: f64 = json.parse().ok()?;
    if writer == Writer::Other || !value.is_finite() {
        return None;
    }
    // The two zeros are equal to a writer and not to a comparison.
    Some(match side {
        _ if value != 0.0 => value,
        Side::Min => -0.0,
        Side::Max => 0.0,
    })
}

fn string(mut text: String, side: Side) -> String {
    if side == Side::Max && text.chars().nth(CUT_CHARS - 1).is_some() {
        text.push(char::MAX);
    }
    text
}

fn timestamp_micros(text: &str, side: Side) -> Option<i64> {
    let at = string_to_datetime(&Utc, text).ok()?;
    let micros = at.timestamp_micros();
    let fraction = text
        .split_once('.')
        .map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    match side {
        Side::Max if fraction <= 3 => micros.checked_add(CUT_MICROS),
        // More digits than a microsecond has are cut downward.
        Side::Max if fraction > 6 => micros.checked_add(1),
        Side::Max | Side::Min => Some(micros),
    }
}

/// A JSON number as a decimal's unscaled value; absent if it has an exponent or more digits than
/// the scale.
fn decimal(json: &str, scale: i8, side: Side, writer: Writer) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = json.split_once('.').unwrap_or((json, ""));
    if fraction.len() > scale || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    let digits = whole.len() + fraction.len();
    if writer == Writer::Own || digits <= FLOAT_DIGITS {
        return Some(value);
    }
    let error = (value.abs() >> FLOAT_ERROR_SHIFT) + 1;
    match side {
        Side::Min => value.checked_sub(error),
        Side::Max => value.checked_add(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    const OWN: &str = "event_date=2018-04-01/part-000001-000000000007-0000-0000.parquet";

    fn file(path: &str, stats: &str) -> ActiveFile {
        ActiveFile {
            path: path.into(),
            bytes: 10,
            rows: Some(2),
            partition_values: std::collections::BTreeMap::new(),
            stats_json: Some(stats.into()),
            modified_ms: 0,
        }
    }

    fn utc(micros: i64) -> Option<ScalarValue> {
        Some(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
    }

    #[test]
    fn bounds_are_read_exactly_and_broken_ones_are_absent() {
        let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("amount", DataType::Decimal128(38, 2), true),
            Field::new("at", zone, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        let stats = r#"{"numRecords":2,
            "minValues":{"id":9007199254740993,"amount":-123456789012345678901234567890.5,
                "at":"2018-04-01T00:00:00.123Z","name":5},
            "maxValues":{"id":1e3,"amount":1.005},"nullCount":{"id":1}}"#;
        let columns = column_bounds(&file(OWN, stats), &schema);
        assert_eq!(columns[0].min, Some(ScalarValue::Int64(Some(9_007_199_254_740_993))));
        assert_eq!(
            columns[1].min,
            Some(ScalarValue::Decimal128(Some(-12_345_678_901_234_567_890_123_456_789_050), 38, 2))
        );
        assert_eq!(columns[2].min, utc(1_522_540_800_123_000));
        assert_eq!(columns[3].min, None);
        assert_eq!((&columns[0].max, &columns[1].max), (&None, &None));
        assert_eq!(columns[0].nulls, Some(1));
        let none = vec![ColumnBounds::default(); 4];
        assert_eq!(column_bounds(&file(OWN, "not json"), &schema), none);
    }

    #[test]
    fn bounds_that_may_be_cut_or_rounded_are_widened() {
        let side = |json: &str, data_type: &DataType, side| {
            scalar(json, data_type, side, Writer::Other).expect("a bound")
        };
        let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(
            Some(side("\"2018-04-01T00:00:00Z\"", &zone, Side::Max)),
            utc(1_522_540_800_000_999)
        );
        assert_eq!(
            Some(side("\"2018-04-01T02:00:00.000001+02:00\"", &zone, Side::Max)),
            utc(1_522_540_800_000_001)
        );
        let long = format!("\"{}\"", "z".repeat(32));
        assert!(side(&long, &DataType::Utf8, Side::Max) > side(&long, &DataType::Utf8, Side::Min));
        let wide = DataType::Decimal128(38, 2);
        let rounded = ScalarValue::Decimal128(Some(1_234_567_890_123_456_789), 38, 2);
        assert!(side("12345678901234568", &wide, Side::Max) > rounded);
        assert!(side("-12345678901234568", &wide, Side::Min) < rounded);
        assert_eq!(side("12.5", &wide, Side::Max), ScalarValue::Decimal128(Some(1250), 38, 2));
        assert_eq!(scalar("1.5", &DataType::Float64, Side::Max, Writer::Other), None);
        let zero = scalar("0", &DataType::Float64, Side::Min, Writer::Own).expect("a bound");
        assert_eq!(zero, ScalarValue::Float64(Some(-0.0)));
        assert_eq!(scalar("0.1", &DataType::Float32, Side::Max, Writer::Own), None);
    }

    #[test]
    fn own_files_are_known_by_their_names() {
        let compacted = format!("compact-{}.parquet", "0123456789abcdef".repeat(2));
        for (path, own) in [
            (OWN, true),
            (compacted.as_str(), true),
            ("part-00000-8f1c2f6e-3c6b-4a53-8a0e-0c6c0d6c5c1f-c000.snappy.parquet", false),
            ("part-000001-000000000007-0000-0000.csv", false),
            ("compact-7.parquet", false),
            ("a.parquet", false),
        ] {
            assert_eq!(is_own(path), own, "{path}");
        }
    }
}
