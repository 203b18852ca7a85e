//! Types that every client of Arrow knows, in the place of those that few know.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// Columns as clients get them.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A type as clients get it: no views, no dictionaries, no runs, decimals of 128 bits at least. The
/// type of what has no value is text, as in PostgreSQL.
pub(super) fn plain_type(of: &DataType) -> DataType {
    match of {
        DataType::Null | DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(plain_field(item))
        }
        DataType::FixedSizeList(item, length) => {
            DataType::FixedSizeList(plain_field(item), *length)
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let of = plain_type(field.data_type());
    if of == *field.data_type() {
        return Arc::clone(field);
    }
    // A new field: one of a dictionary would keep what belongs to it.
    let plain = Field::new(field.name(), of, field.is_nullable());
    Arc::new(plain.with_metadata(field.metadata().clone()))
}

/// Rows with exactly these columns.
///
/// # Errors
/// The rows have other columns, or a value does not fit.
pub(super) fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() != schema.fields().len() {
        let (has, needs) = (batch.num_columns(), schema.fields().len());
        return Err(ArrowError::SchemaError(format!("{has} columns in the place of {needs}")));
    }
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| exactly(column, field.data_type()))
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Values of a type; one that does not fit is an error.
///
/// # Errors
/// A value does not fit, or none of its type does.
pub(super) fn exactly(values: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    if values.data_type() == of {
        return Ok(Arc::clone(values));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, of, &options)
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, AsArray, Decimal64Array, DictionaryArray, Int32Array, ListArray, NullArray,
        RunArray, StringViewArray, StructArray,
    };
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    /// Of three rows, in types that few clients know.
    fn odd() -> RecordBatch {
        let texts = vec![Some("a"), None, Some("a longer text than fits a view's twelve bytes")];
        let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
        let runs = RunArray::try_new(
            &Int32Array::from(vec![2, 3]),
            &Int32Array::from(vec![Some(1), None]),
        );
        let list = vec![Some(vec![Some(1), None]), None, Some(vec![])];
        let views: ArrayRef = Arc::new(StringViewArray::from(texts.clone()));
        let inner = Arc::new(Field::new("v", DataType::Utf8View, true));
        RecordBatch::try_from_iter_with_nullable([
            ("view", Arc::clone(&views), true),
            ("dictionary", Arc::new(dictionary) as ArrayRef, true),
            ("runs", Arc::new(runs.unwrap()) as ArrayRef, true),
            ("nothing", Arc::new(NullArray::new(3)) as ArrayRef, true),
            (
                "small",
                Arc::new(
                    Decimal64Array::from(vec![1, -2, 3]).with_precision_and_scale(9, 2).unwrap(),
                ) as ArrayRef,
                false,
            ),
            (
                "list",
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(list)) as ArrayRef,
                true,
            ),
            ("struct", Arc::new(StructArray::from(vec![(inner, views)])) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn odd_types_become_plain_ones_with_the_same_values() {
        let batch = odd();
        let schema = plain(batch.schema_ref());
        let types: Vec<String> =
            schema.fields().iter().map(|field| field.data_type().to_string()).collect();
        let expected = [
            "Utf8",
            "Utf8",
            "Int32",
            "Utf8",
            "Decimal128(9, 2)",
            "List(Int64)",
            "Struct(\"v\": Utf8)",
        ];
        assert_eq!(types, expected);
        let nullable: Vec<bool> = schema.fields().iter().map(|field| field.is_nullable()).collect();
        assert_eq!(nullable, [true, true, true, true, false, true, true]);
        let fitted = fit(&batch, &schema).unwrap();
        assert_eq!(fitted.schema(), schema);
        let texts = |column: usize| {
            let texts: Vec<Option<&str>> =
                fitted.column(column).as_string::<i32>().iter().collect();
            texts.iter().map(|text| text.map(str::len)).collect::<Vec<_>>()
        };
        assert_eq!(texts(0), [Some(1), None, Some(45)]);
        assert_eq!(texts(1), texts(0));
        assert_eq!(texts(3), [None; 3]);
        let runs: Vec<_> = fitted.column(2).as_primitive::<Int32Type>().iter().collect();
        assert_eq!(runs, [Some(1), Some(1), None]);
        // What is plain already stays what it is.
        assert_eq!(plain(&schema), schema);
        assert!(fitted.column(5).to_data().ptr_eq(&batch.column(5).to_data()));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let batch = odd();
        let fields = [("view", DataType::Int64, true), ("view", DataType::Utf8, false)];
        for (name, of, nullable) in fields {
            let wanted = Arc::new(Schema::new(vec![Field::new(name, of, nullable)]));
            assert!(fit(&batch.project(&[0]).unwrap(), &wanted).is_err());
        }
        assert!(fit(&batch, &Arc::new(Schema::empty())).is_err());
        let none = batch.project(&[]).unwrap();
        assert_eq!(fit(&none, &Arc::new(Schema::empty())).unwrap().num_rows(), 3);
    }
}
