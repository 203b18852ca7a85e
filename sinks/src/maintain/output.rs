//! Rows into new data files, one after the other, each of about the target size.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::file::properties::WriterProperties;

use super::choose::{Group, PartitionValues};
use super::names;
use super::pieces::Pieces;
use super::scraps::Scraps;
use super::work::Work;
use crate::error::SinkError;
use crate::parquet_settings::compacted_properties;
use crate::stage::StagedFile;
use crate::stats::{delta_stats, nan_columns};

/// Rows between two looks at a file's size.
const SLICE_ROWS: usize = 8_192;
/// The share of the memory that a row group may take before it is written out.
const GROUP_SHARE: usize = 4;
const GROUP_BYTES_MIN: usize = 1 << 20;

/// New data files of one partition, the last of them being written. Files are removed with this.
pub(super) struct Output<'a> {
    work: &'a Work<'a>,
    /// Below the table's.
    folder: String,
    partition_values: PartitionValues,
    properties: WriterProperties,
    current: Option<Current>,
    files: Vec<StagedFile>,
    scraps: Scraps,
}

/// The file that is being written.
struct Current {
    path: String,
    full_path: PathBuf,
    writer: ArrowWriter<Pieces>,
    has_nan: Vec<bool>,
}

/// Whole files that are not part of the table yet; they are removed with this unless they are kept.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) files: Vec<StagedFile>,
    scraps: Scraps,
}

impl Rewritten {
    /// Leaves the files where they are.
    pub(super) fn keep(&mut self) {
        self.scraps.keep();
    }

    pub(super) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

impl<'a> Output<'a> {
    /// Of the files that replace those of `group`.
    pub(super) fn new(work: &'a Work<'a>, group: &Group) -> Result<Self, SinkError> {
        let first = group.files.first().map_or("", |file| file.path.as_str());
        let folder = first.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let leaves = ArrowSchemaConverter::new()
            .convert(work.schema)
            .map_err(SinkError::parquet(work.location.join(&folder)))?;
        let sorting = work.key.and_then(|key| key.sorting_columns(&leaves));
        // The first column of the key is found by its bounds.
        let looked_up = work.key.map(|key| &key.names()[1..]).unwrap_or_default();
        let group_bytes = (work.memory_bytes / GROUP_SHARE).max(GROUP_BYTES_MIN);
        Ok(Self {
            work,
            folder,
            partition_values: group.partition_values.clone(),
            properties: compacted_properties(work.schema, sorting, looked_up, group_bytes),
            current: None,
            files: Vec::new(),
            scraps: Scraps::new(work.location.disk()),
        })
    }

    /// Writes rows that have the table's columns.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = batch.slice(from, SLICE_ROWS.min(batch.num_rows() - from));
            from += rows.num_rows();
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.begin()?,
            };
            let found_nan = nan_columns(self.work.schema, std::slice::from_ref(&rows));
            current.has_nan.iter_mut().zip(found_nan).for_each(|(has, found)| *has |= found);
            current.writer.write(&rows).map_err(SinkError::parquet(&current.full_path))?;
            let bytes = current.writer.bytes_written() + current.writer.in_progress_size();
            if bytes as u64 >= self.work.target_file_bytes {
                self.end(current)?;
            } else {
                self.current = Some(current);
            }
        }
        Ok(())
    }

    /// The files, whole; their content is in the hands of the system, not durable.
    pub(super) fn finish(mut self) -> Result<Rewritten, SinkError> {
        if let Some(current) = self.current.take() {
            self.end(current)?;
        }
        Ok(Rewritten { files: self.files, scraps: self.scraps })
    }

    fn begin(&mut self) -> Result<Current, SinkError> {
        let Work { location, schema, .. } = *self.work;
        let name = names::data_file(location.disk().as_ref());
        let path = match self.folder.as_str() {
            "" => name,
            folder => format!("{folder}/{name}"),
        };
        let full_path = location.join(&path);
        let file =
            location.disk().create_new(&full_path).map_err(SinkError::io("create", &full_path))?;
        self.scraps.add(full_path.clone());
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true);
        let writer =
            ArrowWriter::try_new_with_options(Pieces::new(file), Arc::clone(schema), options)
                .map_err(SinkError::parquet(&full_path))?;
        Ok(Current { path, full_path, writer, has_nan: vec![false; schema.fields().len()] })
    }

    fn end(&mut self, mut current: Current) -> Result<(), SinkError> {
        let metadata = current.writer.finish().map_err(SinkError::parquet(&current.full_path))?;
        self.files.push(StagedFile {
            path: current.path,
            // As the footer counts them.
            rows: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
            bytes: current.writer.bytes_written() as u64,
            partition_values: self.partition_values.clone(),
            stats_json: delta_stats(self.work.schema, &metadata, &current.has_nan, Vec::new()),
        });
        Ok(())
    }
}
