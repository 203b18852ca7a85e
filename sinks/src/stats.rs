//! Delta's per-file statistics: of numbers from the rows themselves, of other columns from the
//! Parquet footer that was just written.
//!
//! Form: <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics>. Bounds
//! are never tighter than the data: timestamps are widened to whole milliseconds, long strings to
//! 32 characters, and a float column that holds NaN gets no bounds, since engines order NaN above
//! all numbers and Parquet leaves it out.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowNumericType, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type,
};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use crate::row_group::is_number;

/// Longer strings are cut to this many characters, as Spark does.
const STRING_CHARS_MAX: usize = 32;

/// A bound in the column's physical order.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Integer(i128),
    Float(f64),
    Text(String),
}

/// What is known of a column's values in a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnStats {
    min: Option<Bound>,
    max: Option<Bound>,
    /// `None` as soon as one row group does not say.
    null_count: Option<u64>,
    bounds_known: bool,
}

/// The `stats` of an add action for a file of `schema` with this footer. `nan_columns[i]` tells
/// whether column `i` holds NaN; what is known in `numbers[i]` is taken from there. Both may be
/// shorter than the schema.
pub(crate) fn delta_stats(
    schema: &Schema,
    metadata: &ParquetMetaData,
    nan_columns: &[bool],
    mut numbers: Vec<Option<ColumnStats>>,
) -> String {
    let rows: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
    let mut columns: Vec<Option<ColumnStats>> = vec![None; schema.fields().len()];
    let leaves = metadata.file_metadata().schema_descr();
    for leaf in 0..leaves.num_columns() {
        if leaves.column(leaf).path().parts().len() > 1 {
            // Bounds of nested columns are not written: readers do not skip by them.
            continue;
        }
        let root = leaves.get_column_root_idx(leaf);
        let field = schema.field(root);
        if let Some(known) = numbers.get_mut(root).and_then(Option::take) {
            columns[root] = Some(known);
            continue;
        }
        let mut stats = ColumnStats {
            null_count: Some(0),
            bounds_known: !nan_columns.get(root).copied().unwrap_or(false),
            ..ColumnStats::default()
        };
        for group in metadata.row_groups() {
            stats.merge(field.data_type(), group.column(leaf).statistics(), group.num_rows());
        }
        columns[root] = Some(stats);
    }
    let mut json = format!("{{\"numRecords\":{rows}");
    write_bounds(&mut json, "minValues", schema, &columns, |stats| &stats.min, min_text);
    write_bounds(&mut json, "maxValues", schema, &columns, |stats| &stats.max, max_text);
    json.push_str(",\"nullCount\":{");
    let mut first = true;
    for (field, stats) in schema.fields().iter().zip(&columns) {
        if let Some(count) = stats.as_ref().and_then(|stats| stats.null_count) {
            write_key(&mut json, &mut first, field);
            let _ = write!(json, "{count}");
        }
    }
    json.push_str("}}");
    json
}

/// Of each column of numbers in the batches of a file, what the rows tell.
pub(crate) fn number_stats(schema: &Schema, batches: &[RecordBatch]) -> Vec<Option<ColumnStats>> {
    let column = |index: usize| {
        batches
            .iter()
            .try_fold(ColumnStats::none(), |stats, batch| stats.and_rows(batch.column(index)))
    };
    (0..schema.fields().len()).map(column).collect()
}

/// Which columns of these batches hold NaN.
pub(crate) fn nan_columns(schema: &Schema, batches: &[RecordBatch]) -> Vec<bool> {
    let is_nan = |index: usize| match schema.field(index).data_type() {
        DataType::Float64 => batches.iter().any(|batch| {
            let column = batch.column(index).as_primitive::<Float64Type>();
            // Without a branch per row the loop is vectorized; a null's value may be NaN too.
            column.values().iter().fold(false, |any, value| any | value.is_nan())
                && column.iter().flatten().any(f64::is_nan)
        }),
        DataType::Float32 => batches.iter().any(|batch| {
            let column = batch.column(index).as_primitive::<Float32Type>();
            column.iter().flatten().any(f32::is_nan)
        }),
        _ => false,
    };
    (0..schema.fields().len()).map(is_nan).collect()
}

