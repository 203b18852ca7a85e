//! The binary form of values, as PostgreSQL's send functions write it.

use arrow::datatypes::Field;
use bytes::{BufMut, BytesMut};

use super::calendar::{EPOCH_DAYS, EPOCH_US};
use super::column::{Column, Source};
use super::error::EncodeError;
use super::numeric::Number;
use super::parameters::decode_parameter;
use super::pg_types::PgType;
use super::settings::{Format, ValueSettings};
use super::text::write_item as write_text;
use super::types::{POSTGRES_TYPE, Shape, Target, arrow_type};
use super::value::{Instant, Interval, Item, Value};

/// Bytes of the length in front of a value.
const LENGTH_BYTES: usize = 4;

/// The version in front of a `jsonb`.
const JSONB_VERSION: u8 = 1;
/// Decimal digits of a group of a `numeric`.
const GROUP_DIGITS: i32 = 4;
const NEGATIVE: u16 = 0x4000;

/// Appends the binary form of what a row holds.
pub(super) fn write_item(
    item: &Item<'_, '_>,
    postgres: &'static PgType,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    match item {
        Item::Value(value) => write_value(value, postgres, settings, out),
        Item::Nested(column, row) if column.shape.target == Target::Array => {
            write_array(column, *row, 1, settings, out)
        }
        // The vectors of the catalog count from 0.
        Item::Nested(column, row) if column.shape.target == Target::Vector => {
            write_array(column, *row, 0, settings, out)
        }
        Item::Nested(column, _) => {
            if column.shape.target == Target::Jsonb {
                out.put_u8(JSONB_VERSION);
            }
            write_text(item, settings, out)
        }
    }
}

fn write_value(
    value: &Value<'_>,
    postgres: &'static PgType,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    match *value {
        Value::Bool(value) => out.put_u8(u8::from(value)),
        Value::Int2(value) => out.put_i16(value),
        Value::Int4(value) => out.put_i32(value),
        Value::Int8(value) => out.put_i64(value),
        Value::Oid(value) | Value::Reg(_, value) => out.put_u32(value),
        Value::RegName(reg, name) => match reg.oid(name) {
            Some(oid) => out.put_u32(oid),
            None => return Err(no_binary(name, postgres)),
        },
        Value::Numeric(number) => put_numeric(&number, out),
        Value::Float4(value) => out.put_f32(value),
        Value::Float8(value) => out.put_f64(value),
        Value::Text(text) | Value::Json(text) => out.put_slice(text.as_bytes()),
        Value::Jsonb(text) => {
            out.put_u8(JSONB_VERSION);
            out.put_slice(text.as_bytes());
        }
        Value::Char(byte) => out.put_u8(byte),
        Value::Bytea(bytes) | Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Date(date) => out.put_i32(match date {
            Instant::Past => i32::MIN,
            Instant::Future => i32::MAX,
            Instant::At(days) => i32::try_from(days - EPOCH_DAYS)
                .map_err(|_| EncodeError::OutOfRange { postgres: postgres.name })?,
        }),
        Value::Time(time) => out.put_i64(time),
        Value::Timestamp(at) | Value::Timestamptz(at) => out.put_i64(match at {
            Instant::Past => i64::MIN,
            Instant::Future => i64::MAX,
            // No PostgreSQL timestamp is so early that this overflows.
            Instant::At(microseconds) => microseconds.saturating_sub(EPOCH_US),
        }),
        Value::Interval(Interval { months, days, microseconds }) => {
            out.put_i64(microseconds);
            out.put_i32(days);
            out.put_i32(months);
        }
        Value::Literal(text) => return put_literal(text, postgres, settings, out),
    }
    Ok(())
}

fn no_binary(text: &str, postgres: &'static PgType) -> EncodeError {
    EncodeError::NoBinary { text: text.to_owned(), postgres: postgres.name }
}

/// Appends a `numeric`: groups of four digits around the point, without empty ones at the ends.
fn put_numeric(number: &Number, out: &mut BytesMut) {
    let digits = number.digits();
    let digits = digits.as_slice();
    let shown_scale = u16::try_from(number.scale()).unwrap_or(0);
    let length = i32::try_from(digits.len()).unwrap_or_default();
    // The powers of ten of the first digit and of the last one that isn't zero.
    let high = length - 1 - number.scale();
    let Some(last) = digits.iter().rposition(|digit| *digit != 0) else {
        for part in [0, 0, 0, shown_scale] {
            out.put_u16(part);
        }
        return;
    };
    let low = high - i32::try_from(last).unwrap_or_default();
    let (first_group, last_group) = (high.div_euclid(GROUP_DIGITS), low.div_euclid(GROUP_DIGITS));
    out.put_i16(i16::try_from(first_group - last_group + 1).unwrap_or_default());
    out.put_i16(i16::try_from(first_group).unwrap_or_default());
    out.put_u16(if number.is_negative() { NEGATIVE } else { 0 });
    out.put_u16(shown_scale);
    for group in (last_group..=first_group).rev() {
        let top = group * GROUP_DIGITS + GROUP_DIGITS - 1;
        let value = (top - GROUP_DIGITS + 1..=top).rev().fold(0_u16, |value, power| {
            let digit = usize::try_from(high - power).ok().and_then(|index| digits.get(index));
            value * 10 + digit.map_or(0, |digit| u16::from(*digit))
        });
        out.put_u16(value);
    }
}

/// Appends a list with its one dimension.
fn write_array(
    column: &Column<'_>,
    row: usize,
    lower_bound: i32,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Source::List(ranges, elements) = &column.source else { return Ok(()) };
    let range = ranges.get(row);
    let has_nulls = range.clone().any(|index| elements.is_null(index));
    let element = elements.shape.postgres;
    // An empty array has no dimension, an empty vector has one.
    let dimensions = i32::from(!range.is_empty() || column.shape.target == Target::Vector);
    out.put_i32(dimensions);
    out.put_i32(i32::from(has_nulls));
    out.put_u32(element.oid);
    if dimensions > 0 {
        out.put_i32(i32::try_from(range.len()).map_err(|_| EncodeError::TooLong)?);
        out.put_i32(lower_bound);
    }
    for index in range {
        match elements.item(index)? {
            None => out.put_i32(-1),
            Some(item) => put_cell(out, |out| write_item(&item, element, settings, out))?,
        }
    }
    Ok(())
}

/// Appends the binary form of a value that a string holds in text form.
fn put_literal(
    text: &str,
    postgres: &'static PgType,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let refused = || no_binary(text, postgres);
    let data_type = arrow_type(postgres.oid).ok_or_else(refused)?;
    let bytes = Some(text.as_bytes());
    let value = decode_parameter(postgres.oid, Format::Text, bytes, &data_type, settings)
        .map_err(|_| refused())?;
    let array = value.to_array().map_err(|_| refused())?;
    let field = Field::new("literal", array.data_type().clone(), true)
        .with_metadata([(POSTGRES_TYPE.to_owned(), postgres.name.to_owned())].into());
    let shape = Shape::of(&field)?;
    match Column::new(&array, &shape)?.item(0)? {
        Some(item) => write_item(&item, postgres, settings, out),
        None => Err(refused()),
    }
}

/// Appends a value with its length in front.
pub(super) fn put_cell(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_i32(0);
    write(out)?;
    let length = out.len() - start - LENGTH_BYTES;
    let length = i32::try_from(length).map_err(|_| EncodeError::TooLong)?;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
