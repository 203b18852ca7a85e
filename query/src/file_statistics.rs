//! Delta's per-file statistics as DataFusion's, with which it skips files.
//!
//! Bounds are inexact, since a writer may have widened them; counts are exact. Anything not
//! understood is absent, never wrong.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use riskstream_sinks::ActiveFile;
use serde_json::value::RawValue;

/// The statistics of a file's own columns (without partition columns).
pub(crate) fn file_statistics(file: &ActiveFile, file_schema: &Schema) -> Statistics {
    let mut statistics = Statistics::new_unknown(file_schema);
    statistics.total_byte_size =
        usize::try_from(file.bytes).map_or(Precision::Absent, Precision::Inexact);
    if let Some(rows) = file.rows.and_then(|rows| usize::try_from(rows).ok()) {
        statistics.num_rows = Precision::Exact(rows);
    }
    let Some(parsed) = file.stats_json.as_deref().and_then(Parsed::from_json) else {
        return statistics;
    };
    for (field, column) in file_schema.fields().iter().zip(&mut statistics.column_statistics) {
        *column = parsed.column(field.name(), field.data_type());
    }
    statistics
}

type RawFields<'a> = HashMap<String, &'a RawValue>;

/// Numbers are kept as text, so that decimals and 64-bit integers stay exact.
struct Parsed<'a> {
    min: RawFields<'a>,
    max: RawFields<'a>,
    nulls: RawFields<'a>,
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

    fn column(&self, name: &str, data_type: &DataType) -> ColumnStatistics {
        let bound = |fields: &RawFields<'_>| {
            fields
                .get(name)
                .and_then(|raw| scalar(raw.get(), data_type))
                .map_or(Precision::Absent, Precision::Inexact)
        };
        let nulls = self.nulls.get(name).and_then(|raw| raw.get().parse().ok());
        ColumnStatistics {
            null_count: nulls.map_or(Precision::Absent, Precision::Exact),
            min_value: bound(&self.min),
            max_value: bound(&self.max),
            ..ColumnStatistics::new_unknown()
        }
    }
}

fn scalar(json: &str, data_type: &DataType) -> Option<ScalarValue> {
    let text = || serde_json::from_str::<String>(json).ok();
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(json.parse().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(json.parse().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(json.parse().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(json.parse().ok()?)),
        DataType::Float64 => ScalarValue::Float64(Some(json.parse().ok()?)),
        DataType::Utf8 => ScalarValue::Utf8(Some(text()?)),
        DataType::Date32 => ScalarValue::try_from_string(text()?, data_type).ok()?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let at = ScalarValue::try_from_string(text()?, data_type).ok()?;
            let ScalarValue::TimestampMicrosecond(micros, _) = at else { return None };
            ScalarValue::TimestampMicrosecond(micros, zone.clone())
        }
        DataType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(decimal(json, *scale)?), *precision, *scale)
        }
        _ => return None,
    })
}

/// A JSON number as a decimal's unscaled value; absent if it has an exponent or more digits than
/// the scale.
fn decimal(json: &str, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = json.split_once('.').unwrap_or((json, ""));
    if fraction.len() > scale || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{fraction:0<scale$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    fn file(stats: &str) -> ActiveFile {
        ActiveFile {
            path: "a.parquet".into(),
            bytes: 10,
            rows: Some(2),
            partition_values: std::collections::BTreeMap::new(),
            stats_json: Some(stats.into()),
            modified_ms: 0,
        }
    }

    #[test]
    fn bounds_are_read_exactly_and_broken_ones_are_absent() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("amount", DataType::Decimal128(38, 2), true),
            Field::new("at", utc, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        let stats = r#"{"numRecords":2,
            "minValues":{"id":9007199254740993,"amount":-123456789012345678901234567890.5,
                "at":"2018-04-01T00:00:00.123Z","name":5},
            "maxValues":{"id":1e3,"amount":1.005},"nullCount":{"id":1}}"#;
        let statistics = file_statistics(&file(stats), &schema);
        let columns = &statistics.column_statistics;
        let min = |index: usize| columns[index].min_value.get_value().cloned();
        assert_eq!(min(0), Some(ScalarValue::Int64(Some(9_007_199_254_740_993))));
        assert_eq!(
            min(1),
            Some(ScalarValue::Decimal128(Some(-12_345_678_901_234_567_890_123_456_789_050), 38, 2))
        );
        assert_eq!(
            min(2),
            Some(ScalarValue::TimestampMicrosecond(
                Some(1_522_540_800_123_000),
                Some("UTC".into())
            ))
        );
        assert_eq!(min(3), None);
        assert_eq!(columns[0].max_value, Precision::Absent);
        assert_eq!(columns[1].max_value, Precision::Absent);
        assert_eq!(columns[0].null_count, Precision::Exact(1));
        assert_eq!(file_statistics(&file("not json"), &schema).num_rows, Precision::Exact(2));
    }
}