impl ColumnStats {
    /// Of no rows.
    fn none() -> Self {
        Self { null_count: Some(0), bounds_known: true, ..Self::default() }
    }

    /// With more rows; none when they are no numbers that [`is_number`] names.
    fn and_rows(mut self, rows: &ArrayRef) -> Option<Self> {
        let (low, high) = match rows.data_type() {
            other if !is_number(other) => return None,
            DataType::Int8 => integer_bounds::<Int8Type>(rows),
            DataType::Int16 => integer_bounds::<Int16Type>(rows),
            DataType::UInt8 => integer_bounds::<UInt8Type>(rows),
            DataType::UInt16 => integer_bounds::<UInt16Type>(rows),
            DataType::Int32 => integer_bounds::<Int32Type>(rows),
            DataType::Date32 => integer_bounds::<Date32Type>(rows),
            DataType::Int64 => integer_bounds::<Int64Type>(rows),
            DataType::Timestamp(..) => integer_bounds::<TimestampMicrosecondType>(rows),
            DataType::Decimal128(..) => integer_bounds::<Decimal128Type>(rows),
            DataType::Float64 => {
                let values = rows.as_primitive::<Float64Type>();
                match rows.null_count() {
                    0 => slice_bounds(values.values()),
                    _ => float_bounds(values.iter().flatten()),
                }
            }
            DataType::Float32 => {
                float_bounds(rows.as_primitive::<Float32Type>().iter().flatten().map(f64::from))
            }
            _ => return None,
        }
        .unwrap_or_else(|NotANumber| {
            self.bounds_known = false;
            (None, None)
        });
        self.null_count = self.null_count.map(|count| count + rows.null_count() as u64);
        self.widen(low, high);
        Some(self)
    }

    fn widen(&mut self, low: Option<Bound>, high: Option<Bound>) {
        if let Some(low) = low.filter(|low| self.min.as_ref().is_none_or(|min| less(low, min))) {
            self.min = Some(low);
        }
        if let Some(high) = high.filter(|high| self.max.as_ref().is_none_or(|max| less(max, high)))
        {
            self.max = Some(high);
        }
    }

    fn merge(&mut self, data_type: &DataType, statistics: Option<&Statistics>, rows: i64) {
        let nulls = statistics.and_then(Statistics::null_count_opt);
        self.null_count = self.null_count.zip(nulls).map(|(sum, more)| sum + more);
        if nulls == u64::try_from(rows).ok() {
            return;
        }
        let bounds = statistics.and_then(|statistics| bounds(data_type, statistics));
        let Some((low, high)) = bounds else {
            self.bounds_known = false;
            return;
        };
        self.widen(Some(low), Some(high));
    }
}

/// A column holds a value that is no number, so it has no bounds.
struct NotANumber;

type Bounds = (Option<Bound>, Option<Bound>);

fn integer_bounds<T: ArrowNumericType>(rows: &ArrayRef) -> Result<Bounds, NotANumber>
where
    T::Native: Into<i128> + Ord,
{
    let values = rows.as_primitive::<T>();
    if values.len() == values.null_count() {
        return Ok((None, None));
    }
    let start = (T::Native::MAX_TOTAL_ORDER, T::Native::MIN_TOTAL_ORDER);
    // Both in one pass, and without a look at each value's validity where all are valid.
    let wider =
        |(low, high): (T::Native, T::Native), value: T::Native| (low.min(value), high.max(value));
    let (low, high) = match values.nulls() {
        None => {
            let (chunks, rest) = values.values().as_chunks::<LANES>();
            let (mut low, mut high) = ([start.0; LANES], [start.1; LANES]);
            for chunk in chunks {
                for (lane, &value) in chunk.iter().enumerate() {
                    (low[lane], high[lane]) = wider((low[lane], high[lane]), value);
                }
            }
            let (low, high) =
                (low.into_iter().fold(start.0, Ord::min), high.into_iter().fold(start.1, Ord::max));
            rest.iter().copied().fold((low, high), wider)
        }
        Some(_) => values.iter().flatten().fold(start, wider),
    };
    Ok((Some(Bound::Integer(low.into())), Some(Bound::Integer(high.into()))))
}

