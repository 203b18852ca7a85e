//! Values as integers: what the history keeps of an input column, and the way back.
//!
//! Decimals keep their minor units, integers, dates and booleans their value. Floats keep all bits,
//! mapped so that integers compare as the floats do; where they are added up they become whole
//! numbers of a small step ([`super::sums`]). Text becomes its 128-bit XXH3 hash.

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use riskstream_engine::history::{Column, Values, Width};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// A column that the history keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptColumn {
    /// Index in the input.
    pub(crate) input: usize,
    pub(crate) encoding: Encoding,
}

/// How a value becomes an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Integers up to 64 bits, decimals up to 18 digits, booleans, dates, timestamps.
    Narrow,
    /// Longer decimals, UInt64.
    Wide,
    /// Floats bit for bit, in order.
    Bits,
    /// Text and bytes by hash.
    Hash,
}

impl Encoding {
    /// For adding up.
    pub(crate) fn of_number(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Date32 | DataType::Timestamp(_, _) => None,
            other => Self::of_value(other),
        }
    }

    /// For keeping and comparing.
    pub(crate) fn of_value(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::UInt64 => Some(Self::Wide),
            DataType::Decimal128(p, _) => Some(if *p <= 18 { Self::Narrow } else { Self::Wide }),
            DataType::Float32 | DataType::Float64 => Some(Self::Bits),
            DataType::Boolean | DataType::Date32 | DataType::Timestamp(_, _) => Some(Self::Narrow),
            t if t.is_integer() => Some(Self::Narrow),
            _ => None,
        }
    }

    /// For telling apart.
    pub(crate) fn of_any(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => {
                Some(Self::Hash)
            }
            other => Self::of_value(other),
        }
    }

    pub(crate) fn width(self) -> Width {
        match self {
            Self::Narrow | Self::Bits => Width::Narrow,
            Self::Wide | Self::Hash => Width::Wide,
        }
    }
}

/// The kept columns of a batch.
pub(crate) fn encode(batch: &RecordBatch, kept: &[KeptColumn]) -> Result<Vec<Column>, ArrowError> {
    kept.iter().map(|k| encode_column(batch.column(k.input), k.encoding)).collect()
}

fn encode_column(array: &ArrayRef, encoding: Encoding) -> Result<Column, ArrowError> {
    let nulls: Vec<bool> = if array.null_count() == 0 {
        Vec::new()
    } else {
        (0..array.len()).map(|i| array.is_null(i)).collect()
    };
    let mut values = match encoding {
        Encoding::Narrow => Values::Narrow(match array.data_type() {
            DataType::Decimal128(_, _) => {
                array.as_primitive::<Decimal128Type>().values().iter().map(|v| *v as i64).collect()
            }
            DataType::Int64 => array.as_primitive::<Int64Type>().values().to_vec(),
            DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .values()
                .to_vec(),
            _ => cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec(),
        }),
        Encoding::Wide => Values::Wide(match array.data_type() {
            DataType::UInt64 => {
                array.as_primitive::<UInt64Type>().values().iter().map(|v| i128::from(*v)).collect()
            }
            _ => array.as_primitive::<Decimal128Type>().values().to_vec(),
        }),
        Encoding::Bits => {
            let wide = cast(array, &DataType::Float64)?;
            Values::Narrow(
                wide.as_primitive::<Float64Type>().values().iter().map(|v| ordered(*v)).collect(),
            )
        }
        Encoding::Hash => Values::Wide(hashes(array)?),
    };
    if nulls.contains(&true) {
        match &mut values {
            Values::Narrow(v) => {
                v.iter_mut().zip(&nulls).filter(|(_, n)| **n).for_each(|(v, _)| *v = 0)
            }
            Values::Wide(v) => {
                v.iter_mut().zip(&nulls).filter(|(_, n)| **n).for_each(|(v, _)| *v = 0)
            }
        }
    }
    Ok(Column { values, nulls })
}

fn hashes(array: &ArrayRef) -> Result<Vec<i128>, ArrowError> {
    let binary = cast(array, &DataType::Binary)?;
    let binary = binary.as_binary::<i32>();
    Ok((0..binary.len()).map(|i| xxh3_128(binary.value(i)) as i128).collect())
}

/// An integer that compares as the float does; -0 and 0 are one value, and so are all NaN, which
/// are the largest.
fn ordered(value: f64) -> i64 {
    let value = if value == 0.0 {
        0.0
    } else if value.is_nan() {
        f64::NAN.abs()
    } else {
        value
    };
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The float that [`encode`] made an integer of.
#[inline]
pub(crate) fn float(ordered: i64) -> f64 {
    f64::from_bits((ordered ^ (((ordered >> 63) as u64) >> 1) as i64) as u64)
}

/// The inverse for smallest, largest and last values: an array of `data_type`.
pub(crate) fn decode(
    values: &[i128],
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let narrow = || {
        Int64Array::new(values.iter().map(|v| *v as i64).collect::<Vec<_>>().into(), nulls.clone())
    };
    match data_type {
        DataType::Decimal128(_, _) => Ok(Arc::new(
            Decimal128Array::new(values.to_vec().into(), nulls).with_data_type(data_type.clone()),
        )),
        DataType::Float64 => Ok(Arc::new(Float64Array::new(
            values.iter().map(|v| float(*v as i64)).collect::<Vec<_>>().into(),
            nulls,
        ))),
        DataType::Float32 => Ok(Arc::new(Float32Array::new(
            values.iter().map(|v| float(*v as i64) as f32).collect::<Vec<_>>().into(),
            nulls,
        ))),
        DataType::UInt64 => Ok(Arc::new(arrow::array::UInt64Array::new(
            values.iter().map(|v| *v as u64).collect::<Vec<_>>().into(),
            nulls,
        ))),
        DataType::Date32 => cast(&cast(&narrow(), &DataType::Int32)?, data_type),
        other => cast(&narrow(), other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_and_bits() {
        let floats = [f64::NEG_INFINITY, -3.5, -1e-300, 0.0, 1e-300, 2.25, 1e308, f64::INFINITY];
        let ordered: Vec<i64> = floats.iter().map(|f| ordered(*f)).collect();
        assert!(ordered.is_sorted());
        assert!(floats.iter().zip(&ordered).all(|(f, o)| float(*o).to_bits() == f.to_bits()));
    }
}
