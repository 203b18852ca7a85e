//! By which columns rows are sorted.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use arrow::row::{RowConverter, Rows, SortField};
use parquet::file::metadata::SortingColumn;
use parquet::schema::types::SchemaDescriptor;

use crate::error::SinkError;

/// Columns of a table by which rows are sorted, upwards, nulls first.
#[derive(Debug)]
pub(super) struct SortKey {
    names: Vec<String>,
    columns: Vec<usize>,
    converter: RowConverter,
}

impl SortKey {
    /// Of the columns with these names those that the table has; none where it has none of them.
    /// Lists have no place in a key.
    pub(super) fn of(schema: &Schema, wanted: &[String]) -> Result<Option<Self>, SinkError> {
        let (mut names, mut columns, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        for name in wanted {
            let Ok(index) = schema.index_of(name) else { continue };
            let data_type = schema.field(index).data_type();
            if !data_type.is_nested() && !columns.contains(&index) {
                names.push(name.clone());
                columns.push(index);
                fields.push(SortField::new(data_type.clone()));
            }
        }
        if columns.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { names, columns, converter: RowConverter::new(fields)? }))
    }

    /// The columns' names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The rows of a batch as bytes that compare as the rows do.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<Rows, SinkError> {
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|column| Arc::clone(batch.column(*column))).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }

    /// The order as the footer of a file with these columns says it; none where the file lacks one
    /// of the key's.
    pub(super) fn sorting_columns(&self, leaves: &SchemaDescriptor) -> Option<Vec<SortingColumn>> {
        let sorting_column = |name: &String| {
            let is_it = |leaf: &usize| {
                let path = leaves.column(*leaf);
                matches!(path.path().parts(), [only] if only == name)
            };
            let leaf = (0..leaves.num_columns()).find(is_it)?;
            Some(SortingColumn {
                column_idx: i32::try_from(leaf).ok()?,
                descending: false,
                nulls_first: true,
            })
        };
        self.names.iter().map(sorting_column).collect()
    }
}
