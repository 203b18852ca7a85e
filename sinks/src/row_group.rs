//! A row group, column by column.
//!
//! Numbers without nulls, which most columns are, go to the Parquet writer as the slices that they
//! are: arrow's own writer gathers every value through an index first. All other columns go through
//! arrow's writer.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    UInt8Type, UInt16Type,
};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::data_type::{
    DoubleType, FloatType, Int32Type as ParquetInt32, Int64Type as ParquetInt64,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::TypePtr;

/// The columns and settings of a table's files, worked out once for all of them.
#[derive(Debug)]
pub(crate) struct FileLayout {
    schema: SchemaRef,
    root: TypePtr,
    properties: WriterPropertiesPtr,
    /// The columns that went through arrow's writer in the last row group, and what makes their
    /// writers.
    gathered: Option<(Vec<usize>, ArrowRowGroupWriterFactory)>,
}

impl FileLayout {
    pub(crate) fn new(schema: SchemaRef, properties: WriterProperties) -> Result<Self> {
        let root = parquet_root(&schema)?;
        Ok(Self { schema, root, properties: Arc::new(properties), gathered: None })
    }

    /// The columns as the files have them.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows per row group, at most.
    pub(crate) fn group_rows_max(&self) -> usize {
        self.properties.max_row_group_row_count().unwrap_or(usize::MAX)
    }

    /// Starts a file. Its footer holds no Arrow schema, so that each reader sees the plain Parquet
    /// types: a dictionary is a string again.
    pub(crate) fn start<W: Write + Send>(&self, file: W) -> Result<SerializedFileWriter<W>> {
        SerializedFileWriter::new(file, Arc::clone(&self.root), Arc::clone(&self.properties))
    }

    /// Writes batches with the layout's columns as the next row group of a file that it started.
    pub(crate) fn write_row_group<W: Write + Send>(
        &mut self,
        file: &mut SerializedFileWriter<W>,
        batches: &[RecordBatch],
    ) -> Result<()> {
        // As many levels as rows: nothing is null.
        let present = vec![1_i16; batches.iter().map(RecordBatch::num_rows).max().unwrap_or(0)];
        let arrays = |column: usize| {
            batches.iter().map(|batch| batch.column(column)).collect::<Vec<&ArrayRef>>()
        };
        let numbers: Vec<Option<Numbers<'_>>> =
            (0..self.schema.fields().len()).map(|column| Numbers::of(&arrays(column))).collect();
        let gathered: Vec<usize> = numbers
            .iter()
            .enumerate()
            .filter(|(_, numbers)| numbers.is_none())
            .map(|(column, _)| column)
            .collect();
        let mut writers = self
            .gather(gathered)?
            .create_column_writers(file.flushed_row_groups().len())?
            .into_iter();
        let missing = |column: usize| {
            ParquetError::General(format!(
                "the file has no column {}",
                self.schema.field(column).name()
            ))
        };
        let mut group = file.next_row_group()?;
        for (column, numbers) in numbers.into_iter().enumerate() {
            if let Some(numbers) = numbers {
                numbers.write(group.next_column()?.ok_or_else(|| missing(column))?, &present)?;
                continue;
            }
            let mut leaves: Vec<ArrowColumnWriter> = Vec::with_capacity(1);
            for array in arrays(column) {
                for (at, leaf) in
                    compute_leaves(self.schema.field(column), array)?.iter().enumerate()
                {
                    if at == leaves.len() {
                        leaves.push(writers.next().ok_or_else(|| missing(column))?);
                    }
                    leaves[at].write(leaf)?;
                }
            }
            leaves
                .into_iter()
                .try_for_each(|leaf| leaf.close()?.append_to_row_group(&mut group))?;
        }
        group.close()?;
        Ok(())
    }

    /// What makes arrow's writers of these columns, and of no others: a writer has buffers of
    /// megabytes.
    fn gather(&mut self, columns: Vec<usize>) -> Result<&ArrowRowGroupWriterFactory> {
        let known = self.gathered.take().filter(|(known, _)| *known == columns);
        let gathered = match known {
            Some(gathered) => gathered,
            None => {
                let schema = Arc::new(self.schema.project(&columns)?);
                // The factory takes its columns from a file that is to be written; this one has
                // only these, and is not.
                let unwritten = SerializedFileWriter::new(
                    std::io::sink(),
                    parquet_root(&schema)?,
                    Arc::clone(&self.properties),
                )?;
                (columns, ArrowRowGroupWriterFactory::new(&unwritten, schema))
            }
        };
        Ok(&self.gathered.insert(gathered).1)
    }
}

fn parquet_root(schema: &Schema) -> Result<TypePtr> {
    Ok(ArrowSchemaConverter::new().convert(schema)?.root_schema_ptr())
}

/// Whether a column of this type goes the short way, when nothing in it is null.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16 => true,
        DataType::Date32
        | DataType::Timestamp(TimeUnit::Microsecond, _)
        | DataType::Float32
        | DataType::Float64 => true,
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
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Int64(as_they_are::<TimestampMicrosecondType>(arrays))
            }
            // The precision says that no digits are lost.
            DataType::Decimal128(..=9, _) => {
                Self::Int32(converted::<Decimal128Type, _>(arrays, |value| value as i32))
            }
            DataType::Decimal128(..=18, _) => {
                Self::Int64(converted::<Decimal128Type, _>(arrays, |value| value as i64))
            }
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

fn put<T: parquet::data_type::DataType>(
    column: &mut SerializedColumnWriter<'_>,
    parts: &[Cow<'_, [T::T]>],
    present: &[i16],
) -> Result<()> {
    for part in parts {
        column.typed::<T>().write_batch(part, Some(&present[..part.len()]), None)?;
    }
    Ok(())
}

fn as_they_are<'a, T: ArrowPrimitiveType>(arrays: &[&'a ArrayRef]) -> Vec<Cow<'a, [T::Native]>> {
    arrays.iter().map(|array| Cow::Borrowed(&array.as_primitive::<T>().values()[..])).collect()
}

fn converted<'a, T: ArrowPrimitiveType, N: Clone>(
    arrays: &[&'a ArrayRef],
    convert: impl Fn(T::Native) -> N,
) -> Vec<Cow<'a, [N]>> {
    arrays
        .iter()
        .map(|array| {
            Cow::Owned(
                array.as_primitive::<T>().values().iter().map(|value| convert(*value)).collect(),
            )
        })
        .collect()
}
