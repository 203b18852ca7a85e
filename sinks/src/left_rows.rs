//! Rows that an earlier run left in the store, for a table that the pipeline may describe otherwise
//! by now.
//!
//! Between two runs a user may reorder, add, remove or retype a destination's columns. What was
//! left is paired with the present columns by name, never by position: a column that was added is
//! null in it, one that is gone or has another type is refused, with what to do, before anything is
//! delivered.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::SinkError;
use crate::parquet_file::ParquetFile;
use crate::stage::{StagedFile, parquet_schema};
use crate::table::{TableSpec, logical_type};

/// What to do where left rows and the present columns do not agree.
pub(crate) const RUN_THE_FORMER: &str =
    "run once with the former configuration, which delivers them, and change it then";

/// What becomes of a present column in rows that were left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// It is this column of the rows.
    Same(usize),
    /// It is this column, whose values are held in another form.
    Recast(usize),
    /// The rows do not have it.
    Missing,
}

/// Pairs the columns of left rows with those of the table, in the table's order.
///
/// # Errors
/// The rows have a column that the table lacks, or one of another type.
pub(crate) fn pair(table: &TableSpec, left: &Schema) -> Result<Vec<Pairing>, SinkError> {
    let refused = |problem: String| SinkError::LeftRows {
        table: table.name.clone(),
        problem,
        help: RUN_THE_FORMER.into(),
    };
    if let Some(gone) =
        left.fields().iter().find(|field| table.schema.index_of(field.name()).is_err())
    {
        return Err(refused(format!(
            "they have a column '{}', which the pipeline no longer writes there",
            gone.name()
        )));
    }
    let pairing = |present: &Arc<Field>| {
        let Ok(index) = left.index_of(present.name()) else { return Ok(Pairing::Missing) };
        let (then, now) = (left.field(index).data_type(), present.data_type());
        if then == now {
            Ok(Pairing::Same(index))
        } else if logical_type(then) == logical_type(now) {
            Ok(Pairing::Recast(index))
        } else {
            Err(refused(format!(
                "their column '{}' is {then}, the pipeline now writes {now}",
                present.name()
            )))
        }
    };
    table.schema.fields().iter().map(pairing).collect()
}

/// The rows with the table's columns in the table's order, all nullable.
///
/// # Errors
/// As [`pair`].
pub(crate) fn conform(table: &TableSpec, rows: &RecordBatch) -> Result<RecordBatch, SinkError> {
    let pairs = pair(table, rows.schema_ref())?;
    let columns = table.schema.fields().iter().zip(pairs).map(|(field, pairing)| match pairing {
        Pairing::Same(index) => Ok(Arc::clone(rows.column(index))),
        Pairing::Recast(index) => Ok(cast(rows.column(index), field.data_type())?),
        Pairing::Missing => Ok(new_null_array(field.data_type(), rows.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, SinkError>>()?;
    Ok(RecordBatch::try_new(parquet_schema(&table.schema), columns)?)
}

/// Whether a file that was staged for the table still fits it. Readers pair its columns by name,
/// and show nothing of one that the table lacks.
///
/// # Errors
/// As [`pair`]; or the file is gone, or is divided into folders by another rule.
pub(crate) fn check_staged(
    table: &TableSpec,
    epoch: u64,
    file: &StagedFile,
) -> Result<Vec<Pairing>, SinkError> {
    let path = table.location.join(&file.path);
    if !file.partition_values.keys().eq(table.partition_by().iter()) {
        let columns = |names: Vec<&String>| {
            names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let (then, now) = (
            columns(file.partition_values.keys().collect()),
            columns(table.partition_by().iter().collect()),
        );
        return Err(SinkError::LeftRows {
            table: table.name.clone(),
            problem: format!(
                "{} was partitioned by ({then}), the table is by ({now})",
                path.display()
            ),
            help: RUN_THE_FORMER.into(),
        });
    }
    pair(table, staged_schema(table, epoch, &path)?.as_ref())
}

fn staged_schema(table: &TableSpec, epoch: u64, path: &Path) -> Result<Arc<Schema>, SinkError> {
    let file = match table.location.disk().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
            return Err(SinkError::StagedFileMissing {
                table: table.name.clone(),
                epoch,
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(SinkError::io("open", path)(error)),
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(ParquetFile(file.into()))
        .map_err(SinkError::parquet(path))?;
    Ok(Arc::clone(reader.schema()))
}
