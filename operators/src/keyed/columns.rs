//! Columns of a step's input and of saved state, by index, name and type.

use crate::step_error::StepError;
use arrow::array::{ArrayRef, AsArray, Decimal128Array, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use riskstream_engine::contract::{SOURCE_OFFSET, SOURCE_PARTITION};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter(columns)
}

/// The columns of a batch at `indices`.
pub(crate) fn at(batch: &RecordBatch, indices: &[usize]) -> Vec<ArrayRef> {
    indices.iter().map(|index| Arc::clone(batch.column(*index))).collect()
}

/// The places of columns, in the order of their names.
pub(crate) fn places(names: &[String], input: &SchemaRef) -> Result<Vec<usize>, StepError> {
    names.iter().map(|name| place(name, input)).collect()
}

/// The place of a column.
pub(crate) fn place(name: &str, input: &SchemaRef) -> Result<usize, StepError> {
    input.index_of(name).map_err(|_| StepError::unknown_column(name, input))
}

/// The columns that order rows: event time, ties, source position.
pub(crate) fn ordering(
    time: usize,
    ties: &[String],
    input: &SchemaRef,
) -> Result<Vec<usize>, StepError> {
    let mut order = vec![time];
    order.extend(places(ties, input)?);
    let position = [SOURCE_PARTITION, SOURCE_OFFSET];
    order.extend(position.iter().filter_map(|name| input.index_of(name).ok()));
    Ok(order)
}

/// A schema whose columns all have names of their own.
pub(crate) fn distinct(fields: Vec<Field>) -> Result<SchemaRef, StepError> {
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name() == field.name()) {
            return Err(StepError::ColumnExists { column: field.name().clone() });
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Between columns of the input and bytes that compare as they do; `role` says what they must be.
pub(crate) fn converter(
    columns: &[usize],
    input: &Schema,
    role: &'static str,
) -> Result<RowConverter, StepError> {
    let field = |index: &usize| input.field(*index);
    let fields = columns.iter().map(|index| SortField::new(field(index).data_type().clone()));
    RowConverter::new(fields.collect()).map_err(|_| StepError::WrongType {
        column: columns.iter().map(|i| field(i).name().as_str()).collect::<Vec<_>>().join(", "),
        found: columns.first().map_or(DataType::Null, |i| field(i).data_type().clone()),
        role,
    })
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

/// The short name under which a piece of state is saved, a hash of the piece's text.
pub(crate) fn piece_id(piece: &str) -> String {
    format!("{:016x}", xxh3_64(piece.as_bytes()))
}

/// The columns of `input` that an expression reads.
pub(crate) fn columns_of(sql: &str, input: &Schema) -> Vec<usize> {
    let read = riskstream_expressions::syntax::columns(sql).unwrap_or_default();
    read.iter().filter_map(|column| input.index_of(&column.name).ok()).collect()
}

/// The name and type of every column, for the shape of saved state.
pub(crate) fn named_fields(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

/// The names and types of columns as one text, for the shape of saved state.
pub(crate) fn told(columns: &[usize], input: &Schema) -> String {
    named_types(columns, input).join(", ")
}

/// The names and types of columns, for the shape of saved state.
pub(crate) fn named_types(columns: &[usize], input: &Schema) -> Vec<String> {
    columns
        .iter()
        .map(|index| format!("{} {}", input.field(*index).name(), input.field(*index).data_type()))
        .collect()
}
