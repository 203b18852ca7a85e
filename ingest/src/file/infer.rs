//! A schema from a file's first records, when the user gives none.
//!
//! | all values of a column | type |
//! | --- | --- |
//! | whole numbers | int64 |
//! | numbers | float64: money is better stated as decimal(precision,scale) |
//! | true, false | bool |
//! | texts that are timestamps (RFC 3339 and its relatives; dates too) | timestamp |
//! | texts, numbers with leading zeros, a mixture, nothing but nulls | string |
//! | objects, arrays (JSON) | left out |
//!
//! The event time column is a timestamp whatever it looks like. Columns keep the order in which they first appear. Parquet brings its types.

use crate::decode::{RecordEnd, can_convert, record_end};
use crate::decode::{parse_timestamp, scan_integer, split_record, trim_line_end};
use crate::file::format::{CsvOptions, FileFormat, FileSourceSpec};
use crate::file::opened::{describe, read_beginning, read_header};
use crate::file::parquet_reader::parquet_schema;
use crate::file::paths::{FoundFile, unreadable};
use crate::types::{carried_type, utc_timestamp};
use arrow::datatypes::{DataType, Field, Schema};
use riskstream_engine::contract::SourceError;
use std::collections::HashMap;
use std::fs::File;

/// Records that are looked at.
const SAMPLE_RECORDS: usize = 10_000;
/// How much of a text file is looked at.
const SAMPLE_BYTES: usize = 4 * 1024 * 1024;

/// What the values of a column were so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Integer,
    Float,
    Bool,
    Time,
    Text,
    Nested,
}

impl Kind {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Nothing, kind) | (kind, Self::Nothing) => kind,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            (Self::Nested, _) | (_, Self::Nested) => Self::Nested,
            _ => Self::Text,
        }
    }

    fn of_text(text: &str) -> Self {
        if parse_timestamp(text.as_bytes()).is_some() { Self::Time } else { Self::Text }
    }

    fn of_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Nothing,
            serde_json::Value::Bool(_) => Self::Bool,
            serde_json::Value::Number(n) if n.is_i64() => Self::Integer,
            serde_json::Value::Number(_) => Self::Float,
            serde_json::Value::String(text) => Self::of_text(text),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => Self::Nested,
        }
    }

    fn of_csv(text: &str) -> Self {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let padded = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        match text {
            "" => Self::Nothing,
            "true" | "false" | "True" | "False" | "TRUE" | "FALSE" => Self::Bool,
            _ if padded => Self::Text,
            _ if scan_integer(text.as_bytes()).is_some_and(|(_, taken)| taken == text.len()) => Self::Integer,
            _ if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok_and(f64::is_finite) => {
                Self::Float
            }
            _ => Self::of_text(text),
        }
    }

    fn data_type(self) -> Option<DataType> {
        Some(match self {
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Time => utc_timestamp(),
            Self::Text | Self::Nothing => DataType::Utf8,
            Self::Nested => return None,
        })
    }
}

/// Columns in the order of their first appearance.
#[derive(Default)]
struct Seen {
    kinds: Vec<(String, Kind)>,
    places: HashMap<String, usize>,
}

impl Seen {
    fn add(&mut self, name: &str, kind: Kind) {
        match self.places.get(name) {
            Some(place) => self.kinds[*place].1 = self.kinds[*place].1.and(kind),
            None => {
                self.places.insert(name.to_owned(), self.kinds.len());
                self.kinds.push((name.to_owned(), kind));
            }
        }
    }
}

/// The schema of the first file that has records.
pub(crate) fn infer_schema(spec: &FileSourceSpec, format: FileFormat, files: &[FoundFile]) -> Result<Schema, SourceError> {
    for file in files {
        let found = match format {
            FileFormat::Parquet => infer_parquet(spec, file),
            FileFormat::Json => infer_json(spec, file),
            FileFormat::Csv => infer_csv(spec, file),
            FileFormat::Debezium(_) => Err("a change does not tell its columns' types; give the source the table's schema".into()),
        };
        if let Some(schema) = found.map_err(|reason| unreadable(spec, &file.name, reason))? {
            return Ok(schema);
        }
    }
    let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    let object = if names.is_empty() { spec.paths.join(", ") } else { names.join(", ") };
    Err(unreadable(spec, object, "there is no record to infer the schema from; give the source a schema"))
}

