//! Values that hold no other values.

use bytes::{BufMut, BytesMut};

use crate::postgres::values::pg_types::{function_by_oid, type_by_oid};
use crate::postgres::values::settings::ValueSettings;
use crate::postgres::values::types::Reg;
use crate::postgres::values::value::Value;

use super::put::{put_bytea, put_int, put_numeric, put_uuid};
use super::{datetime, float};

/// Appends the text of a value.
pub(super) fn write_value(value: &Value<'_>, settings: &ValueSettings, out: &mut BytesMut) {
    match *value {
        Value::Bool(value) => out.put_u8(if value { b't' } else { b'f' }),
        Value::Int2(value) => put_int(i64::from(value), out),
        Value::Int4(value) => put_int(i64::from(value), out),
        Value::Int8(value) => put_int(value, out),
        Value::Oid(value) => put_int(i64::from(value), out),
        Value::Reg(reg, oid) => put_reg(reg, oid, out),
        Value::Numeric(number) => put_numeric(&number, out),
        Value::Float4(value) => float::put_float4(value, settings.extra_float_digits, out),
        Value::Float8(value) => float::put_float8(value, settings.extra_float_digits, out),
        Value::Text(text)
        | Value::Json(text)
        | Value::Jsonb(text)
        | Value::Literal(text)
        | Value::RegName(_, text) => out.put_slice(text.as_bytes()),
        // The byte zero is shown as an empty text.
        Value::Char(0) => {}
        Value::Char(byte) => out.put_u8(byte),
        Value::Bytea(bytes) => put_bytea(bytes, out),
        Value::Date(date) => datetime::put_date(date, out),
        Value::Time(time) => datetime::put_time(time, out),
        Value::Timestamp(at) => datetime::put_timestamp(at, b' ', out),
        Value::Timestamptz(at) => datetime::put_timestamptz(at, settings.time_zone, out),
        Value::Interval(interval) => datetime::put_interval(interval, out),
        Value::Uuid(bytes) => put_uuid(bytes, out),
    }
}

fn put_reg(reg: Reg, oid: u32, out: &mut BytesMut) {
    let name = match reg {
        _ if oid == 0 => Some("-".to_owned()),
        Reg::Procedure => function_by_oid(oid).map(str::to_owned),
        Reg::Type => type_by_oid(oid).map(|postgres| postgres.sql_name()),
        Reg::Other => None,
    };
    match name {
        Some(name) => out.put_slice(name.as_bytes()),
        None => put_int(i64::from(oid), out),
    }
}
