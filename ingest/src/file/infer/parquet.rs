//! Columns of Parquet files: their own types, as far as a source carries them; members of structs
//! as `a.b`.

use super::seen::{Inferred, SAMPLE_FILES, SAMPLE_RECORDS, listed};
use crate::decode::can_convert;
use crate::file::format::FileSourceSpec;
use crate::file::parquet_reader::{are_texts, parquet_schema};
use crate::file::paths::{FoundFile, unreadable};
use crate::types::{ReadAs, read_as, type_name, utc_timestamp};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use riskstream_engine::contract::SourceError;
use std::collections::HashSet;
use std::fs::File;

/// The columns of the first file that is not empty; what other files have besides is said.
pub(super) fn infer(
    spec: &FileSourceSpec,
    files: &[FoundFile],
) -> Result<Option<Inferred>, SourceError> {
    let mut found: Option<(String, Inferred, HashSet<String>)> = None;
    for file in files.iter().take(SAMPLE_FILES) {
        let failed = |reason: String| unreadable(spec, &file.name, reason);
        let opened = File::open(&file.path).map_err(|e| failed(e.to_string()))?;
        if opened.metadata().map_err(|e| failed(e.to_string()))?.len() == 0 {
            continue;
        }
        let mut columns = Vec::new();
        leaves(parquet_schema(opened).map_err(failed)?.fields(), "", &mut columns);
        match &mut found {
            None => {
                let names = columns.iter().map(|(name, _)| name.clone()).collect();
                found =
                    Some((file.name.clone(), first(spec, file, columns).map_err(failed)?, names));
            }
            Some((first, inferred, names)) => {
                for (name, _) in columns.iter().filter(|(name, _)| !names.contains(name)) {
                    inferred.notes.push(format!(
                        "column {name} of {} is left out: {first} does not have it",
                        file.name
                    ));
                }
            }
        }
    }
    Ok(found.map(|(_, inferred, _)| inferred))
}

/// The columns of a schema, with those of structs in their places.
fn leaves(fields: &Fields, prefix: &str, columns: &mut Vec<(String, DataType)>) {
    for field in fields {
        let name = format!("{prefix}{}", field.name());
        match field.data_type() {
            DataType::Struct(members) => leaves(members, &format!("{name}."), columns),
            other => columns.push((name, other.clone())),
        }
    }
}

fn first(
    spec: &FileSourceSpec,
    file: &FoundFile,
    columns: Vec<(String, DataType)>,
) -> Result<Inferred, String> {
    let bytes: Vec<&str> = columns
        .iter()
        .filter(|(_, t)| matches!(read_as(t), ReadAs::TextIfUtf8))
        .map(|(name, _)| name.as_str())
        .collect();
    let opened = File::open(&file.path).map_err(|e| e.to_string())?;
    let texts =
        if bytes.is_empty() { HashSet::new() } else { are_texts(opened, &bytes, SAMPLE_RECORDS)? };
    let (mut fields, mut said, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (name, found) in &columns {
        let event_time = *name == spec.event_time.column;
        let left_out =
            |why: &str| format!("column {name} of {} is left out: it is {found}, {why}", file.name);
        let data_type = match read_as(found) {
            _ if event_time
                && can_convert(found, &utc_timestamp(), &spec.event_time.format, false) =>
            {
                utc_timestamp()
            }
            ReadAs::Type(data_type) => data_type,
            ReadAs::Narrowed(data_type, how) => {
                notes.push(format!("column {name} of {} is {found} there: {how}", file.name));
                data_type
            }
            ReadAs::TextIfUtf8 if texts.contains(name) => DataType::Utf8,
            ReadAs::TextIfUtf8 => {
                notes.push(left_out("and not all of its values are UTF-8 text"));
                continue;
            }
            ReadAs::Nothing(why) => {
                notes.push(left_out(why));
                continue;
            }
        };
        said.push(format!("{name} {}", type_name(&data_type)));
        fields.push(Field::new(name, data_type, !event_time));
    }
    notes.insert(
        0,
        format!(
            "its schema is that of {}: {}",
            listed(std::slice::from_ref(&file.name)),
            said.join(", ")
        ),
    );
    Ok(Inferred { schema: Schema::new(fields), notes })
}
