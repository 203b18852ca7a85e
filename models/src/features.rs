//! Features: their names and types, and the numbers of a batch of rows, column by column.
//!
//! A missing value (null, NaN or an infinity) becomes the feature's fill value, the mean of the
//! training rows, and is counted: a row is always scored. A float column without missing values is
//! borrowed from the batch, not copied.

use std::borrow::Cow;

use arrow::array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::error::ScoreError;
use crate::exact;

/// What sort of number a feature was when the model was trained. Scoring accepts any of them for
/// any feature: all become `f64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Signed and unsigned integers.
    Integer,
    /// 32- and 64-bit floats.
    Float,
    /// Fixed-point numbers, such as amounts of money.
    Decimal,
    /// False is 0, true is 1.
    Boolean,
}

impl FeatureKind {
    /// The kind of a column's type; `None` when the type can't be a feature.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Boolean => Some(Self::Boolean),
            DataType::Float32 | DataType::Float64 | DataType::Null => Some(Self::Float),
            DataType::Decimal128(..) => Some(Self::Decimal),
            other if other.is_integer() => Some(Self::Integer),
            _ => None,
        }
    }
}

/// One feature of a model, in the model's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// The column's name.
    pub name: String,
    /// The column's type when the model was trained.
    pub kind: FeatureKind,
    /// What stands for a missing value: the feature's mean over the training rows.
    #[serde(with = "exact::number")]
    pub fill: f64,
}

/// The features of some rows as finite `f64` columns, one per feature, in the model's order.
#[derive(Debug, Clone)]
pub struct FeatureMatrix<'a> {
    rows: usize,
    columns: Vec<Cow<'a, [f64]>>,
    missing: usize,
}

impl<'a> FeatureMatrix<'a> {
    /// The features of all rows of a batch.
    pub fn from_batch(
        batch: &'a RecordBatch,
        features: &[FeatureSpec],
    ) -> Result<Self, ScoreError> {
        let mut columns = Vec::with_capacity(features.len());
        let mut missing = 0;
        for feature in features {
            let column = find_column(batch, feature)?;
            let (values, column_missing) =
                to_f64(column.as_ref(), feature.fill).ok_or_else(|| ScoreError::ColumnType {
                    column: feature.name.clone(),
                    found: column.data_type().clone(),
                })?;
            missing += column_missing;
            columns.push(values);
        }
        Ok(Self { rows: batch.num_rows(), columns, missing })
    }

    /// The features of the given rows of a batch, in the given order.
    pub fn from_rows(
        batch: &RecordBatch,
        features: &[FeatureSpec],
        rows: &[usize],
    ) -> Result<FeatureMatrix<'static>, ScoreError> {
        if let Some(&row) = rows.iter().find(|row| **row >= batch.num_rows()) {
            return Err(ScoreError::RowOutOfRange { row, rows: batch.num_rows() });
        }
        let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        let mut columns = Vec::with_capacity(features.len());
        let mut missing = 0;
        for feature in features {
            let column = take(find_column(batch, feature)?.as_ref(), &indices, None)?;
            let (values, column_missing) =
                to_f64(column.as_ref(), feature.fill).ok_or_else(|| ScoreError::ColumnType {
                    column: feature.name.clone(),
                    found: column.data_type().clone(),
                })?;
            missing += column_missing;
            columns.push(Cow::Owned(values.into_owned()));
        }
        Ok(FeatureMatrix { rows: rows.len(), columns, missing })
    }

    /// A matrix of given columns; `None` when they differ in length. Values that are not finite are
    /// the caller's fault.
    pub fn from_columns(rows: usize, columns: Vec<Cow<'a, [f64]>>) -> Option<Self> {
        columns.iter().all(|column| column.len() == rows).then_some(Self {
            rows,
            columns,
            missing: 0,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The values of one feature, one per row.
    pub fn column(&self, feature: usize) -> &[f64] {
        &self.columns[feature]
    }

    /// How many values (not rows) were missing and have been filled.
    pub fn missing(&self) -> usize {
        self.missing
    }
}

fn find_column<'a>(
    batch: &'a RecordBatch,
    feature: &FeatureSpec,
) -> Result<&'a ArrayRef, ScoreError> {
    batch.column_by_name(&feature.name).ok_or_else(|| ScoreError::MissingColumn {
        column: feature.name.clone(),
        found: column_names(batch),
    })
}

