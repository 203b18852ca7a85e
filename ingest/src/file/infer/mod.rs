//! A schema from a source's first records, when the user gives none.
//!
//! A column gets a type only if the type gives every value back letter by letter:
//!
//! | all values of a column | type |
//! | --- | --- |
//! | whole numbers of an int64, without plus or needless zeros | int64 |
//! | numbers that one way of writing floats gives back | float64 |
//! | JSON numbers of up to 17 digits | float64 |
//! | true and false, in one case | bool |
//! | dates | date |
//! | dates and times with no digits below a microsecond | timestamp |
//! | else: longer numbers, `007`, `+49`, `1e5`, `1.10` beside `1.2`, mixtures, all null | string |
//!
//! Three ways of writing floats are known: the shortest, Python's, and a fixed count of digits
//! below the point.
//!
//! Money is better stated as decimal(precision,scale). Fields of JSON objects are columns `a.b`;
//! arrays are strings of JSON. The event time column is a timestamp whatever it looks like. Columns
//! keep the order in which they first appear. Parquet brings its types (`parquet.rs`). What no
//! column holds is said in the notes.

mod csv;
mod form;
mod json;
mod parquet;

use crate::file::format::{FileFormat, FileSourceSpec};
use crate::file::opened::{describe, read_beginning};
use crate::file::paths::{FoundFile, unreadable};
use crate::types::{type_name, utc_timestamp};
use arrow::datatypes::{DataType, Field, Schema};
use form::Form;
pub(crate) use json::Fields as JsonFields;
use riskstream_engine::contract::SourceError;
use std::collections::HashMap;

/// Records that are looked at, over all files.
const SAMPLE_RECORDS: usize = 10_000;
/// How much of text files is looked at, over all of them.
const SAMPLE_BYTES: usize = 4 * 1024 * 1024;
/// Files that are looked at.
const SAMPLE_FILES: usize = 64;
/// Fields below one of a record's own; an object with more is a map, and read as JSON text.
const NESTED_FIELDS_MAX: usize = 200;

/// What was found.
#[derive(Debug)]
pub(crate) struct Inferred {
    pub(crate) schema: Schema,
    /// Which columns are what and why, and what was left out: a sentence each.
    pub(crate) notes: Vec<String>,
}

/// How much may still be looked at.
#[derive(Debug)]
struct Budget {
    records: usize,
    bytes: usize,
}

/// The columns seen so far, in the order of their first appearance.
#[derive(Debug, Default)]
struct Seen {
    columns: Vec<(String, Form)>,
    places: HashMap<String, usize>,
    /// Files with records.
    files: Vec<String>,
    records: usize,
    notes: Vec<String>,
}

impl Seen {
    fn form(&mut self, name: &str) -> &mut Form {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.columns.len());
                self.columns.push((name.to_owned(), Form::default()));
                self.columns.len() - 1
            }
        };
        &mut self.columns[place].1
    }
}

/// The schema of the first files that have records.
pub(crate) fn infer_schema(
    spec: &FileSourceSpec,
    format: FileFormat,
    files: &[FoundFile],
) -> Result<Inferred, SourceError> {
    let failed = |reason: &str| unreadable(spec, object(spec, files), reason);
    let found = match format {
        FileFormat::Parquet => parquet::infer(spec, files)?,
        FileFormat::Json => infer_text(spec, files, json::look)?.map(|mut seen| {
            json::settle(&mut seen);
            inferred(spec, seen)
        }),
        FileFormat::Csv if !spec.csv.header => {
            return Err(failed("a CSV file without a header needs a schema"));
        }
        FileFormat::Csv => infer_text(spec, files, csv::look)?.map(|seen| inferred(spec, seen)),
        FileFormat::Debezium(_) => {
            return Err(failed(
                "a change does not tell its columns' types; give the source the table's schema",
            ));
        }
    };
    found.ok_or_else(|| {
        failed("there is no record to infer the schema from; give the source a schema")
    })
}

/// What the columns of the files that are looked at hold; none when there is no record.
fn infer_text(
    spec: &FileSourceSpec,
    files: &[FoundFile],
    look: fn(&FileSourceSpec, &FoundFile, &mut Budget, &mut Seen) -> Result<(), String>,
) -> Result<Option<Seen>, SourceError> {
    let (mut seen, mut budget) =
        (Seen::default(), Budget { records: SAMPLE_RECORDS, bytes: SAMPLE_BYTES });
    for file in files.iter().take(SAMPLE_FILES) {
        if budget.records == 0 || budget.bytes == 0 {
            break;
        }
        look(spec, file, &mut budget, &mut seen)
            .map_err(|reason| unreadable(spec, &file.name, reason))?;
    }
    Ok((seen.records > 0).then_some(seen))
}

/// The beginning of a text file, as much as may still be looked at, and whether it is all of it.
fn sample(
    spec: &FileSourceSpec,
    file: &FoundFile,
    budget: &mut Budget,
) -> Result<(Vec<u8>, bool), String> {
    let compression = spec.compression_of(&file.path);
    let (text, whole) = read_beginning(&file.path, compression, budget.bytes)
        .map_err(|e| describe(&e, compression))?;
    budget.bytes = budget.bytes.saturating_sub(text.len());
    Ok((text, whole))
}

fn inferred(spec: &FileSourceSpec, seen: Seen) -> Inferred {
    let mut fields = Vec::new();
    let mut said = Vec::new();
    for (name, form) in &seen.columns {
        let event_time = *name == spec.event_time.column && spec.event_time.parts.is_empty();
        let data_type = match () {
            () if event_time => utc_timestamp(),
            // Its text is what the event time is made of.
            () if spec.event_time.parts.contains(name) => DataType::Utf8,
            () => form.data_type(),
        };
        let because = form
            .kept_as_text()
            .filter(|_| !event_time)
            .map(|value| format!(" ({value:?} is kept as it is written)"));
        said.push(format!("{name} {}{}", type_name(&data_type), because.unwrap_or_default()));
        fields.push(Field::new(name, data_type, !event_time));
    }
    let records = format!("{} record{}", seen.records, if seen.records == 1 { "" } else { "s" });
    let mut notes = vec![format!(
        "its schema is inferred from {records} of {}: {}",
        listed(&seen.files),
        said.join(", ")
    )];
    notes.extend(seen.notes);
    Inferred { schema: Schema::new(fields), notes }
}

/// A few names, and how many more there are.
fn listed(names: &[String]) -> String {
    match names {
        [] => "no file".to_owned(),
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        [first, .., last] => format!("{first} to {last}, {} files", names.len()),
    }
}

/// What an error is about.
fn object(spec: &FileSourceSpec, files: &[FoundFile]) -> String {
    let names: Vec<String> = files.iter().map(|f| f.name.clone()).collect();
    if names.is_empty() { spec.paths.join(", ") } else { listed(&names) }
}

#[cfg(test)]
mod tests;
