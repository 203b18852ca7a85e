//! What all forms have in common: rows go in, bytes come out.

use arrow::array::RecordBatch;

use super::error::FormatError;

/// Writes the rows of one result as they come, so that memory does not grow with their number.
pub trait RowWriter {
    /// Takes rows.
    ///
    /// # Errors
    /// The output takes no more, or a value has no place in the form.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError>;

    /// Writes what has waited for the last row. Nothing may be written behind it.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn finish(&mut self) -> Result<Written, FormatError>;
}

/// What was written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// What a reader has to know of them, such as what was left out; a sentence each.
    pub notes: Vec<String>,
}

/// How rows are written, beside their form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSettings {
    /// What stands for NULL in tables and CSV.
    pub null: String,
    /// Whether a table has a line for each value instead of a column.
    pub expanded: bool,
    /// How many characters a line of a table may have, as a terminal has them; none: any number.
    pub width_max: Option<usize>,
    /// The zone in which text shows instants, a name of the IANA database or an offset.
    pub time_zone: String,
    /// Whether the output is a file, in which a form may have its contents at the end.
    pub is_file: bool,
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            null: String::new(),
            expanded: false,
            width_max: None,
            time_zone: "UTC".to_owned(),
            is_file: false,
        }
    }
}