/// The names of a batch's columns, for an error message.
pub(crate) fn column_names(batch: &RecordBatch) -> String {
    let names: Vec<&str> =
        batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    if names.is_empty() { "no columns".to_owned() } else { names.join(", ") }
}

/// The column as floats and how many values were missing; `None` when its type can't be a feature.
/// `fill` may be NaN, which leaves missing values recognizable.
pub(crate) fn to_f64(array: &dyn Array, fill: f64) -> Option<(Cow<'_, [f64]>, usize)> {
    Some(match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            let finite = values.iter().map(|value| usize::from(value.is_finite())).sum::<usize>();
            if array.null_count() == 0 && finite == values.len() {
                (Cow::Borrowed(&values[..]), 0)
            } else {
                convert::<Float64Type>(array, fill, |value| value)
            }
        }
        DataType::Float32 => convert::<Float32Type>(array, fill, f64::from),
        DataType::Int8 => convert_whole::<Int8Type>(array, fill, f64::from),
        DataType::Int16 => convert_whole::<Int16Type>(array, fill, f64::from),
        DataType::Int32 => convert_whole::<Int32Type>(array, fill, f64::from),
        DataType::Int64 => convert_whole::<Int64Type>(array, fill, |value| value as f64),
        DataType::UInt8 => convert_whole::<UInt8Type>(array, fill, f64::from),
        DataType::UInt16 => convert_whole::<UInt16Type>(array, fill, f64::from),
        DataType::UInt32 => convert_whole::<UInt32Type>(array, fill, f64::from),
        DataType::UInt64 => convert_whole::<UInt64Type>(array, fill, |value| value as f64),
        DataType::Decimal128(precision, scale) => {
            // A division rounds correctly (12.34 becomes the float nearest to 12.34); a
            // multiplication by 0.01 would not.
            let divisor = 10f64.powi(i32::from(*scale));
            if *precision <= 18 {
                // The processor has no way from 128 bits to a float.
                return Some(convert_whole::<Decimal128Type>(array, fill, |value| {
                    value as i64 as f64 / divisor
                }));
            }
            convert_whole::<Decimal128Type>(array, fill, |value| value as f64 / divisor)
        }
        DataType::Boolean => {
            let mut missing = 0;
            let values = array.as_boolean().iter().map(|value| match value {
                Some(value) => f64::from(u8::from(value)),
                None => {
                    missing += 1;
                    fill
                }
            });
            let values: Vec<f64> = values.collect();
            (Cow::Owned(values), missing)
        }
        DataType::Null => (Cow::Owned(vec![fill; array.len()]), array.len()),
        _ => return None,
    })
}

/// As [`convert`], of integers and decimals, each of which is a finite float.
fn convert_whole<T: ArrowPrimitiveType>(
    array: &dyn Array,
    fill: f64,
    to_float: impl Fn(T::Native) -> f64,
) -> (Cow<'static, [f64]>, usize) {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let mut values: Vec<f64> = array.values().iter().map(|value| to_float(*value)).collect();
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        values
            .iter_mut()
            .zip(nulls)
            .filter(|(_, valid)| !valid)
            .for_each(|(value, _)| *value = fill);
    }
    (Cow::Owned(values), array.null_count())
}

