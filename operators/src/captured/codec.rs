//! Rows as few bytes: each value says itself where it ends, so that a row can be kept, compared,
//! and taken apart without its neighbors.
//!
//! | values | bytes |
//! | --- | --- |
//! | null | 0 |
//! | integers, dates, times, truth values, decimals | zigzag + 1, seven bits a byte, lowest first |
//! | floats | 1, then eight bytes |
//! | text, bytes | the length plus one as above, then the bytes |
//!
//! Equal values have equal bytes, so rows compare as bytes. The form is part of saved state: it
//! never changes.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int64Array, StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use std::sync::Arc;

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Integer,
    Wide,
    Float,
    Text,
    Bytes,
}

impl Form {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean | DataType::Date32 | DataType::Timestamp(..) => Self::Integer,
            DataType::UInt64 | DataType::Decimal128(..) => Self::Wide,
            DataType::Float32 | DataType::Float64 => Self::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary => Self::Bytes,
            t if t.is_integer() => Self::Integer,
            _ => return None,
        })
    }
}

/// Between columns of certain types and rows.
#[derive(Debug)]
pub(super) struct RowCodec {
    columns: Vec<(DataType, Form)>,
}

/// A column that is about to be written.
enum Reader {
    Integer(Int64Array),
    Wide(Decimal128Array),
    Float(Float64Array),
    Text(StringArray),
    Bytes(BinaryArray),
}

impl RowCodec {
    /// The codec of columns of these types; the error is the first type that can't be kept.
    pub(super) fn new(types: impl IntoIterator<Item = DataType>) -> Result<Self, DataType> {
        let column =
            |data_type| Form::of(&data_type).map(|form| (data_type.clone(), form)).ok_or(data_type);
        Ok(Self { columns: types.into_iter().map(column).collect::<Result<_, _>>()? })
    }

    /// Appends each row's bytes to `bytes`, and where it ends there to `ends`.
    pub(super) fn encode(
        &self,
        columns: &[ArrayRef],
        bytes: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), ArrowError> {
        let readers = self
            .columns
            .iter()
            .zip(columns)
            .map(|((_, form), c)| reader(*form, c))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = columns.first().map_or(0, |c| c.len());
        bytes.reserve(rows * readers.len() * 4);
        ends.reserve(rows);
        for row in 0..rows {
            for reader in &readers {
                reader.write(row, bytes);
            }
            ends.push(bytes.len());
        }
        Ok(())
    }

    /// Where each value of a row ends in it.
    pub(super) fn ends(&self, row: &[u8], ends: &mut Vec<usize>) {
        ends.clear();
        let mut at = 0;
        for (_, form) in &self.columns {
            at += skip(*form, &row[at.min(row.len())..]);
            ends.push(at);
        }
    }

    /// The columns of rows.
    pub(super) fn decode<'a>(
        &self,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let about = rows.size_hint().0;
        let mut writers: Vec<Writer> =
            self.columns.iter().map(|(_, form)| Writer::new(*form, about)).collect();
        for mut row in rows {
            for writer in &mut writers {
                writer.read(&mut row)?;
            }
        }
        writers
            .into_iter()
            .zip(&self.columns)
            .map(|(writer, (data_type, _))| writer.finish(data_type))
            .collect()
    }
}

