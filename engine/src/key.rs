//! The stable hash of a row's key columns, and the shard that follows from it.
//!
//! The hash is XXH3-64 with the data folder's seed over a canonical encoding: every integer, date
//! and timestamp as its 64-bit little-endian value, decimals as 128-bit, strings and binary as
//! their bytes, booleans as one byte, null as a marker; several columns are chained (each column's
//! hash seeds the next one's). An int32 column and an int64 column thus hash alike.

use crate::ids::ShardId;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seed of a data folder's key hash; written into its identity and never changed.
pub const HASH_SEED: u64 = 0x7269_736b_7374_726d;

const NULL_MARK: &[u8] = b"\xff\x00null";

/// The shard of a key's hash: its top 8 bits, so that the low bits stay free for hash tables.
#[inline]
#[must_use]
pub fn shard_of(hash: u64) -> ShardId {
    ShardId((hash >> 56) as u8)
}

/// Hashes the rows of the key columns into `hashes` (cleared first).
///
/// # Errors
/// When a column's type can't be a key (floats, nested types).
pub fn hash_keys(columns: &[ArrayRef], seed: u64, hashes: &mut Vec<u64>) -> Result<(), ArrowError> {
    let rows = columns.first().map_or(0, |c| c.len());
    hashes.clear();
    hashes.resize(rows, seed);
    for column in columns {
        hash_column(column, hashes)?;
    }
    Ok(())
}

/// Whether a column of this type can be a key.
#[must_use]
pub fn can_be_key(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::Boolean
                | DataType::Date32
                | DataType::Timestamp(_, _)
                | DataType::Decimal128(_, _)
        )
}

fn hash_column(column: &ArrayRef, hashes: &mut [u64]) -> Result<(), ArrowError> {
    match column.data_type() {
        DataType::Utf8 => {
            let a = column.as_string::<i32>();
            fold(a, hashes, |i, h| xxh3_64_with_seed(a.value(i).as_bytes(), h));
        }
        DataType::LargeUtf8 => {
            let a = column.as_string::<i64>();
            fold(a, hashes, |i, h| xxh3_64_with_seed(a.value(i).as_bytes(), h));
        }
        DataType::Utf8View => {
            let a = column.as_string_view();
            fold(a, hashes, |i, h| xxh3_64_with_seed(a.value(i).as_bytes(), h));
        }
        DataType::Binary => {
            let a = column.as_binary::<i32>();
            fold(a, hashes, |i, h| xxh3_64_with_seed(a.value(i), h));
        }
        DataType::Boolean => {
            let a = column.as_boolean();
            fold(a, hashes, |i, h| xxh3_64_with_seed(&[u8::from(a.value(i))], h));
        }
        DataType::Decimal128(_, _) => {
            let a = column.as_primitive::<Decimal128Type>();
            fold(a, hashes, |i, h| xxh3_64_with_seed(&a.value(i).to_le_bytes(), h));
        }
        t if can_be_key(t) => {
            let wide = arrow::compute::cast(column, &DataType::Int64)?;
            let a = wide.as_primitive::<Int64Type>();
            fold(a, hashes, |i, h| xxh3_64_with_seed(&a.value(i).to_le_bytes(), h));
        }
        other => {
            return Err(ArrowError::InvalidArgumentError(format!(
                "a column of type {other} can't be a key"
            )));
        }
    }
    Ok(())
}

fn fold(array: &dyn Array, hashes: &mut [u64], hash: impl Fn(usize, u64) -> u64) {
    if array.null_count() == 0 {
        for (i, h) in hashes.iter_mut().enumerate() {
            *h = hash(i, *h);
        }
    } else {
        for (i, h) in hashes.iter_mut().enumerate() {
            *h = if array.is_null(i) { xxh3_64_with_seed(NULL_MARK, *h) } else { hash(i, *h) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn a_hash_never_changes_between_releases() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1, -7])),
            Arc::new(StringArray::from(vec!["a", "é"])),
        ];
        let mut hashes = Vec::new();
        hash_keys(&columns, HASH_SEED, &mut hashes).expect("key types");
        // Reckoned by another program from the encoding that the module documentation gives. A
        // store's shards go by these.
        assert_eq!(hashes, [0xa10e_2908_314b_4bbd, 0x5107_993e_48e3_1145]);
        assert_eq!(hashes.iter().map(|hash| shard_of(*hash).0).collect::<Vec<_>>(), [0xa1, 0x51]);
    }

    #[test]
    fn integer_widths_hash_alike() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        hash_keys(&[Arc::new(Int32Array::from(vec![5, 6])) as ArrayRef], 1, &mut a)
            .expect("key types");
        hash_keys(&[Arc::new(Int64Array::from(vec![5, 6])) as ArrayRef], 1, &mut b)
            .expect("key types");
        assert_eq!(a, b);
    }
}
