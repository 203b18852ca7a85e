//! Values as `row_to_json` prints them.

use bytes::{BufMut, BytesMut};

use crate::postgres::values::column::{Column, Source, offset_range};
use crate::postgres::values::error::EncodeError;
use crate::postgres::values::settings::ValueSettings;
use crate::postgres::values::value::{Item, Value};

use super::datetime;
use super::json_string::put_string;
use super::put::{put_bytea, put_hexadecimal};
use super::scalar::write_value;

/// Appends what a row holds as JSON.
pub(in crate::postgres::values) fn write_json(
    item: &Item<'_, '_>,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let (column, row) = match item {
        Item::Value(value) => {
            write_json_value(value, settings, out);
            return Ok(());
        }
        Item::Nested(column, row) => (*column, *row),
    };
    match &column.source {
        Source::List(ranges, elements) => {
            out.put_u8(b'[');
            let range = ranges.get(row);
            let first = range.start;
            for index in range {
                if index > first {
                    out.put_u8(b',');
                }
                write_or_null(elements, index, settings, out)?;
            }
            out.put_u8(b']');
        }
        Source::Struct(fields) => {
            out.put_u8(b'{');
            for (index, (field, key)) in fields.iter().zip(&column.shape.keys).enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                out.put_slice(key.as_bytes());
                write_or_null(field, row, settings, out)?;
            }
            out.put_u8(b'}');
        }
        Source::Map(offsets, entries) => {
            let (keys, values) = entries.as_ref();
            out.put_u8(b'{');
            let range = offset_range(offsets, row);
            let first = range.start;
            for index in range {
                if index > first {
                    out.put_u8(b',');
                }
                write_map_key(keys, index, settings, out)?;
                out.put_u8(b':');
                write_or_null(values, index, settings, out)?;
            }
            out.put_u8(b'}');
        }
        // They hold no other values.
        Source::Null
        | Source::Bool(_)
        | Source::Int8(_)
        | Source::Int16(_)
        | Source::Int32(_)
        | Source::Int64(_)
        | Source::UInt8(_)
        | Source::UInt16(_)
        | Source::UInt32(_)
        | Source::UInt64(_)
        | Source::Decimal32(..)
        | Source::Decimal64(..)
        | Source::Decimal128(..)
        | Source::Decimal256(..)
        | Source::Float16(_)
        | Source::Float32(_)
        | Source::Float64(_)
        | Source::Utf8(_)
        | Source::LargeUtf8(_)
        | Source::Utf8View(_)
        | Source::Binary(_)
        | Source::LargeBinary(_)
        | Source::BinaryView(_)
        | Source::FixedSizeBinary(_)
        | Source::Date32(_)
        | Source::Date64(_)
        | Source::Time32(..)
        | Source::Time64(..)
        | Source::Timestamp(..)
        | Source::YearMonth(_)
        | Source::DayTime(_)
        | Source::MonthDayNano(_)
        | Source::Duration(..)
        | Source::Indexed(..) => out.put_slice(b"null"),
    }
    Ok(())
}

fn write_or_null(
    column: &Column<'_>,
    row: usize,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    match column.item(row)? {
        None => out.put_slice(b"null"),
        Some(item) => write_json(&item, settings, out)?,
    }
    Ok(())
}

/// Appends a key of a map, its text form whatever its type is.
fn write_map_key(
    keys: &Column<'_>,
    row: usize,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mut text = BytesMut::new();
    match keys.item(row)? {
        None => {}
        Some(Item::Value(value)) => write_value(&value, settings, &mut text),
        Some(nested) => write_json(&nested, settings, &mut text)?,
    }
    put_string(&text, out);
    Ok(())
}

fn write_json_value(value: &Value<'_>, settings: &ValueSettings, out: &mut BytesMut) {
    match *value {
        Value::Bool(value) => out.put_slice(if value { b"true" } else { b"false" }),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) | Value::Numeric(_) => {
            write_value(value, settings, out);
        }
        Value::Float4(float) if float.is_finite() => write_value(value, settings, out),
        Value::Float8(float) if float.is_finite() => write_value(value, settings, out),
        Value::Json(text) | Value::Jsonb(text) => out.put_slice(text.as_bytes()),
        Value::Text(text) | Value::Literal(text) | Value::RegName(_, text) => {
            put_string(text.as_bytes(), out);
        }
        Value::Bytea(bytes) => {
            out.put_slice(b"\"\\");
            put_bytea(&[], out);
            put_hexadecimal(bytes, out);
            out.put_u8(b'"');
        }
        Value::Timestamp(at) => {
            out.put_u8(b'"');
            datetime::put_timestamp(at, b'T', out);
            out.put_u8(b'"');
        }
        Value::Timestamptz(at) => {
            out.put_u8(b'"');
            datetime::put_json_timestamptz(at, settings.time_zone, out);
            out.put_u8(b'"');
        }
        Value::Char(0) => out.put_slice(b"\"\""),
        Value::Char(byte) => put_string(&[byte], out),
        // No other text needs an escape.
        Value::Oid(_)
        | Value::Reg(..)
        | Value::Float4(_)
        | Value::Float8(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Interval(_)
        | Value::Uuid(_) => {
            out.put_u8(b'"');
            write_value(value, settings, out);
            out.put_u8(b'"');
        }
    }
}