fn reader(form: Form, column: &ArrayRef) -> Result<Reader, ArrowError> {
    Ok(match form {
        Form::Integer => {
            let narrow = if *column.data_type() == DataType::Date32 {
                cast(column, &DataType::Int32)?
            } else {
                Arc::clone(column)
            };
            Reader::Integer(cast(&narrow, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        }
        Form::Wide => {
            let wide = if *column.data_type() == DataType::UInt64 {
                cast(column, &DataType::Decimal128(20, 0))?
            } else {
                Arc::clone(column)
            };
            Reader::Wide(wide.as_primitive::<Decimal128Type>().clone())
        }
        Form::Float => {
            Reader::Float(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        Form::Text => Reader::Text(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
        Form::Bytes => Reader::Bytes(cast(column, &DataType::Binary)?.as_binary::<i32>().clone()),
    })
}

impl Reader {
    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Integer(a) => a.is_null(row),
            Self::Wide(a) => a.is_null(row),
            Self::Float(a) => a.is_null(row),
            Self::Text(a) => a.is_null(row),
            Self::Bytes(a) => a.is_null(row),
        }
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.push(0);
            return;
        }
        let text = |text: &[u8], out: &mut Vec<u8>| {
            put(out, text.len() as u64 + 1);
            out.extend_from_slice(text);
        };
        match self {
            Self::Integer(a) => {
                let value = a.value(row);
                let zigzag = ((value << 1) ^ (value >> 63)) as u64;
                match zigzag.checked_add(1) {
                    Some(number) => put(out, number),
                    None => put_wide(out, u128::from(u64::MAX) + 1),
                }
            }
            // A decimal has at most 38 digits, so twice its value and one more fit.
            Self::Wide(a) => {
                let value = a.value(row);
                put_wide(out, (((value << 1) ^ (value >> 127)) as u128).saturating_add(1));
            }
            Self::Float(a) => {
                out.push(1);
                out.extend_from_slice(&a.value(row).to_le_bytes());
            }
            Self::Text(a) => text(a.value(row).as_bytes(), out),
            Self::Bytes(a) => text(a.value(row), out),
        }
    }
}

#[inline]
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_wide(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at the start of `row`, and its length; 0 and 0 at the end. Nine bytes hold nearly
/// all: what is longer is wide.
#[inline]
fn get(row: &[u8]) -> (u128, usize) {
    let (mut narrow, mut shift) = (0u64, 0u32);
    for (at, byte) in row.iter().enumerate().take(9) {
        narrow |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (u128::from(narrow), at + 1);
        }
    }
    get_wide(row, narrow)
}

#[cold]
fn get_wide(row: &[u8], narrow: u64) -> (u128, usize) {
    let (mut wide, mut shift) = (u128::from(narrow), 63u32);
    for (at, byte) in row.iter().enumerate().skip(9) {
        if shift < 128 {
            wide |= u128::from(byte & 0x7f) << shift;
        }
        shift += 7;
        if byte & 0x80 == 0 {
            return (wide, at + 1);
        }
    }
    (wide, row.len())
}

/// Bytes of the value at the start of `row`.
fn skip(form: Form, row: &[u8]) -> usize {
    let (number, length) = get(row);
    let more = match form {
        Form::Integer | Form::Wide => 0,
        Form::Float => usize::from(number != 0) * 8,
        Form::Text | Form::Bytes => usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX),
    };
    length.saturating_add(more).min(row.len())
}

/// A column that is being read back.
struct Writer {
    values: Values,
    rows: usize,
    /// Rows that are null.
    nulls: Vec<usize>,
}

enum Values {
    Integer(Vec<i64>),
    Wide(Vec<i128>),
    Float(Vec<f64>),
    Text(Spans),
    Bytes(Spans),
}

/// Room for a text, at first.
const TEXT_BYTES: usize = 12;

/// Texts or byte strings, one after another, and where they end.
struct Spans {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Spans {
    /// Where they begin, and the bytes. An offset has 31 bits.
    fn parts(self) -> Result<(OffsetBuffer<i32>, Buffer), ArrowError> {
        if i32::try_from(self.bytes.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(self.bytes.len()));
        }
        let offsets: Vec<i32> =
            std::iter::once(0).chain(self.ends.iter().map(|end| *end as i32)).collect();
        Ok((OffsetBuffer::new(offsets.into()), Buffer::from_vec(self.bytes)))
    }
}

impl Writer {
    /// For about so many rows.
    fn new(form: Form, rows: usize) -> Self {
        let spans = || Spans {
            bytes: Vec::with_capacity(rows * TEXT_BYTES),
            ends: Vec::with_capacity(rows),
        };
        let values = match form {
            Form::Integer => Values::Integer(Vec::with_capacity(rows)),
            Form::Wide => Values::Wide(Vec::with_capacity(rows)),
            Form::Float => Values::Float(Vec::with_capacity(rows)),
            Form::Text => Values::Text(spans()),
            Form::Bytes => Values::Bytes(spans()),
        };
        Self { values, rows: 0, nulls: Vec::new() }
    }

    #[inline]
    fn read(&mut self, row: &mut &[u8]) -> Result<(), ArrowError> {
        let damaged = || ArrowError::SchemaError("a kept row is damaged".into());
        let (number, length) = get(row);
        if number == 0 {
            self.nulls.push(self.rows);
        }
        self.rows += 1;
        let mut take = |bytes: usize| -> Result<&[u8], ArrowError> {
            let end = length.checked_add(bytes).ok_or_else(damaged)?;
            let value = row.get(length..end).ok_or_else(damaged)?;
            *row = &row[end..];
            Ok(value)
        };
        match &mut self.values {
            Values::Integer(values) => {
                take(0)?;
                let zigzag = number.saturating_sub(1) as u64;
                values.push((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
            Values::Wide(values) => {
                take(0)?;
                let zigzag = number.saturating_sub(1);
                values.push((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128));
            }
            Values::Float(values) => {
                let bytes = take(if number == 0 { 0 } else { 8 })?;
                values.push(bytes.try_into().map_or(0.0, f64::from_le_bytes));
            }
            // Texts are looked at all at once in the end.
            Values::Text(spans) | Values::Bytes(spans) => {
                let bytes = usize::try_from(number.saturating_sub(1)).map_err(|_| damaged())?;
                spans.bytes.extend_from_slice(take(bytes)?);
                spans.ends.push(spans.bytes.len());
            }
        }
        Ok(())
    }

    fn finish(self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = vec![true; self.rows];
            self.nulls.iter().for_each(|row| valid[*row] = false);
            NullBuffer::from(valid)
        });
        match self.values {
            Values::Integer(values) => {
                let integers: ArrayRef = Arc::new(Int64Array::new(values.into(), nulls));
                let narrow = if *data_type == DataType::Date32 {
                    cast(&integers, &DataType::Int32)?
                } else {
                    integers
                };
                cast(&narrow, data_type)
            }
            Values::Wide(values) => {
                let wide = Decimal128Array::new(values.into(), nulls);
                match data_type {
                    DataType::UInt64 => cast(&wide.with_precision_and_scale(20, 0)?, data_type),
                    exact => Ok(Arc::new(wide.with_data_type(exact.clone()))),
                }
            }
            Values::Float(values) => cast(&Float64Array::new(values.into(), nulls), data_type),
            Values::Text(spans) => {
                let (offsets, bytes) = spans.parts()?;
                cast(&StringArray::try_new(offsets, bytes, nulls)?, data_type)
            }
            Values::Bytes(spans) => {
                let (offsets, bytes) = spans.parts()?;
                cast(&BinaryArray::try_new(offsets, bytes, nulls)?, data_type)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BooleanArray, Date32Array, Float32Array, Int16Array, TimestampMicrosecondArray, UInt64Array,
    };

    fn columns() -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(vec![
                Some(0),
                None,
                Some(i64::MIN),
                Some(i64::MAX),
                Some(-1),
            ])),
            Arc::new(Int16Array::from(vec![Some(7), Some(-300), None, Some(i16::MIN), Some(0)])),
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0), Some(1), Some(128)])),
            Arc::new(
                Decimal128Array::from(vec![
                    Some(i128::from(i64::MIN) * 9),
                    None,
                    Some(0),
                    Some(10_i128.pow(38) - 1),
                    Some(-1),
                ])
                .with_data_type(DataType::Decimal128(38, 2)),
            ),
            Arc::new(Float32Array::from(vec![
                Some(1.5),
                None,
                Some(f32::INFINITY),
                Some(-0.25),
                Some(0.0),
            ])),
            Arc::new(StringArray::from(vec![
                Some(""),
                None,
                Some("active"),
                Some("é"),
                Some("x".repeat(300).as_str()),
            ])),
            Arc::new(BinaryArray::from(vec![
                Some(&b"\0\xff"[..]),
                None,
                Some(b""),
                Some(b"1"),
                Some(b"22"),
            ])),
            Arc::new(BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                Some(true),
                Some(false),
            ])),
            Arc::new(Date32Array::from(vec![
                Some(-1),
                None,
                Some(0),
                Some(20_000),
                Some(i32::MAX),
            ])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-1), None, Some(0), Some(1), Some(2)])
                    .with_timezone("UTC"),
            ),
        ]
    }

    #[test]
    fn every_value_comes_back() {
        let columns = columns();
        let codec = RowCodec::new(columns.iter().map(|c| c.data_type().clone())).unwrap();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        codec.encode(&columns, &mut bytes, &mut ends).unwrap();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let rows: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| &bytes[start..*end]).collect();
        let back = codec.decode(rows.iter().copied()).unwrap();
        assert_eq!(back, columns);
        let mut value_ends = Vec::new();
        for row in &rows {
            codec.ends(row, &mut value_ends);
            assert_eq!((value_ends.len(), *value_ends.last().unwrap()), (columns.len(), row.len()));
        }
    }

    #[test]
    fn a_damaged_row_is_an_error_and_no_panic() {
        let codec = RowCodec::new([DataType::Utf8, DataType::Float64, DataType::Int64]).unwrap();
        for row in [
            &b"\x05ab"[..],
            b"\x01\x01ab",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let _told = codec.decode([row].into_iter());
            codec.ends(row, &mut Vec::new());
        }
        assert!(codec.decode([&b"\x05ab"[..]].into_iter()).is_err());
    }

    #[test]
    fn a_type_that_can_not_be_kept_is_named() {
        let list = DataType::new_list(DataType::Int64, true);
        assert_eq!(RowCodec::new([DataType::Int64, list.clone()]).unwrap_err(), list);
    }
}