/// Values that are compared side by side: a comparison waits for the one before it in its own lane
/// only.
const LANES: usize = 8;

fn slice_bounds(values: &[f64]) -> Result<Bounds, NotANumber> {
    let (chunks, rest) = values.as_chunks::<LANES>();
    if chunks.is_empty() {
        return float_bounds(rest.iter().copied());
    }
    let (mut low, mut high, mut nan) =
        ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], [0_u64; LANES]);
    for chunk in chunks {
        for (lane, &value) in chunk.iter().enumerate() {
            low[lane] = if value < low[lane] { value } else { low[lane] };
            high[lane] = if value > high[lane] { value } else { high[lane] };
            nan[lane] |= u64::from(value.is_nan());
        }
    }
    let nan = (nan != [0; LANES]).then_some(f64::NAN);
    float_bounds(low.into_iter().chain(high).chain(rest.iter().copied()).chain(nan))
}

fn float_bounds(values: impl Iterator<Item = f64>) -> Result<Bounds, NotANumber> {
    // Comparisons without a branch, so that the loop is vectorized; NaN is below and above nothing.
    let start = (f64::INFINITY, f64::NEG_INFINITY, false, false);
    let (low, high, nan, any) = values.fold(start, |(low, high, nan, _), value| {
        (
            if value < low { value } else { low },
            if value > high { value } else { high },
            nan | value.is_nan(),
            true,
        )
    });
    match (nan, any) {
        (true, _) => Err(NotANumber),
        (_, false) => Ok((None, None)),
        // Zeros are equal to a comparison and differ in their sign: the bound is the one that holds
        // for both.
        _ => Ok((
            Some(Bound::Float(if low == 0.0 { -0.0 } else { low })),
            Some(Bound::Float(if high == 0.0 { 0.0 } else { high })),
        )),
    }
}

fn less(left: &Bound, right: &Bound) -> bool {
    match (left, right) {
        (Bound::Integer(left), Bound::Integer(right)) => left < right,
        (Bound::Float(left), Bound::Float(right)) => left < right,
        (Bound::Text(left), Bound::Text(right)) => left < right,
        (Bound::Integer(_) | Bound::Float(_) | Bound::Text(_), _) => false,
    }
}

fn bounds(data_type: &DataType, statistics: &Statistics) -> Option<(Bound, Bound)> {
    let data_type = match data_type {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    if matches!(
        data_type,
        DataType::Boolean | DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    ) {
        return None;
    }
    match statistics {
        Statistics::Int32(values) => Some((
            Bound::Integer((*values.min_opt()?).into()),
            Bound::Integer((*values.max_opt()?).into()),
        )),
        Statistics::Int64(values) => Some((
            Bound::Integer((*values.min_opt()?).into()),
            Bound::Integer((*values.max_opt()?).into()),
        )),
        Statistics::Float(values) => Some((
            Bound::Float((*values.min_opt()?).into()),
            Bound::Float((*values.max_opt()?).into()),
        )),
        Statistics::Double(values) => {
            Some((Bound::Float(*values.min_opt()?), Bound::Float(*values.max_opt()?)))
        }
        Statistics::FixedLenByteArray(values) => Some((
            Bound::Integer(big_endian(values.min_opt()?.data())?),
            Bound::Integer(big_endian(values.max_opt()?.data())?),
        )),
        Statistics::ByteArray(values) => Some((
            Bound::Text(std::str::from_utf8(values.min_opt()?.data()).ok()?.to_owned()),
            Bound::Text(std::str::from_utf8(values.max_opt()?.data()).ok()?.to_owned()),
        )),
        Statistics::Boolean(_) | Statistics::Int96(_) => None,
    }
}

/// A decimal of more than 18 digits is stored as big-endian two's complement.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let negative = bytes[0] & 0x80 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for byte in bytes {
        value = (value << 8) | i128::from(*byte);
    }
    Some(value)
}

fn write_key(json: &mut String, first: &mut bool, field: &Field) {
    if !std::mem::take(first) {
        json.push(',');
    }
    json.push_str(&serde_json::Value::from(field.name().as_str()).to_string());
    json.push(':');
}

