//! Parameters against what PostgreSQL reads, and the way back.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::read::{ACCEPTED, REFUSED};
use super::{cell, field_as, from_hexadecimal, hexadecimal};
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::parameters::decode_parameter;
use crate::postgres::values::pg_types::type_by_oid;
use crate::postgres::values::settings::{Format, ValueSettings};

fn decode(
    oid: u32,
    format: Format,
    bytes: &[u8],
    expected: &DataType,
) -> Result<ScalarValue, ParameterError> {
    decode_parameter(oid, format, Some(bytes), expected, &ValueSettings::default())
}

#[test]
fn values_are_read_and_written_as_postgres_does() {
    let settings = ValueSettings::default();
    let mut differences = Vec::new();
    for (oid, input, text, bytes) in ACCEPTED {
        let name = type_by_oid(*oid).unwrap().name;
        let read = decode(*oid, Format::Text, input.as_bytes(), &DataType::Null);
        let Ok(value) = read else {
            differences.push(format!("{name} {input:?}: {read:?}"));
            continue;
        };
        // Of decimals the type says how many digits are shown.
        if *oid != 1700 {
            let array = value.to_array().unwrap();
            let field = field_as(&array, name);
            let written = cell(&field, &array, 0, Format::Text, &settings).unwrap().unwrap();
            let written = String::from_utf8(written).unwrap();
            let bare = text.split_once('=').filter(|_| text.starts_with('['));
            if written != bare.map_or(*text, |(_, array)| array) {
                differences.push(format!("{name} {input:?}: {written:?} is not {text:?}"));
            }
            let sent = cell(&field, &array, 0, Format::Binary, &settings).unwrap().unwrap();
            let sent = hexadecimal(&sent);
            if sent != *bytes && bare.is_none() {
                differences.push(format!("{name} {input:?}: {sent} is not {bytes}"));
            }
        }
        let received = decode(*oid, Format::Binary, &from_hexadecimal(bytes), &DataType::Null);
        if received.as_ref() != Ok(&value) {
            differences.push(format!("{name} {input:?}: {received:?} is not {value:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn values_are_refused_with_the_code_of_postgres() {
    let mut differences = Vec::new();
    for (oid, input, code) in REFUSED {
        let name = type_by_oid(*oid).unwrap().name;
        match decode(*oid, Format::Text, input.as_bytes(), &DataType::Null) {
            Err(error) if error.sqlstate() == *code => {}
            other => differences.push(format!("{name} {input:?}: {other:?} is not {code}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
