//! Values against what PostgreSQL 15 prints and sends.

mod columns;
mod copied;
mod copy;
mod expected;
mod forms;
mod json;
mod parameters;
mod read;
mod shown;

use arrow::array::Array;
use arrow::datatypes::Field;
use bytes::BytesMut;

use super::encoder::Encoder;
use super::error::EncodeError;
use super::settings::{Format, ValueSettings};
use super::types::POSTGRES_TYPE;

/// The cell of an array's row, without its length; nothing for NULL.
fn cell(
    field: &Field,
    array: &dyn Array,
    row: usize,
    format: Format,
    settings: &ValueSettings,
) -> Result<Option<Vec<u8>>, EncodeError> {
    let mut out = BytesMut::new();
    Encoder::new(field, format, settings)?.encode(array, row, &mut out)?;
    let (length, value) = out.split_at(4);
    let length = i32::from_be_bytes(length.try_into().unwrap());
    if length == -1 {
        assert!(value.is_empty());
        return Ok(None);
    }
    assert_eq!(usize::try_from(length).unwrap(), value.len());
    Ok(Some(value.to_vec()))
}

/// A field that is shown as a PostgreSQL type.
fn field_as(array: &dyn Array, postgres: &str) -> Field {
    Field::new("c", array.data_type().clone(), true)
        .with_metadata([(POSTGRES_TYPE.to_owned(), postgres.to_owned())].into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
