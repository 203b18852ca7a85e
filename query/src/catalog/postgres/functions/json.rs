//! Values as JSON.

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Volatility::Stable;

use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use super::names::text_of;

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

fn object(_context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
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
        write_text(&key, &mut text);
        text.push_str(" : ");
        write(&row.any(at + 1)?, &mut text)?;
    }
    text.push('}');
    Ok(Some(text))
}

fn list(_context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    let mut text = "[".to_owned();
    for at in 0..row.count() {
        if at > 0 {
            text.push_str(", ");
        }
        write(&row.any(at)?, &mut text)?;
    }
    text.push(']');
    Ok(Some(text))
}

fn one(_context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    as_json(&row.any(0)?)
}

/// A value as JSON; none of a null.
pub(super) fn as_json(value: &ScalarValue) -> Result<Option<String>> {
    if value.is_null() {
        return Ok(None);
    }
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(Some(text))
}

fn write(value: &ScalarValue, text: &mut String) -> Result<()> {
    if value.is_null() {
        text.push_str("null");
        return Ok(());
    }
    match value {
        ScalarValue::Boolean(Some(value)) => text.push_str(if *value { "true" } else { "false" }),
        ScalarValue::List(list) => write_list(list.value(0).as_ref(), text)?,
        ScalarValue::LargeList(list) => write_list(list.value(0).as_ref(), text)?,
        ScalarValue::FixedSizeList(list) => write_list(list.value(0).as_ref(), text)?,
        ScalarValue::Struct(row) => {
            text.push('{');
            for (at, (field, column)) in row.fields().iter().zip(row.columns()).enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_text(field.name(), text);
                text.push(':');
                write(&ScalarValue::try_from_array(column, 0)?, text)?;
            }
            text.push('}');
        }
        ScalarValue::Dictionary(_, value) => write(value, text)?,
        value => {
            let shown = text_of(value)?.unwrap_or_default();
            let is_number = value.data_type().is_numeric();
            match is_number && shown.bytes().any(|b| b.is_ascii_digit()) {
                true => text.push_str(&shown),
                false => match matches!(value.data_type(), DataType::Timestamp(_, _)) {
                    true => write_text(&shown.replacen(' ', "T", 1), text),
                    false => write_text(&shown, text),
                },
            }
        }
    }
    Ok(())
}

fn write_list(values: &dyn Array, text: &mut String) -> Result<()> {
    text.push('[');
    for at in 0..values.len() {
        if at > 0 {
            text.push(',');
        }
        write(&ScalarValue::try_from_array(values, at)?, text)?;
    }
    text.push(']');
    Ok(())
}

fn write_text(value: &str, text: &mut String) {
    // A string can always be written as JSON.
    text.push_str(&serde_json::Value::from(value).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_numbers_are_not() {
        let shown = |value: ScalarValue| {
            let mut text = String::new();
            write(&value, &mut text).unwrap();
            text
        };
        assert_eq!(shown(ScalarValue::from("a\"b\n")), r#""a\"b\n""#);
        assert_eq!(shown(ScalarValue::from(7)), "7");
        assert_eq!(shown(ScalarValue::from(true)), "true");
        assert_eq!(shown(ScalarValue::Null), "null");
        assert_eq!(shown(ScalarValue::from(f64::NAN)), "\"NaN\"");
    }
}
