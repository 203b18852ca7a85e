//! The fields of JSON records, one object per line.

use super::values::Values;
use super::{SAMPLE_RECORDS, Said};
use crate::changes::DebeziumOptions;
use crate::file::{FileFormat, JsonFields as Fields};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Fields below one of a record's own at most, as of an inferred schema.
const FIELDS_MAX: usize = 200;

/// Looks at a text; its format, and the values of its fields.
pub(super) fn look(
    text: &str,
    is_whole: bool,
    said: &mut Said,
) -> Result<(FileFormat, Values), String> {
    let cut = if is_whole { text } else { &text[..text.rfind('\n').unwrap_or(0)] };
    let (mut records, mut broken) = (Vec::new(), 0);
    for line in cut.lines().filter(|line| !line.trim().is_empty()).take(SAMPLE_RECORDS) {
        match serde_json::from_str::<Fields<'_>>(line) {
            Ok(Fields(record)) => records.push(record),
            Err(_) => broken += 1,
        }
    }
    if records.len() <= broken {
        return Err(match is_whole {
            true => document(text),
            false => "the lines of its beginning are no JSON objects; if it is one JSON document, \
                      write its records one per line: jq -c '.[]' FILE > FILE.jsonl"
                .into(),
        });
    }
    // An answer of an interface, all of it on one line.
    if let ([_], Ok(value)) = (&records[..], serde_json::from_str::<Value>(text))
        && records_in(&value, String::new()).is_some()
    {
        return Err(document(text));
    }
    if broken > 0 {
        said.unsure(format!("{broken} lines are no JSON objects, and would be dead letters"));
    }
    let mut values = Values::new(Vec::new());
    let changes: Vec<Object<'_>> = records.iter().filter_map(change).collect();
    if changes.len() * 2 > records.len() {
        said.unsure(
            "the types of the table's columns: Debezium's records hold numbers for dates, times \
             and decimals, so compare `schema` with the table",
        );
        for row in &changes {
            values.add_object(row, "");
        }
        return Ok((FileFormat::Debezium(DebeziumOptions::default()), values));
    }
    for record in &records {
        values.add_object(record, "");
    }
    Ok((FileFormat::Json, values))
}

/// Fields as they are written.
type Object<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

fn field<'a>(record: &Object<'a>, name: &str) -> Option<&'a RawValue> {
    record.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str::<Fields<'_>>(value.get()).ok().map(|Fields(fields)| fields)
}

/// The row of one of Debezium's records; none where it is none.
fn change<'a>(record: &Object<'a>) -> Option<Object<'a>> {
    let payload = field(record, "payload").and_then(object);
    let change = payload.as_ref().unwrap_or(record);
    field(change, "op")?;
    let (after, before) = (field(change, "after"), field(change, "before"));
    after.and_then(object).or_else(|| before.and_then(object))
}

impl Values {
    fn add_object(&mut self, record: &Object<'_>, prefix: &str) {
        if prefix.is_empty() {
            self.records += 1;
        }
        for (key, value) in record {
            let name = format!("{prefix}{key}");
            let raw = value.get();
            match raw.as_bytes().first() {
                Some(b'n') | None => {
                    self.column(&name);
                }
                Some(b't' | b'f') => self.column(&name).bools += 1,
                Some(b'"') => match serde_json::from_str::<String>(raw) {
                    Ok(text) if !text.is_empty() => self.column(&name).texts.push(text),
                    Ok(_) | Err(_) => self.column(&name).others += 1,
                },
                Some(b'{') => match object(value) {
                    Some(inner) if !inner.is_empty() && inner.len() <= FIELDS_MAX => {
                        self.add_object(&inner, &format!("{name}."));
                    }
                    Some(_) | None => self.column(&name).others += 1,
                },
                Some(b'[') => self.column(&name).others += 1,
                Some(_) => self.column(&name).numbers.push(raw.to_owned()),
            }
        }
    }
}

/// What to do with a text that is JSON and no lines of objects.
fn document(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return "no line of it is a JSON object, and it is no JSON document either".into();
    };
    match records_in(&value, String::new()) {
        Some(path) => {
            let path = if path.is_empty() { ".[]".to_owned() } else { format!("{path}[]") };
            format!(
                "it is one JSON document, and a source reads an object per line; its records are \
                 at {path}: jq -c '{path}' FILE > FILE.jsonl"
            )
        }
        None => "it is one JSON document without a list of objects in it; a source reads an \
                 object per line"
            .into(),
    }
}

/// The path of the largest list of objects, as `jq` writes it.
fn records_in(value: &Value, path: String) -> Option<String> {
    fn largest(value: &Value, path: String, found: &mut Option<(usize, String)>) {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                if found.as_ref().is_none_or(|(length, _)| items.len() > *length) {
                    *found = Some((items.len(), path));
                }
            }
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    let step = if is_word { format!(".{name}") } else { format!(".[{:?}]", name) };
                    largest(inner, format!("{path}{step}"), found);
                }
            }
            Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => {}
        }
    }
    let mut found = None;
    largest(value, path, &mut found);
    found.map(|(_, path)| path)
}
