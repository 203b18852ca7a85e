//! What was seen of a source so far, and how much may still be looked at.

use super::form::Form;
use crate::file::format::FileSourceSpec;
use crate::file::opened::{describe, read_beginning};
use crate::file::paths::FoundFile;
use arrow::datatypes::Schema;
use std::collections::HashMap;

/// Records that are looked at, over all files.
pub(super) const SAMPLE_RECORDS: usize = 10_000;
/// How much of text files is looked at, over all of them.
pub(super) const SAMPLE_BYTES: usize = 4 * 1024 * 1024;
/// Files that are looked at.
pub(super) const SAMPLE_FILES: usize = 64;
/// Fields below one of a record's own; an object with more is a map, and read as JSON text.
pub(super) const NESTED_FIELDS_MAX: usize = 200;

/// What was found.
#[derive(Debug)]
pub(crate) struct Inferred {
    pub(crate) schema: Schema,
    /// Which columns are what and why, and what was left out: a sentence each.
    pub(crate) notes: Vec<String>,
}

/// How much may still be looked at.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// The columns seen so far, in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) columns: Vec<(String, Form)>,
    pub(super) places: HashMap<String, usize>,
    /// Files with records.
    pub(super) files: Vec<String>,
    pub(super) records: usize,
    pub(super) notes: Vec<String>,
}

impl Seen {
    pub(super) fn form(&mut self, name: &str) -> &mut Form {
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

/// The beginning of a text file, as much as may still be looked at, and whether it is all of it.
pub(super) fn sample(
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

/// A few names, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => "no file".to_owned(),
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        [first, .., last] => format!("{first} to {last}, {} files", names.len()),
    }
}
