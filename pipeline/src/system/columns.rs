//! Rows of a few kinds of values as Arrow columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

/// What a column holds. All may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Text.
    Text,
    /// A whole number.
    Count,
    /// Yes or no.
    Flag,
    /// An instant, in microseconds since 1970.
    Time,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// None.
    Null,
    /// Of [`Column::Text`].
    Text(String),
    /// Of [`Column::Count`] or [`Column::Time`].
    Number(i64),
    /// Of [`Column::Flag`].
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Column {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Count => DataType::Int64,
            Self::Flag => DataType::Boolean,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    fn array<'v>(self, values: impl Iterator<Item = &'v Value>) -> ArrayRef {
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number),
            Value::Null | Value::Text(_) | Value::Flag(_) => None,
        };
        match self {
            Self::Text => Arc::new(StringArray::from_iter(values.map(|value| match value {
                Value::Text(text) => Some(text.as_str()),
                Value::Null | Value::Number(_) | Value::Flag(_) => None,
            }))),
            Self::Count => Arc::new(Int64Array::from_iter(values.map(number))),
            Self::Flag => Arc::new(BooleanArray::from_iter(values.map(|value| match value {
                Value::Flag(flag) => Some(*flag),
                Value::Null | Value::Text(_) | Value::Number(_) => None,
            }))),
            Self::Time => {
                let times = TimestampMicrosecondArray::from_iter(values.map(number));
                Arc::new(times.with_timezone("UTC"))
            }
        }
    }
}

/// The schema of columns.
pub(super) fn schema(columns: &[(&str, Column)]) -> SchemaRef {
    let field = |(name, column): &(&str, Column)| Field::new(*name, column.data_type(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Rows as columns. A value that is not of its column's kind is null.
pub(super) fn batch(
    columns: &[(&str, Column)],
    rows: &[Vec<Value>],
) -> Result<RecordBatch, ArrowError> {
    let array = |(index, (_, column)): (usize, &(&str, Column))| {
        column.array(rows.iter().map(move |row| row.get(index).unwrap_or(&Value::Null)))
    };
    let arrays = columns.iter().enumerate().map(array).collect();
    RecordBatch::try_new(schema(columns), arrays)
}
