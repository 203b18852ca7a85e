//! The values of a file's columns, and what a column may be.

use super::times::Form;
use arrow::datatypes::DataType;

/// The values of a file's columns.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) records: usize,
    pub(super) columns: Vec<ColumnValues>,
}

/// The values of a column, but for nulls.
#[derive(Debug, Default)]
pub(super) struct ColumnValues {
    pub(super) name: String,
    /// CSV fields, or JSON strings.
    pub(super) texts: Vec<String>,
    /// JSON numbers, as they are written.
    pub(super) numbers: Vec<String>,
    /// JSON's truth values.
    pub(super) bools: usize,
    /// Arrays and the like.
    pub(super) others: usize,
}

impl Values {
    pub(super) fn new(names: Vec<String>) -> Self {
        let column = |name| ColumnValues { name, ..ColumnValues::default() };
        Self { records: 0, columns: names.into_iter().map(column).collect() }
    }

    /// A column by its name, which may be new.
    pub(super) fn column(&mut self, name: &str) -> &mut ColumnValues {
        let place = self.columns.iter().position(|column| column.name == name);
        let place = place.unwrap_or_else(|| {
            self.columns.push(ColumnValues { name: name.to_owned(), ..ColumnValues::default() });
            self.columns.len() - 1
        });
        &mut self.columns[place]
    }

    /// Takes a CSV record in.
    pub(super) fn add_fields(&mut self, fields: &[String]) {
        self.records += 1;
        for (column, field) in self.columns.iter_mut().zip(fields) {
            if !field.is_empty() {
                column.texts.push(field.clone());
            }
        }
    }
}

/// What a column may be.
#[derive(Debug)]
pub(super) enum Looks {
    /// This type, as it is written.
    Is(DataType),
    /// A date or a time.
    Time(Form),
    /// Numbers that may be counts since 1970.
    Epoch(&'static str),
    /// A time of day.
    Clock(&'static str),
}
