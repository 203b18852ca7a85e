//! Which applications have recorded deliveries in a table's log.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_engine::disk::{Entry, Folder};
use serde_json::Value;

use crate::error::SinkError;
use crate::log::{entries, log_folder};
use crate::parquet_file::ParquetFile;

/// The ids of all applications that the table's log names, those in log checkpoints too; none where
/// there is no table. Reads the whole log, so it is for a pipeline's first start.
///
/// # Errors
/// The log can't be read.
pub fn applications(table: impl Into<Folder>) -> Result<BTreeSet<String>, SinkError> {
    let table = table.into();
    let folder = log_folder(&table);
    let mut found = BTreeSet::new();
    for Entry { name, .. } in entries(&table)? {
        if !name.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        if name.ends_with(".json") {
            add_of_commit(&table, &folder.join(&name), &mut found)?;
        } else if name.contains(".checkpoint") && name.ends_with(".parquet") {
            add_of_checkpoint(&table, &folder.join(&name), &mut found)?;
        }
    }
    Ok(found)
}

fn add_of_commit(
    table: &Folder,
    path: &Path,
    found: &mut BTreeSet<String>,
) -> Result<(), SinkError> {
    let bytes = table.disk().read(path).map_err(SinkError::io("read", path))?;
    // Most lines are files with their statistics.
    let is_transaction = |line: &&[u8]| line.starts_with(b"{\"txn\"");
    for line in bytes.split(|byte| *byte == b'\n').filter(is_transaction) {
        let action: Value = serde_json::from_slice(line)?;
        found.extend(
            action.get("txn").and_then(|txn| txn.get("appId")?.as_str()).map(str::to_owned),
        );
    }
    Ok(())
}

fn add_of_checkpoint(
    table: &Folder,
    path: &Path,
    found: &mut BTreeSet<String>,
) -> Result<(), SinkError> {
    let file = table.disk().open(path).map_err(SinkError::io("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(ParquetFile(file.into()))
        .map_err(SinkError::parquet(path))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn.appId"]);
    for batch in builder.with_projection(mask).build().map_err(SinkError::parquet(path))? {
        let batch = batch?;
        let ids = batch
            .column_by_name("txn")
            .and_then(|txn| txn.as_struct_opt()?.column_by_name("appId").cloned());
        let Some(ids) = ids.as_ref().and_then(|ids| ids.as_string_opt::<i32>()) else { continue };
        found.extend(ids.iter().flatten().filter(|id| !id.is_empty()).map(str::to_owned));
    }
    Ok(())
}
