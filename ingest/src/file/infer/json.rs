//! Fields of JSON objects, those of objects within them as `a.b`.

use super::seen::{Budget, NESTED_FIELDS_MAX, Seen, sample};
use crate::decode::{Encoding, Key};
use crate::file::format::FileSourceSpec;
use crate::file::opened::encoding_of;
use crate::file::paths::FoundFile;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Takes in a file's records.
pub(super) fn look(
    spec: &FileSourceSpec,
    file: &FoundFile,
    budget: &mut Budget,
    seen: &mut Seen,
) -> Result<(), String> {
    let encoding = encoding_of(spec, &file.path)?.unwrap_or(Encoding::Utf8);
    let (text, whole) = sample(spec, file, budget)?;
    let text = text.strip_prefix(encoding.mark()).unwrap_or(&text);
    let text = encoding.shown(text);
    let text = text.as_bytes();
    let text = if whole { text } else { &text[..memchr::memrchr(b'\n', text).unwrap_or(0)] };
    let (mut lines, mut objects) = (0, 0);
    for line in text
        .split(|b| *b == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .take(budget.records)
    {
        lines += 1;
        if let Ok(Fields(fields)) = serde_json::from_slice::<Fields<'_>>(line) {
            objects += 1;
            add(fields, "", seen);
        }
    }
    budget.records -= lines;
    if lines > 0 && objects == 0 {
        return Err(
            "no line of its beginning is a JSON object; is it NDJSON (one object per line)?".into(),
        );
    }
    if lines > 0 {
        seen.files.push(file.name.clone());
        seen.records += lines;
    }
    Ok(())
}

fn add(fields: Vec<(Cow<'_, str>, &RawValue)>, prefix: &str, seen: &mut Seen) {
    for (key, value) in fields {
        let name = format!("{prefix}{key}");
        let raw = value.get();
        match raw.as_bytes().first() {
            Some(b'n') | None => {
                seen.form(&name);
            }
            Some(b'"') => match serde_json::from_str::<String>(raw) {
                Ok(text) => seen.form(&name).add_string(&text),
                Err(_) => seen.form(&name).add_text(),
            },
            Some(b't' | b'f') => seen.form(&name).add_bool(),
            Some(b'[') => seen.form(&name).add_text(),
            Some(b'{') => match serde_json::from_str::<Fields<'_>>(raw) {
                Ok(Fields(inner)) if !inner.is_empty() => add(inner, &format!("{name}."), seen),
                // Of an empty object there is nothing to say, unless no other one of the field says
                // more.
                Ok(_) | Err(_) => {
                    seen.form(&name);
                }
            },
            Some(_) => seen.form(&name).add_number(raw),
        }
    }
}

/// Decides of every field that is an object in one record and something else in another, or one
/// with too many fields.
pub(super) fn settle(seen: &mut Seen) {
    let columns = std::mem::take(&mut seen.columns);
    let below = |name: &str| columns.iter().filter(|(other, _)| is_below(other, name)).count();
    // A field of the record itself is taken before those below it, so that one text holds all.
    let mut whole: Vec<String> = Vec::new();
    for (name, form) in &columns {
        let fields = below(name);
        if fields > 0 && form.has_value() && !whole.iter().any(|above| is_below(name, above)) {
            whole.push(name.clone());
            seen.notes.push(format!(
                "field {name} is read as JSON text: it is an object in one record and something \
                 else in another"
            ));
        }
    }
    let mut tops: Vec<&str> =
        columns.iter().filter_map(|(name, _)| name.split_once('.')).map(|(top, _)| top).collect();
    tops.dedup();
    for top in tops {
        let fields = below(top);
        if fields > NESTED_FIELDS_MAX && !whole.iter().any(|name| name == top) {
            whole.push(top.to_owned());
            seen.notes.push(format!(
                "field {top} is read as JSON text: its objects have {fields} different fields"
            ));
        }
    }
    seen.places.clear();
    for (name, form) in &columns {
        match whole.iter().find(|above| *above == name || is_below(name, above)) {
            Some(above) => seen.form(above).add_text(),
            // A null, or an empty object, where others have fields.
            None if !form.has_value() && below(name) > 0 => {}
            None => *seen.form(name) = form.clone(),
        }
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// An object's fields in the order of the text, their values as they are written.
pub(crate) struct Fields<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, &RawValue>()? {
                    fields.push((key.0, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
