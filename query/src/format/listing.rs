//! The listing of tables, as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::QueryError;
use crate::lake::TableInfo;

/// The table listing as rows, for any of the formats.
///
/// # Errors
/// None in practice: all columns are made here.
pub fn listing(tables: &[TableInfo]) -> Result<RecordBatch, QueryError> {
    let schema = Schema::new(vec![
        Field::new("table", DataType::Utf8, false),
        Field::new("rows", DataType::Int64, true),
        Field::new("files", DataType::UInt64, false),
        Field::new("bytes", DataType::UInt64, false),
        Field::new("version", DataType::UInt64, false),
        Field::new("columns", DataType::Utf8, false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(tables.iter().map(|table| &table.name))),
        Arc::new(Int64Array::from_iter(
            tables.iter().map(|table| table.rows.and_then(|rows| i64::try_from(rows).ok())),
        )),
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(|table| table.files))),
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(|table| table.bytes))),
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(|table| table.version))),
        Arc::new(StringArray::from_iter_values(
            tables.iter().map(|table| table.columns.join(", ")),
        )),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}
