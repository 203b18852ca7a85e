//! A row group, column by column.
//!
//! Numbers without nulls, which most columns are, go to the Parquet writer as the slices that they are: arrow's own writer gathers every value
//! through an index first. All other columns go through arrow's writer.

use std::borrow::Cow;
use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type,
};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::data_type::{DoubleType, FloatType, Int32Type as ParquetInt32, Int64Type as ParquetInt64};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

/// Writes batches as the next row group of a file. `arrow` makes the file's column writers; the batches have the columns of its schema.
pub(crate) fn write_row_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    arrow: &ArrowRowGroupWriterFactory,
    batches: &[RecordBatch],
) -> Result<()> {
    let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(()) };
    let mut writers = arrow.create_column_writers(file.flushed_row_groups().len())?.into_iter();
    let mut next_writer = || writers.next().ok_or_else(|| ParquetError::General("the file has fewer columns than the batch".into()));
    // As many levels as rows: nothing is null.
    let present = vec![1_i16; batches.iter().map(RecordBatch::num_rows).max().unwrap_or(0)];
    let mut group = file.next_row_group()?;
    for (index, field) in schema.fields().iter().enumerate() {
        let arrays: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(index)).collect();
        if let Some(numbers) = Numbers::of(&arrays) {
            next_writer()?;
            let column = group.next_column()?.ok_or_else(|| ParquetError::General(format!("the file has no column {}", field.name())))?;
            numbers.write(column, &present)?;
            continue;
        }
        let mut leaves: Vec<ArrowColumnWriter> = Vec::with_capacity(1);
        for array in arrays {
            for (at, leaf) in compute_leaves(field, array)?.iter().enumerate() {
                if at == leaves.len() {
                    leaves.push(next_writer()?);
                }
                leaves[at].write(leaf)?;
            }
        }
        leaves.into_iter().try_for_each(|leaf| leaf.close()?.append_to_row_group(&mut group))?;
    }
    group.close()?;
    Ok(())
}

/// Whether a column of this type goes the short way, when nothing in it is null.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt8 | DataType::UInt16 => true,
        DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Float32 | DataType::Float64 => true,
        DataType::Decimal128(precision, _) => *precision <= 18,
        _ => false,
    }
}

/// A column's values per batch, in the Parquet type that arrow's writer would choose.
enum Numbers<'a> {
    Int32(Vec<Cow<'a, [i32]>>),
    Int64(Vec<Cow<'a, [i64]>>),
    Float(Vec<Cow<'a, [f32]>>),
    Double(Vec<Cow<'a, [f64]>>),
}

impl<'a> Numbers<'a> {
    fn of(arrays: &[&'a ArrayRef]) -> Option<Self> {
        if arrays.iter().any(|array| array.null_count() > 0) {
            return None;
        }
        Some(match arrays.first()?.data_type() {
            DataType::Int8 => Self::Int32(converted::<Int8Type, _>(arrays, i32::from)),
            DataType::Int16 => Self::Int32(converted::<Int16Type, _>(arrays, i32::from)),
            DataType::UInt8 => Self::Int32(converted::<UInt8Type, _>(arrays, i32::from)),
            DataType::UInt16 => Self::Int32(converted::<UInt16Type, _>(arrays, i32::from)),
            DataType::Int32 => Self::Int32(as_they_are::<Int32Type>(arrays)),
            DataType::Date32 => Self::Int32(as_they_are::<Date32Type>(arrays)),
            DataType::Int64 => Self::Int64(as_they_are::<Int64Type>(arrays)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Int64(as_they_are::<TimestampMicrosecondType>(arrays)),
            // The precision says that no digits are lost.
            DataType::Decimal128(..=9, _) => Self::Int32(converted::<Decimal128Type, _>(arrays, |value| value as i32)),
            DataType::Decimal128(..=18, _) => Self::Int64(converted::<Decimal128Type, _>(arrays, |value| value as i64)),
            DataType::Float32 => Self::Float(as_they_are::<Float32Type>(arrays)),
            DataType::Float64 => Self::Double(as_they_are::<Float64Type>(arrays)),
            _ => return None,
        })
    }

    fn write(&self, mut column: SerializedColumnWriter<'_>, present: &[i16]) -> Result<()> {
        match self {
            Self::Int32(parts) => put::<ParquetInt32>(&mut column, parts, present)?,
            Self::Int64(parts) => put::<ParquetInt64>(&mut column, parts, present)?,
            Self::Float(parts) => put::<FloatType>(&mut column, parts, present)?,
            Self::Double(parts) => put::<DoubleType>(&mut column, parts, present)?,
        }
        column.close()
    }
}

fn put<T: parquet::data_type::DataType>(column: &mut SerializedColumnWriter<'_>, parts: &[Cow<'_, [T::T]>], present: &[i16]) -> Result<()> {
    for part in parts {
        column.typed::<T>().write_batch(part, Some(&present[..part.len()]), None)?;
    }
    Ok(())
}

fn as_they_are<'a, T: ArrowPrimitiveType>(arrays: &[&'a ArrayRef]) -> Vec<Cow<'a, [T::Native]>> {
    arrays.iter().map(|array| Cow::Borrowed(&array.as_primitive::<T>().values()[..])).collect()
}

fn converted<'a, T: ArrowPrimitiveType, N: Clone>(arrays: &[&'a ArrayRef], convert: impl Fn(T::Native) -> N) -> Vec<Cow<'a, [N]>> {
    arrays.iter().map(|array| Cow::Owned(array.as_primitive::<T>().values().iter().map(|value| convert(*value)).collect())).collect()
}