fn write_bounds(
    json: &mut String,
    name: &str,
    schema: &Schema,
    columns: &[Option<ColumnStats>],
    pick: impl Fn(&ColumnStats) -> &Option<Bound>,
    text: impl Fn(&str) -> Option<String>,
) {
    let _ = write!(json, ",\"{name}\":{{");
    let mut first = true;
    for (field, stats) in schema.fields().iter().zip(columns) {
        let Some(stats) = stats.as_ref().filter(|stats| stats.bounds_known) else {
            continue;
        };
        let Some(bound) = pick(stats) else { continue };
        let upward = name == "maxValues";
        if let Some(value) = bound_json(field.data_type(), bound, upward, &text) {
            write_key(json, &mut first, field);
            json.push_str(&value);
        }
    }
    json.push('}');
}

fn bound_json(
    data_type: &DataType,
    bound: &Bound,
    upward: bool,
    text: &impl Fn(&str) -> Option<String>,
) -> Option<String> {
    match (data_type, bound) {
        (DataType::Dictionary(_, value), bound) => bound_json(value, bound, upward, text),
        (DataType::Date32, Bound::Integer(days)) => {
            let date = chrono::DateTime::from_timestamp(i64::try_from(*days).ok()? * 86_400, 0)?;
            Some(format!("\"{}\"", date.format("%Y-%m-%d")))
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), Bound::Integer(micros)) => {
            let micros = i64::try_from(*micros).ok()?;
            let millis =
                micros.div_euclid(1000) + i64::from(upward && micros.rem_euclid(1000) != 0);
            let at = chrono::DateTime::from_timestamp_millis(millis)?;
            Some(format!("\"{}\"", at.format("%Y-%m-%dT%H:%M:%S%.3fZ")))
        }
        (
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale),
            Bound::Integer(value),
        ) => Some(decimal_text(*value, u32::try_from(*scale).ok()?)),
        (_, Bound::Integer(value)) => Some(value.to_string()),
        (_, Bound::Float(value)) => {
            value.is_finite().then(|| serde_json::Value::from(*value).to_string())
        }
        (_, Bound::Text(value)) => {
            text(value).map(|value| serde_json::Value::from(value).to_string())
        }
    }
}

/// An exact decimal as a JSON number.
fn decimal_text(value: i128, scale: u32) -> String {
    let Some(unit) = 10u128.checked_pow(scale).filter(|_| scale > 0) else {
        return value.to_string();
    };
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = scale as usize)
}

fn min_text(value: &str) -> Option<String> {
    Some(value.chars().take(STRING_CHARS_MAX).collect())
}