fn infer_parquet(spec: &FileSourceSpec, file: &FoundFile) -> Result<Option<Schema>, String> {
    let opened = File::open(&file.path).map_err(|e| e.to_string())?;
    if opened.metadata().map_err(|e| e.to_string())?.len() == 0 {
        return Ok(None);
    }
    let found = parquet_schema(opened)?;
    let mut fields = Vec::new();
    for field in found.fields() {
        let event_time = *field.name() == spec.event_time.column;
        let data_type = if event_time && can_convert(field.data_type(), &utc_timestamp(), &spec.event_time.format) {
            Some(utc_timestamp())
        } else {
            carried_type(field.data_type())
        };
        // Nested columns and the like are left out, as in JSON; asking for one in a schema says why.
        if let Some(data_type) = data_type {
            fields.push(Field::new(field.name(), data_type, !event_time));
        }
    }
    Ok(Some(Schema::new(fields)))
}

fn sample(spec: &FileSourceSpec, file: &FoundFile) -> Result<(Vec<u8>, bool), String> {
    let compression = spec.compression_of(&file.path);
    read_beginning(&file.path, compression, SAMPLE_BYTES).map_err(|e| describe(&e, compression))
}

fn infer_json(spec: &FileSourceSpec, file: &FoundFile) -> Result<Option<Schema>, String> {
    let (text, whole) = sample(spec, file)?;
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let text = if whole { text } else { &text[..memchr::memrchr(b'\n', text).unwrap_or(0)] };
    let mut seen = Seen::default();
    let mut lines = text.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    for line in lines.take(SAMPLE_RECORDS) {
        // `Value` sorts its keys, so the order comes from a visit of our own.
        if let Ok(OrderedObject(fields)) = serde_json::from_slice(line) {
            for (name, value) in fields {
                seen.add(&name, Kind::of_json(&value));
            }
        }
    }
    if seen.kinds.is_empty() {
        return Err("no line of its beginning is a JSON object; is it NDJSON (one object per line)?".into());
    }
    Ok(Some(schema_of(spec, seen)))
}

/// An object's fields in the order of the text.
struct OrderedObject(Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for OrderedObject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> serde::de::Visitor<'de> for Fields {
            type Value = OrderedObject;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(OrderedObject(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn infer_csv(spec: &FileSourceSpec, file: &FoundFile) -> Result<Option<Schema>, String> {
    let CsvOptions { header: has_header, quote, .. } = spec.csv;
    if !has_header {
        return Err("a CSV file without a header needs a schema".into());
    }
    let Some(header) = read_header(spec, &file.path, spec.follow)? else { return Ok(None) };
    let (text, whole) = sample(spec, file)?;
    let delimiter = spec.delimiter(&file.path);
    let mut seen = Seen::default();
    for name in header.names.iter().filter(|n| !n.is_empty()) {
        seen.add(name, Kind::Nothing);
    }
    let (mut start, mut fields, mut unquoted) = (header.end, Vec::new(), Vec::new());
    for _ in 0..SAMPLE_RECORDS {
        if start >= text.len() {
            break;
        }
        let RecordEnd::At(end) = record_end(&text, start, delimiter, quote, spec.record_bytes_max, whole) else { break };
        let record = trim_line_end(&text[start..end]);
        start = end;
        if record.is_empty() || !split_record(record, delimiter, quote, &mut fields, &mut unquoted) || fields.len() != header.names.len() {
            continue;
        }
        for (field, name) in fields.iter().zip(&header.names).filter(|(_, n)| !n.is_empty()) {
            let text = if field.quoted { &unquoted[field.start..field.end] } else { &record[field.start..field.end] };
            if let Ok(text) = std::str::from_utf8(text) {
                seen.add(name, Kind::of_csv(text));
            }
        }
    }
    Ok(Some(schema_of(spec, seen)))
}

fn schema_of(spec: &FileSourceSpec, seen: Seen) -> Schema {
    let fields = seen.kinds.into_iter().filter_map(|(name, kind)| {
        if name == spec.event_time.column {
            return Some(Field::new(name, utc_timestamp(), false));
        }
        kind.data_type().map(|data_type| Field::new(name, data_type, true))
    });
    Schema::new(fields.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_join_to_what_holds_all_values() {
        assert_eq!(Kind::of_csv("12").and(Kind::of_csv("1.5")), Kind::Float);
        assert_eq!(Kind::of_csv("").and(Kind::of_csv("-7")), Kind::Integer);
        assert_eq!(Kind::of_csv("007"), Kind::Text);
        assert_eq!(Kind::of_csv("0"), Kind::Integer);
        assert_eq!(Kind::of_csv("0.5"), Kind::Float);
        assert_eq!(Kind::of_csv("inf"), Kind::Text);
        assert_eq!(Kind::of_csv("2018-04-01 00:00:31"), Kind::Time);
        assert_eq!(Kind::of_csv("true").and(Kind::of_csv("1")), Kind::Text);
    }
}
