//! A table's files as rows with the table's columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use riskstream_engine::disk::Folder;

use super::names::is_compacted;
use super::sort_key::SortKey;
use crate::error::SinkError;
use crate::parquet_file::ParquetFile;
use crate::snapshot::ActiveFile;

/// The rows of a file of the table.
pub(super) struct FileRows {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    rows: u64,
    logged: Option<u64>,
    table: String,
    path: String,
}

impl FileRows {
    /// Opens a file. `schema`: the table's columns, all nullable.
    pub(super) fn open(
        location: &Folder,
        schema: &SchemaRef,
        file: &ActiveFile,
        batch_rows: usize,
    ) -> Result<Self, SinkError> {
        let reader = open(location, file)?
            .with_batch_size(batch_rows)
            .build()
            .map_err(SinkError::parquet(location.join(&file.path)))?;
        Ok(Self {
            reader,
            schema: Arc::clone(schema),
            rows: 0,
            logged: file.rows,
            table: location.display().to_string(),
            path: file.path.clone(),
        })
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// The file can't be read, or holds not as many rows as the log says.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SinkError> {
        let Some(batch) = self.reader.next() else {
            return match self.logged {
                Some(expected) if expected != self.rows => Err(SinkError::CompactionRows {
                    table: self.table.clone(),
                    files: self.path.clone(),
                    found: self.rows,
                    expected,
                }),
                Some(_) | None => Ok(None),
            };
        };
        let batch = conform(&batch?, &self.schema)?;
        self.rows += batch.num_rows() as u64;
        Ok(Some(batch))
    }
}

/// How many rows a file holds that an earlier compaction wrote in the order of `key`; none for
/// another file.
pub(super) fn rows_in_order(
    location: &Folder,
    file: &ActiveFile,
    key: &SortKey,
) -> Result<Option<u64>, SinkError> {
    if !is_compacted(&file.path) {
        return Ok(None);
    }
    let opened = open(location, file)?;
    let metadata: &ParquetMetaData = opened.metadata();
    let Some(wanted) = key.sorting_columns(opened.parquet_schema()) else { return Ok(None) };
    let is_in_order = metadata
        .row_groups()
        .iter()
        .all(|group| group.sorting_columns().is_some_and(|columns| columns.starts_with(&wanted)));
    Ok(u64::try_from(metadata.file_metadata().num_rows()).ok().filter(|_| is_in_order))
}

fn open(
    location: &Folder,
    file: &ActiveFile,
) -> Result<ParquetRecordBatchReaderBuilder<ParquetFile>, SinkError> {
    let path = location.join(&file.path);
    let opened = location.disk().open(&path).map_err(SinkError::io("open", &path))?;
    ParquetRecordBatchReaderBuilder::try_new(ParquetFile(opened.into()))
        .map_err(SinkError::parquet(&path))
}

/// The batch with the table's columns in the table's order: a column that was added later is null
/// in an old file.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SinkError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<ArrayRef>, SinkError>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
