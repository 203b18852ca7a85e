//! NDJSON: one object per line, into columns.
//!
//! Each line is first scanned the fast way (`json_scan`). What that does not understand (escapes,
//! nested values, unusual spacing, anything wrong) is read by serde_json, which alone decides what
//! is valid and gives the messages. A field of an object within the record is the column
//! `object.field`. Fields that the schema lacks are ignored and counted; fields that the record
//! lacks are null; a column's field given twice is rejected, and so is what stands where the schema
//! says an object.

use crate::decode::column::{Column, Fault, Written, shown};
use crate::decode::json_scan::Scanner;
use crate::decode::reason;
use crate::decode::sink::RowSink;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Decodes one record into a row or a rejected row of `sink`.
#[inline]
pub(crate) fn decode_json(
    record: &[u8],
    offset: i64,
    valid_utf8: bool,
    scanner: &mut Scanner,
    sink: &mut RowSink,
) {
    let row = sink.row();
    if valid_utf8 && scanner.scan(record, &mut sink.columns, row) {
        sink.end_row(offset, record);
        return;
    }
    sink.undo_row();
    match decode_carefully(record, &mut sink.columns, row) {
        Ok(ignored) => {
            scanner.ignored_fields += ignored;
            sink.end_row(offset, record);
        }
        Err(fault) => {
            sink.undo_row();
            sink.reject(offset, record, &fault, None);
        }
    }
}

/// Pushes a record's values; the number of fields that were ignored. On error some were pushed.
fn decode_carefully(record: &[u8], columns: &mut [Column], row: usize) -> Result<u64, Fault> {
    let text = std::str::from_utf8(record).map_err(|e| {
        Fault::new(reason::MALFORMED, format!("not UTF-8 from byte {}", e.valid_up_to()))
    })?;
    let mut fields = Fields { columns, row, prefix: "", ignored: 0, fault: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(&mut fields).and_then(|()| json.end());
    read.map_err(|e| {
        let not_object = e.is_data();
        Fault::new(
            reason::MALFORMED,
            if not_object {
                format!("not a JSON object: {}", shown(text))
            } else {
                format!("invalid JSON: {e}")
            },
        )
    })?;
    // Broken JSON behind a value that does not fit is what counts, so the value's fault is looked
    // at only now.
    fields.fault.map_or(Ok(fields.ignored), Err)
}

struct Fields<'a> {
    columns: &'a mut [Column],
    row: usize,
    /// What stands before the names of these fields in the names of columns.
    prefix: &'a str,
    ignored: u64,
    /// The first value that does not fit.
    fault: Option<Fault>,
}

impl<'de> Visitor<'de> for &mut Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut first_fault = None;
        let read = (|| {
            while let Some(name) = map.next_key::<Key<'de>>()? {
                let name = if self.prefix.is_empty() {
                    name.0
                } else {
                    Cow::Owned(format!("{}{}", self.prefix, name.0))
                };
                let column = self.columns.iter().position(|c| c.is_named(&name));
                let has_fields = self.columns.iter().any(|c| c.is_field_of(&name));
                if column.is_none() && !has_fields {
                    map.next_value::<IgnoredAny>()?;
                    self.ignored += 1;
                    continue;
                }
                let value: &RawValue = map.next_value()?;
                if first_fault.is_some() {
                    continue;
                }
                let pushed = match column {
                    Some(column) => self.push(column, value.get()),
                    None => Ok(()),
                };
                let pushed = pushed.and_then(|()| {
                    if has_fields {
                        self.push_fields(&name, value.get(), column.is_some())
                    } else {
                        Ok(())
                    }
                });
                first_fault = pushed.err();
            }
            Ok(())
        })();
        if read.is_ok() {
            self.fault = first_fault;
        }
        read
    }
}

impl Fields<'_> {
    fn push(&mut self, column: usize, raw: &str) -> Result<(), Fault> {
        let column = &mut self.columns[column];
        if column.len() > self.row {
            return Err(Fault::new(
                reason::DUPLICATE_FIELD,
                format!("{} is given twice", column.name),
            ));
        }
        push_raw(column, raw)
    }

    /// Pushes the fields of the value called `name`; one that is a column as a whole may be
    /// something else than an object.
    fn push_fields(&mut self, name: &str, raw: &str, is_column: bool) -> Result<(), Fault> {
        match raw.as_bytes().first() {
            Some(b'{') => {}
            Some(b'n') => return Ok(()),
            Some(_) | None if is_column => return Ok(()),
            Some(_) | None => {
                let fields: Vec<&str> = self
                    .columns
                    .iter()
                    .filter(|c| c.is_field_of(name))
                    .map(|c| c.name.as_str())
                    .collect();
                let noun = Written::of_json(raw).noun();
                return Err(Fault::new(
                    reason::TYPE,
                    format!(
                        "{name}: {noun}{} is not an object, where the schema has {}",
                        shown(raw),
                        fields.join(", ")
                    ),
                ));
            }
        }
        let prefix = format!("{name}.");
        let mut inner = Fields {
            columns: &mut *self.columns,
            row: self.row,
            prefix: &prefix,
            ignored: 0,
            fault: None,
        };
        serde_json::Deserializer::from_str(raw)
            .deserialize_map(&mut inner)
            .map_err(|e| Fault::new(reason::MALFORMED, format!("{name}: invalid JSON: {e}")))?;
        let (ignored, fault) = (inner.ignored, inner.fault);
        self.ignored += ignored;
        fault.map_or(Ok(()), Err)
    }
}

/// A key, borrowed when it has no escapes.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Pushes a value that serde_json has found valid.
pub(crate) fn push_raw(column: &mut Column, raw: &str) -> Result<(), Fault> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let text: Cow<'_, str> = match plain(raw) {
                Some(text) => Cow::Borrowed(text),
                None => {
                    let text = serde_json::from_str::<String>(raw);
                    Cow::Owned(text.map_err(|e| {
                        Fault::new(
                            reason::MALFORMED,
                            format!("{}: invalid string: {e}", column.name),
                        )
                    })?)
                }
            };
            column.push_text(&text, Written::JsonString)
        }
        Some(b't') => column.push_bool(true),
        Some(b'f') => column.push_bool(false),
        Some(b'n') => {
            column.push_null();
            Ok(())
        }
        Some(b'{') => column.push_nested(raw, Written::JsonObject),
        Some(b'[') => column.push_nested(raw, Written::JsonArray),
        Some(_) | None => column.push_number(raw, Written::JsonNumber),
    }
}

fn plain(raw: &str) -> Option<&str> {
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

#[cfg(test)]
mod tests;