fn convert<T: ArrowPrimitiveType>(
    array: &dyn Array,
    fill: f64,
    to_float: impl Fn(T::Native) -> f64,
) -> (Cow<'static, [f64]>, usize) {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let mut missing = 0;
    let mut values: Vec<f64> = array.values().iter().map(|value| to_float(*value)).collect();
    for value in &mut values {
        if !value.is_finite() {
            *value = fill;
            missing += 1;
        }
    }
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (row, value) in values.iter_mut().enumerate() {
            if nulls.is_null(row) {
                // The slot under a null may itself hold a NaN, which the loop above has counted
                // already.
                missing += usize::from(to_float(array.value(row)).is_finite());
                *value = fill;
            }
        }
    }
    (Cow::Owned(values), missing)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, NullArray,
        StringArray,
    };
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn spec(name: &str, fill: f64) -> FeatureSpec {
        FeatureSpec { name: name.to_owned(), kind: FeatureKind::Float, fill }
    }

    fn batch() -> RecordBatch {
        let amount = Decimal128Array::from(vec![Some(1234), None, Some(-5)])
            .with_precision_and_scale(12, 2)
            .unwrap();
        RecordBatch::try_from_iter(vec![
            ("amount", Arc::new(amount) as ArrayRef),
            ("count", Arc::new(Int64Array::from(vec![Some(1), Some(2), None]))),
            ("night", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("risk", Arc::new(Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY]))),
            ("small", Arc::new(Float32Array::from(vec![Some(f32::NAN), None, Some(0.25)]))),
            ("name", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
            ("clean", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]))),
        ])
        .unwrap()
    }

    #[test]
    fn every_number_type_becomes_a_float_and_missing_values_are_filled_and_counted() {
        let batch = batch();
        let features = [
            spec("amount", 7.0),
            spec("count", 8.0),
            spec("night", 0.1),
            spec("risk", 0.2),
            spec("small", 0.3),
        ];
        let matrix = FeatureMatrix::from_batch(&batch, &features).unwrap();
        assert_eq!(matrix.column(0), [12.34, 7.0, -0.05]);
        assert_eq!(matrix.column(1), [1.0, 2.0, 8.0]);
        assert_eq!(matrix.column(2), [1.0, 0.0, 0.1]);
        assert_eq!(matrix.column(3), [0.5, 0.2, 0.2]);
        assert_eq!(matrix.column(4), [0.3, 0.3, 0.25]);
        assert_eq!(matrix.missing(), 1 + 1 + 1 + 2 + 2);
    }

    #[test]
    fn a_clean_float_column_is_borrowed() {
        let batch = batch();
        let matrix = FeatureMatrix::from_batch(&batch, &[spec("clean", 0.0)]).unwrap();
        assert!(matches!(matrix.columns[0], Cow::Borrowed(_)));
    }

    #[test]
    fn chosen_rows_come_in_the_order_asked_for() {
        let matrix =
            FeatureMatrix::from_rows(&batch(), &[spec("clean", 0.0), spec("count", 9.0)], &[2, 0])
                .unwrap();
        assert_eq!((matrix.column(0), matrix.column(1)), (&[3.0, 1.0][..], &[9.0, 1.0][..]));
        let error = FeatureMatrix::from_rows(&batch(), &[spec("clean", 0.0)], &[3]).unwrap_err();
        assert_eq!(error.to_string(), "row 3 was asked for, but the batch has 3 rows");
    }

    #[test]
    fn an_absent_column_and_a_text_column_are_named() {
        let batch = batch();
        let absent =
            FeatureMatrix::from_batch(&batch, &[spec("age", 0.0)]).unwrap_err().to_string();
        assert!(absent.contains("`age`") && absent.contains("amount, count"), "{absent}");
        let text = FeatureMatrix::from_batch(&batch, &[spec("name", 0.0)]).unwrap_err().to_string();
        assert!(text.contains("`name`") && text.contains("Utf8"), "{text}");
    }

    #[test]
    fn an_empty_batch_and_a_column_of_nulls_are_fine() {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
        let empty = RecordBatch::new_empty(schema);
        assert_eq!(FeatureMatrix::from_batch(&empty, &[spec("x", 0.0)]).unwrap().rows(), 0);
        let nulls =
            RecordBatch::try_from_iter(vec![("x", Arc::new(NullArray::new(2)) as ArrayRef)])
                .unwrap();
        let matrix = FeatureMatrix::from_batch(&nulls, &[spec("x", 4.0)]).unwrap();
        assert_eq!((matrix.column(0), matrix.missing()), (&[4.0, 4.0][..], 2));
    }
}
