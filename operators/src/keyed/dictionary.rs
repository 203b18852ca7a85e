//! Keys to numbers: one hash table per worker, probed with the engine's key hash, holding the real values.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeBinaryArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use hashbrown::HashTable;
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::{KeyId, SHARDS};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use std::sync::Arc;

/// A composite or text key: its hash, and where its bytes are.
#[derive(Debug, Clone, Copy)]
struct Spelled {
    hash: u64,
    start: usize,
    len: u32,
    id: u32,
}

#[derive(Debug, Clone, Copy)]
struct Number {
    value: i64,
    hash: u64,
    id: u32,
}

#[derive(Debug)]
enum Table {
    /// One integer column.
    Numbers { table: HashTable<Number>, null: Option<(u64, u32)> },
    /// Anything else, spelled as bytes.
    Spelled { table: HashTable<Spelled>, bytes: Vec<u8>, scratch: Vec<u8>, candidates: Vec<Option<Spelled>> },
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Dictionary {
    table: Table,
    /// Keys per shard.
    counts: Vec<u32>,
    hashes: Vec<u64>,
    /// Keys that are new since the last [`Self::take_new`]: hash, number, value (absent for null), bytes.
    new: Vec<u32>,
    new_hashes: Vec<u64>,
    new_values: Vec<Option<i64>>,
    new_bytes: Vec<(usize, u32)>,
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() && *data_type != DataType::UInt64 || matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _))
}

impl Dictionary {
    /// For keys of these types.
    pub(crate) fn new(types: &[&DataType]) -> Self {
        let table = match types {
            [one] if is_number(one) => Table::Numbers { table: HashTable::new(), null: None },
            _ => Table::Spelled { table: HashTable::new(), bytes: Vec::new(), scratch: Vec::new(), candidates: Vec::new() },
        };
        Self {
            table,
            counts: vec![0; SHARDS],
            hashes: Vec::new(),
            new: Vec::new(),
            new_hashes: Vec::new(),
            new_values: Vec::new(),
            new_bytes: Vec::new(),
        }
    }

