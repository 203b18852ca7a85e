//! Generated rows as CSV and as JSON, one per line, as fast as they are made.

use crate::generate::calendar::civil_from_days;
use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int8Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;

/// The names of the columns, as a CSV header.
pub(crate) fn header(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(",")
}

/// Appends a batch's rows, except the broken ones (sorted by row), which are written as they are.
///
/// Generated texts hold no characters that would have to be quoted, and generated times are whole
/// seconds.
pub(crate) fn format_rows(
    batch: &RecordBatch,
    is_json: bool,
    broken: &[(usize, Vec<u8>)],
    text: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    let schema = batch.schema_ref();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (index, (field, column)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        let before = match (is_json, index) {
            (true, 0) => format!("{{\"{}\":", field.name()),
            (true, _) => format!(",\"{}\":", field.name()),
            (false, 0) => String::new(),
            (false, _) => ",".to_owned(),
        };
        columns.push((before, column, Values::of(column)?));
    }
    let mut broken = broken.iter().peekable();
    for row in 0..batch.num_rows() {
        if let Some((_, bytes)) = broken.next_if(|(at, _)| *at == row) {
            text.extend_from_slice(bytes);
            text.push(b'\n');
            continue;
        }
        for (before, column, values) in &columns {
            text.extend_from_slice(before.as_bytes());
            if column.is_valid(row) {
                values.push(row, is_json, text);
            } else if is_json {
                text.extend_from_slice(b"null");
            }
        }
        text.extend_from_slice(if is_json { b"}\n" } else { b"\n" });
    }
    Ok(())
}

/// A column's values by its type.
enum Values<'a> {
    Int8(&'a [i8]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Decimal(&'a [i128], u32),
    Day(&'a [i32]),
    Time(&'a [i64]),
    Text(&'a arrow::array::StringArray),
}

impl<'a> Values<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self, ArrowError> {
        Ok(match column.data_type() {
            DataType::Int8 => Self::Int8(column.as_primitive::<Int8Type>().values()),
            DataType::Int32 => Self::Int32(column.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::Int64(column.as_primitive::<Int64Type>().values()),
            DataType::Decimal128(_, scale) if *scale > 0 => Self::Decimal(
                column.as_primitive::<Decimal128Type>().values(),
                u32::from(scale.unsigned_abs()),
            ),
            DataType::Date32 => Self::Day(column.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Time(column.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Utf8 => Self::Text(column.as_string()),
            other => {
                return Err(ArrowError::NotYetImplemented(format!(
                    "a generated column of type {other} as text"
                )));
            }
        })
    }

    #[inline]
    fn push(&self, row: usize, is_json: bool, text: &mut Vec<u8>) {
        let quote: &[u8] = if is_json { b"\"" } else { b"" };
        match self {
            Self::Int8(v) => push_integer(i64::from(v[row]), text),
            Self::Int32(v) => push_integer(i64::from(v[row]), text),
            Self::Int64(v) => push_integer(v[row], text),
            Self::Decimal(v, scale) => {
                // Generated amounts and rates are not negative.
                let one = 10_i128.pow(*scale);
                push_integer((v[row] / one) as i64, text);
                text.push(b'.');
                push_padded((v[row] % one) as i64, *scale, text);
            }
            Self::Day(v) => {
                text.extend_from_slice(quote);
                push_day(i64::from(v[row]), text);
                text.extend_from_slice(quote);
            }
            Self::Time(v) => {
                text.extend_from_slice(quote);
                push_time(v[row], text);
                text.extend_from_slice(quote);
            }
            Self::Text(v) => {
                text.extend_from_slice(quote);
                text.extend_from_slice(v.value(row).as_bytes());
                text.extend_from_slice(quote);
            }
        }
    }
}

fn push_integer(value: i64, text: &mut Vec<u8>) {
    let mut digits = [0_u8; lexical_core::BUFFER_SIZE];
    text.extend_from_slice(lexical_core::write(value, &mut digits));
}

fn push_padded(value: i64, width: u32, text: &mut Vec<u8>) {
    for place in (0..width).rev() {
        text.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

/// `YYYY-MM-DD`.
fn push_day(days: i64, text: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    push_padded(year, 4, text);
    for value in [month, day] {
        text.push(b'-');
        push_padded(value, 2, text);
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`.
fn push_time(us: i64, text: &mut Vec<u8>) {
    let second = us.rem_euclid(86_400_000_000) / 1_000_000;
    push_day(us.div_euclid(86_400_000_000), text);
    for (separator, value) in [(b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        text.push(separator);
        push_padded(value, 2, text);
    }
    text.push(b'Z');
}
