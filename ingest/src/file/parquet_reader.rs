//! A Parquet file as batches of rows, only the columns that are wanted.

use crate::decode::{TimeFormat, can_convert};
use crate::types::type_name;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Rows per batch that the reader decodes at once; a poll that wants fewer gets a part.
const BATCH_ROWS_MAX: usize = 65_536;

/// How the reason begins why a file that is cut off can't be opened.
pub(crate) const NOT_COMPLETE: &str = "not a complete Parquet file";

/// Reads one Parquet file. Offsets are row numbers.
pub(crate) struct ParquetReader {
    reader: ParquetRecordBatchReader,
    rest: Option<RecordBatch>,
    offset: i64,
    rows: i64,
}

/// Runs code of the Parquet reader, which is known to panic on some damaged files: that is the file's fault and must not end the program.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the Parquet file is damaged: its pages contradict themselves".into()))
}

fn builder(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    // The Arrow schema that some writers embed says nothing that the conversion to the source's types needs, and its reader panics when it is
    // damaged.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    guarded(|| {
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|e| format!("{NOT_COMPLETE} ({e}); it may be cut off or still being written"))
    })
}

/// The columns of a file.
pub(crate) fn parquet_schema(file: File) -> Result<SchemaRef, String> {
    Ok(Arc::clone(builder(file)?.schema()))
}

impl ParquetReader {
    /// Opens a file at a row. `wanted` are the user's columns, the one at `event_time` written as `format` says.
    pub(crate) fn open(
        file: File,
        wanted: &Schema,
        event_time: usize,
        format: &TimeFormat,
        offset: i64,
        batch_rows: usize,
    ) -> Result<Self, String> {
        let builder = builder(file)?;
        let rows = builder.metadata().file_metadata().num_rows();
        let found = Arc::clone(builder.schema());
        let mut roots = Vec::new();
        for (i, field) in wanted.fields().iter().enumerate() {
            let matches: Vec<usize> = (0..found.fields().len()).filter(|r| found.field(*r).name() == field.name()).collect();
            let [root] = matches[..] else {
                return Err(column_problem(field.name(), matches.len(), &found));
            };
            let from = found.field(root).data_type();
            let format = if i == event_time { format } else { &TimeFormat::Auto };
            if !can_convert(from, field.data_type(), format) {
                return Err(format!("column {} is {from} in the file, which can't become {}", field.name(), type_name(field.data_type())));
            }
            roots.push(root);
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = guarded(|| {
            builder
                .with_projection(mask)
                .with_batch_size(batch_rows.clamp(1, BATCH_ROWS_MAX))
                .with_offset(usize::try_from(offset).unwrap_or(0))
                .build()
                .map_err(|e| e.to_string())
        })?;
        Ok(Self { reader, rest: None, offset, rows })
    }

    /// Rows of the file.
    pub(crate) fn rows(&self) -> i64 {
        self.rows
    }

    /// The next row.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    /// The next at most `rows` rows; none at the end.
    pub(crate) fn poll(&mut self, rows: usize) -> Result<Option<RecordBatch>, String> {
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => match guarded(|| self.reader.next().transpose().map_err(|e| format!("the Parquet file is damaged: {e}")))? {
                Some(batch) => batch,
                None if self.offset < self.rows => return Err(format!("the Parquet file ends at row {} of {}", self.offset, self.rows)),
                None => return Ok(None),
            },
        };
        let taken = batch.num_rows().min(rows.max(1));
        if taken < batch.num_rows() {
            self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
        }
        self.offset += taken as i64;
        Ok(Some(batch.slice(0, taken)))
    }
}

fn column_problem(name: &str, matches: usize, found: &Schema) -> String {
    if matches > 1 {
        return format!("column {name} is there {matches} times");
    }
    let names: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
    format!("there is no column {name}; the file has {}", names.join(", "))
}

impl std::fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetReader").field("offset", &self.offset).field("rows", &self.rows).finish_non_exhaustive()
    }
}
