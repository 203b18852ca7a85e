//! One file written again without some of its rows.

use std::sync::atomic::AtomicBool;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use riskstream_engine::disk::Folder;

use super::choose::Group;
use super::options::MaintainOptions;
use super::output::Output;
use super::rewrite::READ_BATCH_ROWS;
use super::source::FileRows;
use super::work::Work;
use crate::error::SinkError;
use crate::snapshot::ActiveFile;
use crate::stage::{StagedFile, parquet_schema};

/// Reads a file into a new one without the rows for which `keep` is false; gives the new one, if
/// any row is left, and how many rows were read.
pub(crate) fn rewrite_one(
    location: &Folder,
    schema: &SchemaRef,
    file: &ActiveFile,
    keep: impl Fn(&RecordBatch) -> Result<BooleanArray, SinkError>,
) -> Result<(Option<StagedFile>, u64), SinkError> {
    let (schema, stop) = (parquet_schema(schema), AtomicBool::new(false));
    let work = Work {
        location,
        schema: &schema,
        key: None,
        target_file_bytes: u64::MAX,
        memory_bytes: MaintainOptions::default().memory_bytes,
        stop: &stop,
    };
    let group =
        Group { partition_values: file.partition_values.clone(), files: vec![file.clone()] };
    let mut output = Output::new(&work, &group)?;
    let mut rows = FileRows::open(location, &schema, file, READ_BATCH_ROWS)?;
    let mut read = 0;
    while let Some(batch) = rows.next_batch()? {
        read += batch.num_rows() as u64;
        output.write(&filter_record_batch(&batch, &keep(&batch)?)?)?;
    }
    let mut rewritten = output.finish()?;
    rewritten.keep();
    Ok((rewritten.files.pop(), read))
}
