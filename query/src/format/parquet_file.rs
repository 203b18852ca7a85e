//! Apache Parquet.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::columns::Columns;
use super::error::FormatError;
use super::writer::{RowWriter, Written};

const NAME: &str = "Parquet";
/// Rows of a row group.
const GROUP_ROWS: usize = 128 << 10;
/// Bytes of a row group, as they are in memory: it is written before it has more.
const GROUP_BYTES: usize = 64 << 20;

/// Writes a file. In memory is at most a row group.
pub(super) struct ParquetWriter<'a> {
    out: &'a mut dyn Write,
    columns: Columns,
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
}

impl<'a> ParquetWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, schema: &Schema) -> Result<Self, FormatError> {
        let columns = Columns::of_file(schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), columns.schema().clone(), Some(properties))
            .map_err(|error| FormatError::unwritable(NAME, error))?;
        Ok(Self { out, columns, writer, rows: 0 })
    }

    /// Gives on what is written. The writer counts its bytes itself, so taking them is safe.
    fn give(&mut self) -> Result<(), FormatError> {
        let bytes = std::mem::take(self.writer.inner_mut());
        Ok(self.out.write_all(&bytes)?)
    }
}

impl RowWriter for ParquetWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        let batch = self.columns.of(batch).map_err(|error| FormatError::arrow(NAME, error))?;
        let wrong = |error| FormatError::unwritable(NAME, error);
        self.writer.write(&batch).map_err(wrong)?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush().map_err(wrong)?;
        }
        self.rows += batch.num_rows() as u64;
        self.give()
    }

    fn finish(&mut self) -> Result<Written, FormatError> {
        let wrong = |error| FormatError::unwritable(NAME, error);
        let _metadata = self.writer.finish().map_err(wrong)?;
        self.writer.sync()?;
        self.give()?;
        Ok(Written { rows: self.rows, notes: Vec::new() })
    }
}
