//! Columns of saved state, by name and type.

use arrow::array::{ArrayRef, AsArray, Decimal128Array, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, Schema, UInt32Type};
use arrow::error::ArrowError;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter(columns)
}

pub(crate) fn decimals(values: Vec<i128>) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_data_type(DataType::Decimal128(38, 0)))
}

pub(crate) fn wrong(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column {column} is missing or has another type"))
}

pub(crate) fn integers<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a [i64], ArrowError> {
    let array = batch.column_by_name(column).and_then(|c| c.as_primitive_opt::<Int64Type>());
    Ok(array.ok_or_else(|| wrong(column))?.values())
}

pub(crate) fn numbers<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a [u32], ArrowError> {
    let array = batch.column_by_name(column).and_then(|c| c.as_primitive_opt::<UInt32Type>());
    Ok(array.ok_or_else(|| wrong(column))?.values())
}

pub(crate) fn wides<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a [i128], ArrowError> {
    let array = batch.column_by_name(column).and_then(|c| c.as_primitive_opt::<Decimal128Type>());
    Ok(array.ok_or_else(|| wrong(column))?.values())
}

/// The name under which a piece of state is saved: short, and another for another piece.
pub(crate) fn piece_id(piece: &str) -> String {
    format!("{:016x}", xxh3_64(piece.as_bytes()))
}

/// The columns of `input` that an expression reads.
pub(crate) fn columns_of(sql: &str, input: &Schema) -> Vec<usize> {
    let read = riskstream_expressions::syntax::columns(sql).unwrap_or_default();
    read.iter().filter_map(|column| input.index_of(&column.name).ok()).collect()
}

/// All columns as what is kept depends on them.
pub(crate) fn named_fields(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

/// Columns in words, as what is kept depends on them.
pub(crate) fn told(columns: &[usize], input: &Schema) -> String {
    named_types(columns, input).join(", ")
}

/// Columns as what is kept depends on them.
pub(crate) fn named_types(columns: &[usize], input: &Schema) -> Vec<String> {
    columns
        .iter()
        .map(|index| format!("{} {}", input.field(*index).name(), input.field(*index).data_type()))
        .collect()
}