/// A cut maximum has to stay above every string that starts with it, so the highest character is
/// appended.
fn max_text(value: &str) -> Option<String> {
    match value.char_indices().nth(STRING_CHARS_MAX) {
        None => Some(value.to_owned()),
        Some((_, char::MAX)) => None,
        Some((end, _)) => Some(format!("{}{}", &value[..end], char::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Float64Array, Int64Array};
    use std::sync::Arc;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal_text(1234, 2), "12.34");
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(7, 0), "7");
        assert_eq!(
            decimal_text(99_999_999_999_999_999_999_999_999_999_999_999_999, 10),
            "9999999999999999999999999999.9999999999"
        );
    }

    #[test]
    fn a_cut_maximum_stays_above_the_string() {
        let long = "z".repeat(40);
        assert!(max_text(&long).expect("a bound").as_str() > long.as_str());
        assert!(min_text(&long).expect("a bound").as_str() <= long.as_str());
        assert_eq!(max_text("short").as_deref(), Some("short"));
        let highest: String = std::iter::repeat_n(char::MAX, 40).collect();
        assert_eq!(max_text(&highest), None);
        let umlauts = "ü".repeat(33);
        assert!(max_text(&umlauts).expect("a bound") > umlauts);
    }

    #[test]
    fn timestamps_are_widened_to_milliseconds() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let bound = Bound::Integer(1_500_000_000_123_456);
        let text = |upward| bound_json(&utc, &bound, upward, &min_text).expect("a bound");
        assert_eq!(text(false), "\"2017-07-14T02:40:00.123Z\"");
        assert_eq!(text(true), "\"2017-07-14T02:40:00.124Z\"");
        let before_1970 = Bound::Integer(-1);
        assert_eq!(
            bound_json(&utc, &before_1970, false, &min_text).as_deref(),
            Some("\"1969-12-31T23:59:59.999Z\"")
        );
    }

    #[test]
    fn numbers_have_the_bounds_of_their_rows_and_floats_with_nan_none() {
        let of = |arrays: &[ArrayRef]| {
            arrays.iter().try_fold(ColumnStats::none(), ColumnStats::and_rows).expect("numbers")
        };
        let cents = |values: Vec<Option<i128>>| -> ArrayRef {
            Arc::new(
                Decimal128Array::from(values).with_precision_and_scale(12, 2).expect("a decimal"),
            )
        };
        let stats =
            of(&[cents(vec![Some(5), None, Some(-7)]), cents(vec![None]), cents(vec![Some(6)])]);
        assert_eq!(
            (stats.min, stats.max, stats.null_count),
            (Some(Bound::Integer(-7)), Some(Bound::Integer(6)), Some(2))
        );
        let floats = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        let stats = of(&[floats(vec![0.5, f64::INFINITY]), floats(vec![0.25])]);
        assert_eq!(
            (stats.min, stats.max, stats.bounds_known),
            (Some(Bound::Float(0.25)), Some(Bound::Float(f64::INFINITY)), true)
        );
        assert!(!of(&[floats(vec![0.5]), floats(vec![f64::NAN]), floats(vec![1.0])]).bounds_known);
        let zero = of(&[floats(vec![0.0, -0.0])]);
        assert_eq!(
            zero.min.map(|bound| bound_json(&DataType::Float64, &bound, false, &min_text)),
            Some(Some("-0.0".into()))
        );
        let none = of(&[floats(vec![])]);
        assert_eq!((none.min, none.max), (None, None));
    }

    #[test]
    fn many_floats_have_the_bounds_of_each_of_them() {
        let values: Vec<f64> =
            (0..3 * LANES + 3).map(|i| ((i * 7919) % 101) as f64 - 50.0).collect();
        let text = |values: &[f64]| {
            slice_bounds(values)
                .map(|bounds| format!("{bounds:?}"))
                .unwrap_or_else(|NotANumber| "none".into())
        };
        for at in 0..values.len() {
            for new in [-1e9, 1e9, f64::NEG_INFINITY, f64::INFINITY, f64::NAN] {
                let mut values = values.clone();
                values[at] = new;
                let one_by_one =
                    float_bounds(values.iter().copied()).map(|bounds| format!("{bounds:?}"));
                assert_eq!(
                    text(&values),
                    one_by_one.unwrap_or_else(|NotANumber| "none".into()),
                    "{new} at {at}"
                );
            }
        }
        assert_eq!(text(&[f64::INFINITY; LANES]), "(Some(Float(inf)), Some(Float(inf)))");
    }

    #[test]
    fn many_integers_have_the_bounds_of_each_of_them() {
        let values: Vec<i64> = (0..3 * LANES + 3).map(|i| ((i * 7919) % 101) as i64 - 50).collect();
        for at in 0..values.len() {
            for new in [i64::MIN, -1000, 1000, i64::MAX] {
                let mut values = values.clone();
                values[at] = new;
                let stats = ColumnStats::none()
                    .and_rows(&(Arc::new(Int64Array::from(values.clone())) as ArrayRef))
                    .expect("numbers");
                let bound =
                    |value: Option<&i64>| value.map(|value| Bound::Integer(i128::from(*value)));
                assert_eq!(
                    (stats.min, stats.max),
                    (bound(values.iter().min()), bound(values.iter().max())),
                    "{new} at {at}"
                );
            }
        }
    }

    #[test]
    fn big_endian_keeps_the_sign() {
        assert_eq!(big_endian(&[0xff, 0xfe]), Some(-2));
        assert_eq!(big_endian(&[0x01, 0x00]), Some(256));
        assert_eq!(big_endian(&[]), None);
    }
}
