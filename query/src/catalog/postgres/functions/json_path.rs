//! Parts of JSON: `->`, `->>` and `#>`, `#>>`. A part's text is as it stands in the whole, so that
//! a number keeps its digits.

use std::borrow::Cow;
use std::collections::HashMap;

use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Volatility::Immutable;
use serde_json::value::RawValue;

use super::call::{Body, Definition, Row};
use super::context::FunctionContext;
use super::json::as_json;
use super::names::text_of;

pub(super) const DEFINITIONS: &[Definition] = &[
    part("_json_get", &["AA"], "json", path),
    part("_json_get_text", &["AA"], "text", path_text),
    part("json_extract_path", &["A*"], "json", path),
    part("jsonb_extract_path", &["A*"], "jsonb", path),
    part("json_extract_path_text", &["A*"], "text", path_text),
    part("jsonb_extract_path_text", &["A*"], "text", path_text),
    part("json_typeof", &["A"], "text", kind),
    part("jsonb_typeof", &["A"], "text", kind),
    length("json_array_length"),
    length("jsonb_array_length"),
];

const fn part(
    name: &'static str,
    takes: &'static [&'static str],
    gives: &'static str,
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<String>>,
) -> Definition {
    Definition { name, takes, gives, volatility: Immutable, body: Body::Text(body) }
}

const fn length(name: &'static str) -> Definition {
    let body = Body::Int(array_length);
    Definition { name, takes: &["A"], gives: "int4", volatility: Immutable, body }
}

/// The JSON of an argument; a struct or a list is JSON here.
fn whole<'a>(context: &FunctionContext, row: Row<'a>) -> Result<Option<Cow<'a, str>>> {
    match row.text(0) {
        Some(text) => Ok(Some(Cow::Borrowed(text))),
        None => Ok(as_json(context, row, 0)?.map(Cow::Owned)),
    }
}

fn read(text: &str) -> Result<&RawValue> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) => exec_err!("invalid input syntax for type json: {error}"),
    }
}

/// A step into JSON: a key, or a place counted from 0, or from the end where it is less.
enum Step {
    Key(String),
    Place(i64),
}

fn step(value: &ScalarValue) -> Result<Option<Step>> {
    let Some(text) = text_of(value)? else { return Ok(None) };
    Ok(Some(match text.parse() {
        Ok(place) if value.data_type().is_integer() => Step::Place(place),
        _ => Step::Key(text),
    }))
}

/// What a step leads to; `of_path`: a key that is a number is a place of an array.
fn follow<'a>(value: &'a RawValue, step: &Step, of_path: bool) -> Result<Option<&'a RawValue>> {
    let text = value.get();
    match (text.as_bytes().first(), step) {
        (Some(b'{'), Step::Key(key)) => {
            let Ok(mut all) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(text) else {
                return exec_err!("invalid input syntax for type json");
            };
            Ok(all.remove(key.as_str()))
        }
        (Some(b'['), step) => {
            let place = match step {
                Step::Place(place) => Some(*place),
                Step::Key(key) if of_path => key.parse().ok(),
                Step::Key(_) => None,
            };
            let Some(place) = place else { return Ok(None) };
            let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(text) else {
                return exec_err!("invalid input syntax for type json");
            };
            let from_end = usize::try_from(place.unsigned_abs()).ok();
            let at = match place {
                0.. => usize::try_from(place).ok(),
                _ => from_end.and_then(|back| all.len().checked_sub(back)),
            };
            Ok(at.and_then(|at| all.get(at)).copied())
        }
        _ => Ok(None),
    }
}

/// The text of the part to which the arguments lead.
fn part_of(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    let Some(whole) = whole(context, row)? else { return Ok(None) };
    let mut value = read(&whole)?;
    for argument in 1..row.count() {
        let Some(step) = step(&row.any(argument)?)? else { return Ok(None) };
        match follow(value, &step, row.count() > 2)? {
            Some(part) => value = part,
            None => return Ok(None),
        }
    }
    Ok(Some(value.get().to_owned()))
}

fn path(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    part_of(context, row)
}

fn path_text(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    let Some(part) = part_of(context, row)? else { return Ok(None) };
    Ok(match part.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') => serde_json::from_str(&part).ok(),
        _ => Some(part),
    })
}

fn kind(context: &FunctionContext, row: Row<'_>) -> Result<Option<String>> {
    let Some(whole) = whole(context, row)? else { return Ok(None) };
    let kind = match read(&whole)?.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    };
    Ok(Some(kind.to_owned()))
}

fn array_length(context: &FunctionContext, row: Row<'_>) -> Result<Option<i64>> {
    let Some(whole) = whole(context, row)? else { return Ok(None) };
    match serde_json::from_str::<Vec<&RawValue>>(read(&whole)?.get()) {
        Ok(all) => Ok(i64::try_from(all.len()).ok()),
        Err(_) => exec_err!("cannot get array length of a non-array"),
    }
}
