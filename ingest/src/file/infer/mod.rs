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
mod seen;

use crate::file::format::{FileFormat, FileSourceSpec};
use crate::file::paths::{FoundFile, unreadable};
use crate::types::{type_name, utc_timestamp};
use arrow::datatypes::{DataType, Field, Schema};
pub(crate) use json::Fields as JsonFields;
use riskstream_engine::contract::SourceError;
use seen::{Budget, SAMPLE_BYTES, SAMPLE_FILES, SAMPLE_RECORDS, Seen, listed};

pub(crate) use seen::Inferred;

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

/// What an error is about.
fn object(spec: &FileSourceSpec, files: &[FoundFile]) -> String {
    let names: Vec<String> = files.iter().map(|f| f.name.clone()).collect();
    if names.is_empty() { spec.paths.join(", ") } else { listed(&names) }
}

#[cfg(test)]
mod tests;
