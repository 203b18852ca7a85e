//! Values as JSON.

use arrow::datatypes::Field;
use bytes::BytesMut;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::Volatility::Stable;

use super::super::super::value_error::ValueError;
use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use super::names::text_of;
use crate::postgres::values::encoder::Encoder;
use crate::postgres::values::error::EncodeError;
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::zone::SessionZone;

pub(super) const DEFINITIONS: &[Definition] = &[
    json("json_build_object", &["*"], "json", object),
    json("jsonb_build_object", &["*"], "jsonb", object),
    json("json_build_array", &["*"], "json", list),
    json("jsonb_build_array", &["*"], "jsonb", list),
    json("to_json", &["A"], "json", one),
    json("to_jsonb", &["A"], "jsonb", one),
    json("row_to_json", &["A", "AB"], "json", one),
    json("array_to_json", &["A", "AB"], "json", one),
];

const fn json(
    name: &'static str,
    takes: &'static [&'static str],
    gives: &'static str,
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<String>>,
) -> Definition {
    Definition { name, takes, gives, volatility: Stable, body: Body::Text(body) }
}

fn object(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    if !row.count().is_multiple_of(2) {
        return exec_err!("argument list must have even number of elements");
    }
    let mut text = "{".to_owned();
    for at in (0..row.count()).step_by(2) {
        if at > 0 {
            text.push_str(", ");
        }
        let Some(key) = text_of(&row.any(at)?)? else {
            return exec_err!("null value not allowed for object key");
        };
        // A string can always be written as JSON.
        text.push_str(&serde_json::Value::from(key).to_string());
        text.push_str(" : ");
        text.push_str(&value(context, row, at + 1)?);
    }
    text.push('}');
    Ok(Some(text))
}

fn list(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    let values = (0..row.count()).map(|at| value(context, row, at)).collect::<Result<Vec<_>>>()?;
    Ok(Some(format!("[{}]", values.join(", "))))
}

fn one(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    as_json(context, row, 0)
}

/// An argument as JSON; none of a null.
pub(super) fn as_json(
    context: &FunctionContext,
    row: Row<'_>,
    argument: usize,
) -> Result<Option<String>> {
    match row.any(argument)?.is_null() {
        true => Ok(None),
        false => value(context, row, argument).map(Some),
    }
}

/// An argument as JSON.
fn value(context: &FunctionContext, row: Row<'_>, argument: usize) -> Result<String> {
    let value = row.any(argument)?;
    let plain = || Field::new("", value.data_type(), true);
    let field = row.field(argument).cloned().unwrap_or_else(plain);
    json_of(&value, &field, &context.settings.time_zone())
}

/// A value of a field as JSON, in the form that a row has that is sent as one.
fn json_of(value: &ScalarValue, field: &Field, zone: &str) -> Result<String> {
    if value.is_null() {
        return Ok("null".to_owned());
    }
    let time_zone = SessionZone::parse(zone).unwrap_or(SessionZone::UTC);
    let settings = ValueSettings { time_zone, ..ValueSettings::default() };
    let encoder = Encoder::new(field, Format::Text, &settings).map_err(explained)?;
    let array = value.to_array()?;
    let mut text = BytesMut::new();
    encoder.on(&array).and_then(|cells| cells.json(0, &mut text)).map_err(explained)?;
    String::from_utf8(text.to_vec()).map_err(|_| exec_datafusion_err!("JSON that is not UTF-8"))
}

fn explained(error: EncodeError) -> datafusion::common::DataFusionError {
    ValueError::of(error.sqlstate(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_numbers_are_not() {
        let shown = |value: ScalarValue| {
            let field = Field::new("", value.data_type(), true);
            json_of(&value, &field, "Asia/Kolkata").unwrap()
        };
        let noon = Some(43_200_000_001);
        for (value, expected) in [
            (ScalarValue::from("a\"b\n"), r#""a\"b\n""#),
            (ScalarValue::from(7), "7"),
            (ScalarValue::from(true), "true"),
            (ScalarValue::Null, "null"),
            (ScalarValue::from(f64::NAN), "\"NaN\""),
            (ScalarValue::Decimal128(Some(150), 5, 2), "1.50"),
            (ScalarValue::Binary(Some(b"NULL".to_vec())), r#""\\x4e554c4c""#),
            (ScalarValue::Date32(Some(-1)), r#""1969-12-31""#),
            (ScalarValue::TimestampMicrosecond(noon, None), r#""1970-01-01T12:00:00.000001""#),
            (
                ScalarValue::TimestampMicrosecond(noon, Some("UTC".into())),
                r#""1970-01-01T17:30:00.000001+05:30""#,
            ),
        ] {
            assert_eq!(shown(value), expected);
        }
    }
}
