//! Columns of CSV files.

use super::seen::{Budget, Seen, sample};
use crate::decode::{Encoding, RecordEnd, record_end, split_record, trim_line_end};
use crate::file::format::FileSourceSpec;
use crate::file::opened::{CsvHeader, encoding_of, read_header};
use crate::file::paths::FoundFile;

/// Takes in a file's records. The columns are those of the first file that has records.
pub(super) fn look(
    spec: &FileSourceSpec,
    file: &FoundFile,
    budget: &mut Budget,
    seen: &mut Seen,
) -> Result<(), String> {
    let encoding = encoding_of(spec, &file.path)?.unwrap_or(Encoding::Utf8);
    let header = read_header(spec, &file.path, encoding, None, spec.follow)?;
    let Some(CsvHeader { names: Some(header), end }) = header else { return Ok(()) };
    let (text, whole) = sample(spec, file, budget)?;
    let text = encoding.shown(text.get(end..).unwrap_or_default());
    let (text, marks) = (text.as_bytes(), spec.marks(&file.path));
    let (mut start, mut fields, mut unquoted) = (0, Vec::new(), Vec::new());
    let mut records = 0;
    while budget.records > 0 && start < text.len() {
        let RecordEnd::At(end) = record_end(text, start, marks, spec.record_bytes_max, whole)
        else {
            break;
        };
        let record = trim_line_end(&text[start..end]);
        start = end;
        if record.is_empty() {
            continue;
        }
        if records == 0 {
            name_columns(file, &header, seen);
        }
        (records, budget.records) = (records + 1, budget.records - 1);
        if !split_record(record, marks, &mut fields, &mut unquoted) || fields.len() != header.len()
        {
            continue;
        }
        for (field, name) in fields.iter().zip(&header) {
            let text = if field.quoted {
                &unquoted[field.start..field.end]
            } else {
                &record[field.start..field.end]
            };
            if let (Some(place), Ok(text)) = (seen.places.get(name), std::str::from_utf8(text)) {
                seen.columns[*place].1.add_field(text);
            }
        }
    }
    if records > 0 {
        seen.files.push(file.name.clone());
        seen.records += records;
    }
    Ok(())
}

/// Makes the columns of the first file, and says of it and of every other what is left out.
fn name_columns(file: &FoundFile, header: &[String], seen: &mut Seen) {
    let first = seen.files.is_empty();
    for (place, name) in header.iter().enumerate() {
        if name.is_empty() {
            let note = format!(
                "column {} of {} is left out: its header has no name for it",
                place + 1,
                file.name
            );
            seen.notes.push(note);
        } else if first {
            seen.form(name);
        } else if !seen.places.contains_key(name) {
            seen.notes.push(format!(
                "column {name} of {} is left out: {} does not have it",
                file.name, seen.files[0]
            ));
        }
    }
}