    /// Keys in each shard.
    pub(crate) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The numbers of the rows' keys; unknown keys are numbered.
    pub(crate) fn number(&mut self, columns: &[ArrayRef]) -> Result<Vec<u32>, ArrowError> {
        hash_keys(columns, HASH_SEED, &mut self.hashes)?;
        let rows = self.hashes.len();
        let mut ids = Vec::with_capacity(rows);
        match &mut self.table {
            Table::Numbers { table, null } => {
                let wide;
                let array = if *columns[0].data_type() == DataType::Int64 {
                    columns[0].as_primitive::<Int64Type>()
                } else {
                    wide = as_int64(&columns[0])?;
                    wide.as_primitive::<Int64Type>()
                };
                let nulls = array.nulls();
                for (row, (&hash, &value)) in self.hashes.iter().zip(array.values().iter()).enumerate() {
                    if nulls.is_some_and(|n| n.is_null(row)) {
                        if null.is_none() {
                            let id = next_id(&mut self.counts, hash)?;
                            *null = Some((hash, id));
                            self.new.push(id);
                            self.new_hashes.push(hash);
                            self.new_values.push(None);
                        }
                        ids.push(null.map_or(0, |n| n.1));
                        continue;
                    }
                    if let Some(found) = table.find(hash, |n| n.value == value) {
                        ids.push(found.id);
                        continue;
                    }
                    let id = next_id(&mut self.counts, hash)?;
                    table.insert_unique(hash, Number { value, hash, id }, |n| n.hash);
                    self.new.push(id);
                    self.new_hashes.push(hash);
                    self.new_values.push(Some(value));
                    ids.push(id);
                }
            }
            Table::Spelled { table, bytes, scratch, candidates } => {
                let speller = columns.iter().map(Speller::new).collect::<Result<Vec<_>, _>>()?;
                // First all hashes, then all bytes: the processor fetches those of many rows at once, instead of a row's bytes after its hash.
                candidates.clear();
                candidates.extend(self.hashes.iter().map(|&hash| table.find(hash, |s| s.hash == hash).copied()));
                for (row, (&hash, candidate)) in self.hashes.iter().zip(&*candidates).enumerate() {
                    scratch.clear();
                    for column in &speller {
                        column.spell(row, scratch);
                    }
                    let same = |s: &Spelled| s.hash == hash && bytes[s.start..s.start + s.len as usize] == scratch[..];
                    // None, or another key of the same hash: the key may have come earlier in this batch.
                    if let Some(found) = candidate.filter(same).or_else(|| table.find(hash, same).copied()) {
                        ids.push(found.id);
                        continue;
                    }
                    let id = next_id(&mut self.counts, hash)?;
                    let (start, len) = (bytes.len(), scratch.len() as u32);
                    bytes.extend_from_slice(scratch);
                    table.insert_unique(hash, Spelled { hash, start, len, id }, |s| s.hash);
                    self.new.push(id);
                    self.new_hashes.push(hash);
                    self.new_bytes.push((start, len));
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }

    /// The keys that are new since the last call: `key`, `hash`, `value`.
    pub(crate) fn take_new(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.new.is_empty() {
            return Ok(None);
        }
        let values: ArrayRef = match &self.table {
            Table::Numbers { .. } => Arc::new(Int64Array::from(std::mem::take(&mut self.new_values))),
            Table::Spelled { bytes, .. } => {
                let spelled = self.new_bytes.iter().map(|(start, len)| &bytes[*start..start + *len as usize]);
                Arc::new(LargeBinaryArray::from_iter_values(spelled))
            }
        };
        self.new_bytes.clear();
        keys_batch(std::mem::take(&mut self.new), std::mem::take(&mut self.new_hashes), values).map(Some)
    }

    /// All keys, as in [`Self::take_new`], ordered by number.
    pub(crate) fn all(&self) -> Result<RecordBatch, ArrowError> {
        match &self.table {
            Table::Numbers { table, null } => {
                let mut keys: Vec<(u32, u64, Option<i64>)> = table.iter().map(|n| (n.id, n.hash, Some(n.value))).collect();
                keys.extend(null.map(|(hash, id)| (id, hash, None)));
                keys.sort_unstable();
                let values = Int64Array::from_iter(keys.iter().map(|k| k.2));
                keys_batch(keys.iter().map(|k| k.0).collect(), keys.iter().map(|k| k.1).collect(), Arc::new(values))
            }
            Table::Spelled { table, bytes, .. } => {
                let mut keys: Vec<Spelled> = table.iter().copied().collect();
                keys.sort_unstable_by_key(|k| k.id);
                let values = LargeBinaryArray::from_iter_values(keys.iter().map(|k| &bytes[k.start..k.start + k.len as usize]));
                keys_batch(keys.iter().map(|k| k.id).collect(), keys.iter().map(|k| k.hash).collect(), Arc::new(values))
            }
        }
    }

    /// Takes keys back as [`Self::all`] and [`Self::take_new`] gave them, those of `shards`.
    pub(crate) fn restore(&mut self, batch: &RecordBatch, shards: &ShardSet) -> Result<(), ArrowError> {
        let wrong = || ArrowError::SchemaError("keys: a column is missing or has another type".into());
        let ids = batch.column_by_name("key").and_then(|c| c.as_primitive_opt::<UInt32Type>()).ok_or_else(wrong)?;
        let hashes = batch.column_by_name("hash").and_then(|c| c.as_primitive_opt::<UInt64Type>()).ok_or_else(wrong)?;
        let values = batch.column_by_name("value").ok_or_else(wrong)?;
        for row in 0..batch.num_rows() {
            let (id, hash) = (ids.value(row), hashes.value(row));
            if !shards.has_key(id) {
                continue;
            }
            let count = &mut self.counts[usize::from(KeyId(id).shard().0)];
            *count = (*count).max(KeyId(id).local() as u32 + 1);
            match &mut self.table {
                Table::Numbers { table, null } => {
                    let values = values.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
                    if values.is_null(row) {
                        *null = Some((hash, id));
                    } else {
                        table.insert_unique(hash, Number { value: values.value(row), hash, id }, |n| n.hash);
                    }
                }
                Table::Spelled { table, bytes, .. } => {
                    let value = values.as_binary_opt::<i64>().ok_or_else(wrong)?.value(row);
                    let (start, len) = (bytes.len(), value.len() as u32);
                    bytes.extend_from_slice(value);
                    table.insert_unique(hash, Spelled { hash, start, len, id }, |s| s.hash);
                }
            }
        }
        Ok(())
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        match &self.table {
            Table::Numbers { table, .. } => table.capacity() * (size_of::<Number>() + 1),
            Table::Spelled { table, bytes, .. } => table.capacity() * (size_of::<Spelled>() + 1) + bytes.capacity(),
        }
    }
}

fn next_id(counts: &mut [u32], hash: u64) -> Result<u32, ArrowError> {
    let shard = shard_of(hash);
    let count = &mut counts[usize::from(shard.0)];
    if *count > KeyId::LOCAL_MAX {
        return Err(ArrowError::ComputeError(format!("shard {} has more than {} keys", shard.0, KeyId::LOCAL_MAX)));
    }
    let id = KeyId::new(shard, *count);
    *count += 1;
    Ok(id.0)
}

fn keys_batch(ids: Vec<u32>, hashes: Vec<u64>, values: ArrayRef) -> Result<RecordBatch, ArrowError> {
    let schema = Schema::new(vec![
        Field::new("key", DataType::UInt32, false),
        Field::new("hash", DataType::UInt64, false),
        Field::new("value", values.data_type().clone(), true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(UInt32Array::from(ids)), Arc::new(UInt64Array::from(hashes)), values])
}

fn as_int64(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64),
        _ => cast(array, &DataType::Int64),
    }
}

/// Spells a key column's values as bytes: a 0 for null, else a 1 and the value; lengths go before text, so that no two keys are spelled alike.
pub(super) enum Speller {
    Bytes(ArrayRef),
    Wide(ArrayRef),
    Number(ArrayRef),
}

impl Speller {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => Self::Bytes(cast(array, &DataType::Binary)?),
            DataType::Decimal128(_, _) => Self::Wide(Arc::clone(array)),
            DataType::UInt64 => Self::Wide(cast(array, &DataType::Decimal128(20, 0))?),
            _ => Self::Number(as_int64(array)?),
        })
    }

    pub(super) fn spell(&self, row: usize, out: &mut Vec<u8>) {
        let (Self::Bytes(array) | Self::Wide(array) | Self::Number(array)) = self;
        if array.is_null(row) {
            out.push(0);
            return;
        }
        out.push(1);
        match self {
            Self::Bytes(array) => {
                let value = array.as_binary::<i32>().value(row);
                put_length(out, value.len());
                out.extend_from_slice(value);
            }
            Self::Wide(array) => out.extend_from_slice(&array.as_primitive::<Decimal128Type>().value(row).to_le_bytes()),
            Self::Number(array) => out.extend_from_slice(&array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
        }
    }
}

/// Seven bits a byte, the lowest first.
fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}
