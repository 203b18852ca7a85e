//! A line for each value instead of a column, as psql's `\x` shows rows.

use std::fmt::Write as _;
use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::cells::Cells;
use super::columns::Columns;
use super::error::FormatError;
use super::width::{lines, width};
use super::writer::{FormatSettings, RowWriter, Written};

const NAME: &str = "a table";
/// How long the line over a record is at least.
const RULE_WIDTH: usize = 40;

/// Writes records. Nothing is cut.
pub(super) struct ExpandedWriter<'a> {
    out: &'a mut dyn Write,
    columns: Columns,
    null: String,
    names: Vec<String>,
    names_width: usize,
    rows: u64,
}

impl<'a> ExpandedWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, schema: &Schema, settings: &FormatSettings) -> Self {
        let columns = Columns::of_text(schema, &settings.time_zone);
        let fields = columns.schema().fields().iter();
        let names: Vec<String> = fields.map(|field| lines(field.name()).join(" ")).collect();
        let names_width = names.iter().map(|name| width(name)).max().unwrap_or(0);
        Self { out, columns, null: settings.null.clone(), names, names_width, rows: 0 }
    }
}

impl RowWriter for ExpandedWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        let wrong = |error| FormatError::arrow(NAME, error);
        let batch = self.columns.of(batch).map_err(wrong)?;
        let cells = batch.columns().iter().map(|array| Cells::new(array));
        let cells: Vec<Cells<'_>> = cells.collect::<Result<_, _>>().map_err(wrong)?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let title = format!("-[ RECORD {} ]", self.rows);
            // Writing to a string does not fail.
            let _done = writeln!(text, "{title:-<RULE_WIDTH$}");
            for (name, cells) in self.names.iter().zip(&cells) {
                let value = cells.text(row).map_err(wrong)?;
                let space = " ".repeat(self.names_width - width(name));
                let mut before = format!("{name}{space}");
                for line in lines(value.as_deref().unwrap_or(&self.null)) {
                    let _done = writeln!(text, "{before} | {line}");
                    before = " ".repeat(self.names_width);
                }
            }
            self.out.write_all(text.as_bytes())?;
            text.clear();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Written, FormatError> {
        Ok(Written { rows: self.rows, notes: Vec::new() })
    }
}
