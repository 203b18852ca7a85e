//! The values of a column by type: how they are kept, and become an array.

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, PrimitiveArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The values of a column, one vector for each type; a text column has its bytes and offsets.
#[derive(Debug)]
pub(super) enum Values {
    Bool(Vec<bool>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Text(Vec<u8>, Vec<i32>),
    Timestamp(Vec<i64>),
    Date(Vec<i32>),
}

/// The pattern of any integer column.
macro_rules! any_integer {
    () => {
        Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::Int64(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_)
            | Values::UInt64(_)
    };
}
pub(super) use any_integer;

/// Runs `$body` with `$values` bound to the vector of any integer column.
macro_rules! for_integers {
    ($subject:expr, $values:ident => $body:expr, else $other:expr) => {
        match $subject {
            Values::Int8($values) => $body,
            Values::Int16($values) => $body,
            Values::Int32($values) => $body,
            Values::Int64($values) => $body,
            Values::UInt8($values) => $body,
            Values::UInt16($values) => $body,
            Values::UInt32($values) => $body,
            Values::UInt64($values) => $body,
            Values::Bool(_)
            | Values::Float32(_)
            | Values::Float64(_)
            | Values::Decimal(..)
            | Values::Text(..)
            | Values::Timestamp(_)
            | Values::Date(_) => $other,
        }
    };
}
pub(super) use for_integers;

impl Values {
    /// None yet, of a type that [`crate::types::is_carried`].
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Values::Bool(Vec::new()),
            DataType::Int8 => Values::Int8(Vec::new()),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::UInt8 => Values::UInt8(Vec::new()),
            DataType::UInt16 => Values::UInt16(Vec::new()),
            DataType::UInt32 => Values::UInt32(Vec::new()),
            DataType::UInt64 => Values::UInt64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(p, s) => Values::Decimal(Vec::new(), *p, *s),
            DataType::Utf8 => Values::Text(Vec::new(), vec![0]),
            DataType::Timestamp(..) => Values::Timestamp(Vec::new()),
            DataType::Date32 => Values::Date(Vec::new()),
            _ => return None,
        })
    }

    /// Makes room for `rows` more.
    pub(super) fn reserve(&mut self, rows: usize) {
        match self {
            Values::Bool(v) => v.reserve(rows),
            Values::Float32(v) => v.reserve(rows),
            Values::Float64(v) => v.reserve(rows),
            Values::Decimal(v, ..) => v.reserve(rows),
            Values::Text(bytes, offsets) => {
                bytes.reserve(rows * 8);
                offsets.reserve(rows);
            }
            Values::Timestamp(v) => v.reserve(rows),
            Values::Date(v) => v.reserve(rows),
            integers @ any_integer!() => for_integers!(integers, v => v.reserve(rows), else ()),
        }
    }

    /// Forgets the values from `len` on; `len` is at most how many there are.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Values::Bool(v) => v.truncate(len),
            Values::Float32(v) => v.truncate(len),
            Values::Float64(v) => v.truncate(len),
            Values::Decimal(v, ..) => v.truncate(len),
            Values::Text(bytes, offsets) => {
                offsets.truncate(len + 1);
                bytes.truncate(offsets[len] as usize);
            }
            Values::Timestamp(v) => v.truncate(len),
            Values::Date(v) => v.truncate(len),
            integers @ any_integer!() => for_integers!(integers, v => v.truncate(len), else ()),
        }
    }

    /// Pushes what stands in the place of a null.
    #[inline]
    pub(super) fn push_filler(&mut self) {
        match self {
            Values::Bool(v) => v.push(false),
            Values::Float32(v) => v.push(0.0),
            Values::Float64(v) => v.push(0.0),
            Values::Decimal(v, ..) => v.push(0),
            Values::Text(bytes, offsets) => offsets.push(bytes.len() as i32),
            Values::Timestamp(v) => v.push(0),
            Values::Date(v) => v.push(0),
            integers @ any_integer!() => for_integers!(integers, v => v.push(0), else ()),
        }
    }

    /// The values so far as an array, leaving none.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Values::Bool(v) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(v)), nulls))
            }
            Values::Int8(v) => primitive::<Int8Type>(v, nulls)?,
            Values::Int16(v) => primitive::<Int16Type>(v, nulls)?,
            Values::Int32(v) => primitive::<Int32Type>(v, nulls)?,
            Values::Int64(v) => primitive::<Int64Type>(v, nulls)?,
            Values::UInt8(v) => primitive::<UInt8Type>(v, nulls)?,
            Values::UInt16(v) => primitive::<UInt16Type>(v, nulls)?,
            Values::UInt32(v) => primitive::<UInt32Type>(v, nulls)?,
            Values::UInt64(v) => primitive::<UInt64Type>(v, nulls)?,
            Values::Float32(v) => primitive::<Float32Type>(v, nulls)?,
            Values::Float64(v) => primitive::<Float64Type>(v, nulls)?,
            Values::Decimal(v, p, s) => {
                let values = ScalarBuffer::from(std::mem::take(v));
                Arc::new(Decimal128Array::try_new(values, nulls)?.with_precision_and_scale(*p, *s)?)
            }
            Values::Text(bytes, offsets) => {
                let offsets = std::mem::replace(offsets, vec![0]);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::try_new(offsets, std::mem::take(bytes).into(), nulls)?)
            }
            Values::Timestamp(v) => Arc::new(
                TimestampMicrosecondArray::try_new(ScalarBuffer::from(std::mem::take(v)), nulls)?
                    .with_timezone("UTC"),
            ),
            Values::Date(v) => {
                Arc::new(Date32Array::try_new(ScalarBuffer::from(std::mem::take(v)), nulls)?)
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(std::mem::take(values)), nulls)?))
}
