//! Arrow's own form: batches as they are in memory.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::columns::Columns;
use super::error::FormatError;
use super::writer::{RowWriter, Written};

const NAME: &str = "Arrow";

/// Writes a file, or a stream, whose readers need no end to begin with.
pub(super) struct ArrowIpcWriter<'a> {
    columns: Columns,
    form: Writing<'a>,
    rows: u64,
}

enum Writing<'a> {
    File(FileWriter<&'a mut dyn Write>),
    Stream(StreamWriter<&'a mut dyn Write>),
}

impl<'a> ArrowIpcWriter<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        schema: &Schema,
        is_file: bool,
    ) -> Result<Self, FormatError> {
        let columns = Columns::of_file(schema);
        let form = match is_file {
            true => FileWriter::try_new(out, columns.schema()).map(Writing::File),
            false => StreamWriter::try_new(out, columns.schema()).map(Writing::Stream),
        };
        let form = form.map_err(|error| FormatError::arrow(NAME, error))?;
        Ok(Self { columns, form, rows: 0 })
    }
}

impl RowWriter for ArrowIpcWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        let wrong = |error| FormatError::arrow(NAME, error);
        let batch = self.columns.of(batch).map_err(wrong)?;
        match &mut self.form {
            Writing::File(writer) => writer.write(&batch),
            Writing::Stream(writer) => writer.write(&batch),
        }
        .map_err(wrong)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Written, FormatError> {
        match &mut self.form {
            Writing::File(writer) => writer.finish(),
            Writing::Stream(writer) => writer.finish(),
        }
        .map_err(|error| FormatError::arrow(NAME, error))?;
        Ok(Written { rows: self.rows, notes: Vec::new() })
    }
}
