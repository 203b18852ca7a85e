//! What is shown instead of a value.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, unary};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::Result;
use ring::hmac;

use super::super::policy::{MaskKey, MaskKind};

/// Bytes of a hash that are shown.
const HASH_BYTES: usize = 16;
/// Characters of a text of which the last four may be shown.
const LAST_FOUR_OF_MIN: usize = 8;

/// How the values of a column are masked.
#[derive(Debug)]
pub(super) enum Mask {
    Null,
    Text(String),
    Hash(MaskKey),
    LastFour,
}

impl Mask {
    /// Without a key a hash is no value.
    pub(super) fn new(kind: &MaskKind, key: Option<&MaskKey>) -> Self {
        match (kind, key) {
            (MaskKind::Text(text), _) => Self::Text(text.clone()),
            (MaskKind::LastFour, _) => Self::LastFour,
            (MaskKind::Hash, Some(key)) => Self::Hash(key.clone()),
            (MaskKind::Hash, None) | (MaskKind::Null, _) => Self::Null,
        }
    }

    /// The column, masked but in the rows of `shown`.
    pub(super) fn apply(&self, column: &ArrayRef, shown: &BooleanBuffer) -> Result<ArrayRef> {
        let set = shown.count_set_bits();
        if set == column.len() && set > 0 {
            return Ok(column.clone());
        }
        let masked = self.mask(column)?;
        if set == 0 {
            return Ok(masked);
        }
        Ok(zip(&BooleanArray::new(shown.clone(), None), column, &masked)?)
    }

    fn mask(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let texts = |change: &dyn Fn(Option<&str>) -> Option<String>| -> Result<ArrayRef> {
            let texts = cast(column, &DataType::Utf8)?;
            let masked: StringArray = texts.as_string::<i32>().iter().map(change).collect();
            Ok(cast(&masked, column.data_type())?)
        };
        let of = column.data_type();
        let none = || Ok(new_null_array(of, column.len()));
        match self {
            Self::Null => none(),
            Self::Hash(key) => match of {
                DataType::Int64 => {
                    let hash = |value: i64| hash_integer(key, &value.to_string());
                    let masked = unary::<_, _, Int64Type>(column.as_primitive::<Int64Type>(), hash);
                    Ok(Arc::new(masked))
                }
                DataType::UInt64 => {
                    let hash = |value: u64| hash_integer(key, &value.to_string()).unsigned_abs();
                    let masked =
                        unary::<_, _, UInt64Type>(column.as_primitive::<UInt64Type>(), hash);
                    Ok(Arc::new(masked))
                }
                of if is_text(of) => texts(&|text| Some(hash_text(key, text?))),
                _ => none(),
            },
            Self::LastFour if is_text(of) => texts(&|text| Some(last_four(text?))),
            Self::Text(shown) if is_text(of) => texts(&|_| Some(shown.clone())),
            Self::LastFour | Self::Text(_) => none(),
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => super::super::rule::is_text(values),
        other => super::super::rule::is_text(other),
    }
}

fn hash_text(key: &MaskKey, text: &str) -> String {
    let tag = hmac::sign(&key.0, text.as_bytes());
    let mut hex = String::with_capacity(2 * HASH_BYTES);
    for byte in tag.as_ref().iter().take(HASH_BYTES) {
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}

/// A hash that is not negative.
fn hash_integer(key: &MaskKey, text: &str) -> i64 {
    let tag = hmac::sign(&key.0, text.as_bytes());
    let bytes = tag.as_ref().iter().take(8);
    bytes.fold(0_i64, |number, byte| (number << 8) | i64::from(*byte)) & i64::MAX
}

fn last_four(text: &str) -> String {
    let characters = text.chars().count();
    if characters < LAST_FOUR_OF_MIN {
        return "****".to_owned();
    }
    let last: String = text.chars().skip(characters - 4).collect();
    format!("****{last}")
}

#[cfg(test)]
mod tests;
