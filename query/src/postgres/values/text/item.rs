//! What a row holds, arrays included, as PostgreSQL prints it.

use bytes::{BufMut, BytesMut};

use crate::postgres::values::column::{Column, Source};
use crate::postgres::values::error::EncodeError;
use crate::postgres::values::settings::ValueSettings;
use crate::postgres::values::types::Target;
use crate::postgres::values::value::Item;

use super::json::write_json;
use super::put::{enclose, escape};
use super::scalar::write_value;

/// Appends the text of what a row holds.
pub(in crate::postgres::values) fn write_item(
    item: &Item<'_, '_>,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    match item {
        Item::Value(value) => {
            write_value(value, settings, out);
            Ok(())
        }
        Item::Nested(column, row) if column.shape.target == Target::Array => {
            write_array(column, *row, settings, out)
        }
        Item::Nested(column, row) if column.shape.target == Target::Vector => {
            write_vector(column, *row, settings, out)
        }
        Item::Nested(..) => write_json(item, settings, out),
    }
}

/// Appends a list as `{…}`.
fn write_array(
    column: &Column<'_>,
    row: usize,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Source::List(ranges, elements) = &column.source else { return Ok(()) };
    let range = ranges.get(row);
    let first = range.start;
    out.put_u8(b'{');
    for index in range {
        if index > first {
            out.put_u8(b',');
        }
        let start = out.len();
        match elements.item(index)? {
            None => out.put_slice(b"NULL"),
            Some(item) => {
                write_item(&item, settings, out)?;
                quote(out, start);
            }
        }
    }
    out.put_u8(b'}');
    Ok(())
}

/// Puts quotes around the element behind a position if it needs some.
fn quote(out: &mut BytesMut, start: usize) {
    let element = &out[start..];
    let special =
        |byte: &u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t'..=b'\r');
    if element.is_empty() || element.eq_ignore_ascii_case(b"null") || element.iter().any(special) {
        escape(out, start, b'\\', |byte| matches!(byte, b'"' | b'\\').then_some(byte));
        enclose(out, start, b'"');
    }
}

/// Appends a list as the vectors of the catalog are shown: `1 2 3`.
fn write_vector(
    column: &Column<'_>,
    row: usize,
    settings: &ValueSettings,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Source::List(ranges, elements) = &column.source else { return Ok(()) };
    let range = ranges.get(row);
    let first = range.start;
    for index in range {
        if index > first {
            out.put_u8(b' ');
        }
        match elements.item(index)? {
            None => out.put_u8(b'0'),
            Some(item) => write_item(&item, settings, out)?,
        }
    }
    Ok(())
}
