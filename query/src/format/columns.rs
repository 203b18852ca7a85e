//! The columns of a result as a form has them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// Columns to which batches are made to fit: what a plan calls them inside is none of a reader's
/// business, and dictionaries are written as what they stand for.
#[derive(Debug)]
pub(super) struct Columns {
    schema: SchemaRef,
}

impl Columns {
    /// For text: instants are in a zone, a name of the IANA database or an offset.
    pub(super) fn of_text(schema: &Schema, time_zone: &str) -> Self {
        let fields = schema.fields().iter().map(|field| match plain(field.data_type()) {
            DataType::Timestamp(unit, Some(_)) => {
                with_type(field, DataType::Timestamp(unit, Some(time_zone.into())))
            }
            other => with_type(field, other),
        });
        // What a text has no mark for must not make a difference.
        let fields = fields.map(|field| Arc::new(field.with_nullable(true)) as FieldRef);
        Self { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }

    /// For files that readers open by the names of columns: a name that comes again gets a number.
    pub(super) fn of_file(schema: &Schema) -> Self {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| with_type(field, plain(field.data_type())));
        Self { schema: Arc::new(Schema::new(told_apart(fields.collect()))) }
    }

    /// The same with names that are told apart.
    pub(super) fn told_apart(self) -> Self {
        let fields = self.schema.fields().iter().map(|field| field.as_ref().clone());
        Self { schema: Arc::new(Schema::new(told_apart(fields.collect()))) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch with these columns.
    ///
    /// # Errors
    /// The batch has other columns than the result was said to have.
    pub(super) fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let arrays = self.schema.fields().iter().zip(batch.columns());
        let arrays = arrays.map(|(field, array)| match array.data_type() == field.data_type() {
            true => Ok(Arc::clone(array)),
            false => cast(array, field.data_type()),
        });
        let arrays = arrays.collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// A column of another type, without what it was said of the old one.
fn with_type(field: &Field, data_type: DataType) -> Field {
    Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone())
}

/// The type without dictionaries and runs around it.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other.clone(),
    }
}

/// Columns with names of their own: `count`, `count_2`, `count_3`.
fn told_apart(fields: Vec<Field>) -> Vec<Field> {
    let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
    let mut seen = HashSet::new();
    fields
        .into_iter()
        .map(|field| {
            if seen.insert(field.name().clone()) {
                return field;
            }
            let mut number = 2_usize;
            let mut name = format!("{}_{number}", field.name());
            while !taken.insert(name.clone()) {
                number += 1;
                name = format!("{}_{number}", field.name());
            }
            field.with_name(name)
        })
        .collect()
}
