//! Keys to numbers: one hash table per worker, probed with the engine's key hash, holding the real
//! values.
//!
//! A key that can't matter any more is forgotten ([`Dictionary::forget`]), and its number is given
//! to a later one. This happens at snapshots only, so the epochs between two snapshots name a
//! number at most once. On restore the entry that was saved last for a number, and for a key, is
//! the valid one ([`Dictionary::restore`]), whichever snapshot the restore starts from.

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeBinaryArray, RecordBatch, UInt32Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Int64Type, Schema, UInt32Type, UInt64Type,
};
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
    Spelled {
        table: HashTable<Spelled>,
        bytes: Vec<u8>,
        scratch: Vec<u8>,
        candidates: Vec<Option<Spelled>>,
    },
}

/// The numbers that are given to keys.
#[derive(Debug)]
struct Numbers {
    /// Per shard: the number after the largest that was given.
    counts: Vec<u32>,
    /// Per shard: numbers below that are no key's, the smallest last: it is given first, so that
    /// the largest ones become free with time.
    free: Vec<Vec<u32>>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Dictionary {
    table: Table,
    numbers: Numbers,
    hashes: Vec<u64>,
    /// Keys that are new since the last [`Self::take_new`]: hash, number, value (absent for null),
    /// bytes.
    new: Vec<u32>,
    new_hashes: Vec<u64>,
    new_values: Vec<Option<i64>>,
    new_bytes: Vec<(usize, u32)>,
}

/// Room for so many hashes stays from one batch to the next.
const HASHES_KEPT: usize = 64 << 10;

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() && *data_type != DataType::UInt64
        || matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _))
}

impl Dictionary {
    /// For keys of these types.
    pub(crate) fn new(types: &[&DataType]) -> Self {
        let table = match types {
            [one] if is_number(one) => Table::Numbers { table: HashTable::new(), null: None },
            _ => Table::Spelled {
                table: HashTable::new(),
                bytes: Vec::new(),
                scratch: Vec::new(),
                candidates: Vec::new(),
            },
        };
        Self {
            table,
            numbers: Numbers { counts: vec![0; SHARDS], free: vec![Vec::new(); SHARDS] },
            hashes: Vec::new(),
            new: Vec::new(),
            new_hashes: Vec::new(),
            new_values: Vec::new(),
            new_bytes: Vec::new(),
        }
    }

    /// The number after the largest in each shard.
    pub(crate) fn counts(&self) -> &[u32] {
        &self.numbers.counts
    }

    /// Per shard and number, whether it is a key's.
    pub(crate) fn living(&self) -> Vec<Vec<bool>> {
        let living = |(count, free): (&u32, &Vec<u32>)| {
            let mut living = vec![true; *count as usize];
            free.iter().for_each(|local| living[*local as usize] = false);
            living
        };
        self.numbers.counts.iter().zip(&self.numbers.free).map(living).collect()
    }

    /// Forgets the keys that `is_kept` says no to; gives how many. To be called at a snapshot,
    /// after [`Self::take_new`]. Numbers after the largest that is still a key's are as if they had
    /// never been given.
    pub(crate) fn forget(&mut self, mut is_kept: impl FnMut(KeyId) -> bool) -> usize {
        let numbers = &mut self.numbers;
        let mut forgotten = 0;
        let mut keep = |id: u32| {
            let is_kept = is_kept(KeyId(id));
            if !is_kept {
                forgotten += 1;
                let id = KeyId(id);
                numbers.free[usize::from(id.shard().0)].push(id.local() as u32);
            }
            is_kept
        };
        match &mut self.table {
            Table::Numbers { table, null } => {
                table.retain(|n| keep(n.id));
                *null = null.filter(|(_, id)| keep(*id));
                shrink(table, |n| n.hash);
            }
            Table::Spelled { table, bytes, .. } => {
                table.retain(|s| keep(s.id));
                let spelled: usize = table.iter().map(|s| s.len as usize).sum();
                if spelled <= bytes.len() / 2 {
                    let mut moved = Vec::with_capacity(spelled);
                    for s in table.iter_mut() {
                        let own = s.start..s.start + s.len as usize;
                        s.start = moved.len();
                        moved.extend_from_slice(&bytes[own]);
                    }
                    *bytes = moved;
                }
                shrink(table, |s| s.hash);
            }
        }
        if forgotten > 0 {
            self.numbers.give_back();
        }
        forgotten
    }

    /// The numbers of the rows' keys; unknown keys are numbered.
    pub(crate) fn number(&mut self, columns: &[ArrayRef]) -> Result<Vec<u32>, ArrowError> {
        self.hashes.clear();
        self.hashes.shrink_to(HASHES_KEPT);
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
                for (row, (&hash, &value)) in
                    self.hashes.iter().zip(array.values().iter()).enumerate()
                {
                    if nulls.is_some_and(|n| n.is_null(row)) {
                        if null.is_none() {
                            let id = self.numbers.next(hash)?;
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
                    let id = self.numbers.next(hash)?;
                    table.insert_unique(hash, Number { value, hash, id }, |n| n.hash);
                    self.new.push(id);
                    self.new_hashes.push(hash);
                    self.new_values.push(Some(value));
                    ids.push(id);
                }
            }
            Table::Spelled { table, bytes, scratch, candidates } => {
                let speller = columns.iter().map(Speller::new).collect::<Result<Vec<_>, _>>()?;
                // First all hashes, then all bytes: the processor fetches those of many rows at
                // once, instead of a row's bytes after its hash.
                candidates.clear();
                candidates.extend(
                    self.hashes.iter().map(|&hash| table.find(hash, |s| s.hash == hash).copied()),
                );
                for (row, (&hash, candidate)) in self.hashes.iter().zip(&*candidates).enumerate() {
                    scratch.clear();
                    for column in &speller {
                        column.spell(row, scratch);
                    }
                    let same = |s: &Spelled| {
                        s.hash == hash && bytes[s.start..s.start + s.len as usize] == scratch[..]
                    };
                    // None, or another key of the same hash: the key may have come earlier in this
                    // batch.
                    if let Some(found) =
                        candidate.filter(same).or_else(|| table.find(hash, same).copied())
                    {
                        ids.push(found.id);
                        continue;
                    }
                    let id = self.numbers.next(hash)?;
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
            Table::Numbers { .. } => {
                Arc::new(Int64Array::from(std::mem::take(&mut self.new_values)))
            }
            Table::Spelled { bytes, .. } => {
                let spelled =
                    self.new_bytes.iter().map(|(start, len)| &bytes[*start..start + *len as usize]);
                Arc::new(LargeBinaryArray::from_iter_values(spelled))
            }
        };
        self.new_bytes.clear();
        keys_batch(std::mem::take(&mut self.new), std::mem::take(&mut self.new_hashes), values)
            .map(Some)
    }

    /// All keys, as in [`Self::take_new`], ordered by number.
    pub(crate) fn all(&self) -> Result<RecordBatch, ArrowError> {
        match &self.table {
            Table::Numbers { table, null } => {
                let mut keys: Vec<(u32, u64, Option<i64>)> =
                    table.iter().map(|n| (n.id, n.hash, Some(n.value))).collect();
                keys.extend(null.map(|(hash, id)| (id, hash, None)));
                keys.sort_unstable();
                let values = Int64Array::from_iter(keys.iter().map(|k| k.2));
                keys_batch(
                    keys.iter().map(|k| k.0).collect(),
                    keys.iter().map(|k| k.1).collect(),
                    Arc::new(values),
                )
            }
            Table::Spelled { table, bytes, .. } => {
                let mut keys: Vec<Spelled> = table.iter().copied().collect();
                keys.sort_unstable_by_key(|k| k.id);
                let values = LargeBinaryArray::from_iter_values(
                    keys.iter().map(|k| &bytes[k.start..k.start + k.len as usize]),
                );
                keys_batch(
                    keys.iter().map(|k| k.id).collect(),
                    keys.iter().map(|k| k.hash).collect(),
                    Arc::new(values),
                )
            }
        }
    }

    /// Restores the keys of `shards` from batches of [`Self::all`] and [`Self::take_new`], the
    /// oldest first. Of several entries for a number, or for a key, the last one counts.
    pub(crate) fn restore(
        &mut self,
        batches: &[&RecordBatch],
        shards: &ShardSet,
    ) -> Result<(), ArrowError> {
        let wrong =
            || ArrowError::SchemaError("keys: a column is missing or has another type".into());
        let (mut named, mut living) = (vec![Vec::new(); SHARDS], vec![Vec::new(); SHARDS]);
        for batch in batches.iter().rev() {
            let ids = batch
                .column_by_name("key")
                .and_then(|c| c.as_primitive_opt::<UInt32Type>())
                .ok_or_else(wrong)?;
            let hashes = batch
                .column_by_name("hash")
                .and_then(|c| c.as_primitive_opt::<UInt64Type>())
                .ok_or_else(wrong)?;
            let values = batch.column_by_name("value").ok_or_else(wrong)?;
            for row in 0..batch.num_rows() {
                let (id, hash) = (ids.value(row), hashes.value(row));
                if !shards.has_key(id) || !set(&mut named, KeyId(id)) {
                    continue;
                }
                let is_new = match &mut self.table {
                    Table::Numbers { table, null } => {
                        let values = values.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
                        if values.is_null(row) {
                            let is_new = null.is_none();
                            null.get_or_insert((hash, id));
                            is_new
                        } else {
                            let value = values.value(row);
                            let is_new = table.find(hash, |n| n.value == value).is_none();
                            if is_new {
                                table.insert_unique(hash, Number { value, hash, id }, |n| n.hash);
                            }
                            is_new
                        }
                    }
                    Table::Spelled { table, bytes, .. } => {
                        let value = values.as_binary_opt::<i64>().ok_or_else(wrong)?.value(row);
                        let same = |s: &Spelled| {
                            s.hash == hash && bytes[s.start..s.start + s.len as usize] == *value
                        };
                        let is_new = table.find(hash, same).is_none();
                        if is_new {
                            let (start, len) = (bytes.len(), value.len() as u32);
                            bytes.extend_from_slice(value);
                            table.insert_unique(hash, Spelled { hash, start, len, id }, |s| s.hash);
                        }
                        is_new
                    }
                };
                if is_new {
                    set(&mut living, KeyId(id));
                }
            }
        }
        for (shard, (named, living)) in named.iter().zip(living).enumerate() {
            let is_living = |local: usize| living.get(local).copied().unwrap_or(false);
            self.numbers.counts[shard] = named.len() as u32;
            self.numbers.free[shard] = (0..named.len())
                .rev()
                .filter(|local| !is_living(*local))
                .map(|local| local as u32)
                .collect();
        }
        Ok(())
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let table = match &self.table {
            Table::Numbers { table, .. } => table.capacity() * (size_of::<Number>() + 1),
            Table::Spelled { table, bytes, .. } => {
                table.capacity() * (size_of::<Spelled>() + 1) + bytes.capacity()
            }
        };
        table + self.numbers.free.iter().map(|free| free.capacity() * 4).sum::<usize>()
    }
}

impl Numbers {
    /// After numbers became free: puts them in order, and takes back the largest ones.
    fn give_back(&mut self) {
        for (count, free) in self.counts.iter_mut().zip(&mut self.free) {
            free.sort_unstable_by_key(|local| std::cmp::Reverse(*local));
            let taken_back =
                (0..).zip(&*free).take_while(|(back, local)| **local + 1 + back == *count).count();
            free.drain(..taken_back);
            *count -= taken_back as u32;
            shrink_vec(free);
        }
    }

    fn next(&mut self, hash: u64) -> Result<u32, ArrowError> {
        let shard = shard_of(hash);
        let at = usize::from(shard.0);
        if let Some(local) = self.free[at].pop() {
            return Ok(KeyId::new(shard, local).0);
        }
        let count = &mut self.counts[at];
        if *count > KeyId::LOCAL_MAX {
            return Err(ArrowError::ComputeError(format!(
                "shard {} has more than {} keys",
                shard.0,
                KeyId::LOCAL_MAX
            )));
        }
        let id = KeyId::new(shard, *count);
        *count += 1;
        Ok(id.0)
    }
}

/// The capacity to shrink to: `len` and an eighth more, if that is at most half of `capacity`.
fn enough_room(len: usize, capacity: usize) -> Option<usize> {
    Some(len + len / 8).filter(|enough| *enough <= capacity / 2)
}

fn shrink<T>(table: &mut HashTable<T>, hash: impl Fn(&T) -> u64) {
    if let Some(enough) = enough_room(table.len(), table.capacity()) {
        table.shrink_to(enough, hash);
    }
}

/// Shrinks a vector that is indexed by keys' numbers, by the same rule as the dictionary's table.
pub(crate) fn shrink_vec<T>(items: &mut Vec<T>) {
    if let Some(enough) = enough_room(items.len(), items.capacity()) {
        items.shrink_to(enough);
    }
}

/// Marks a key's number; gives whether it was not marked before.
fn set(marks: &mut [Vec<bool>], id: KeyId) -> bool {
    let marks = &mut marks[usize::from(id.shard().0)];
    if marks.len() <= id.local() {
        marks.resize(id.local() + 1, false);
    }
    !std::mem::replace(&mut marks[id.local()], true)
}

#[cfg(test)]
mod tests;

fn keys_batch(
    ids: Vec<u32>,
    hashes: Vec<u64>,
    values: ArrayRef,
) -> Result<RecordBatch, ArrowError> {
    let schema = Schema::new(vec![
        Field::new("key", DataType::UInt32, false),
        Field::new("hash", DataType::UInt64, false),
        Field::new("value", values.data_type().clone(), true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(UInt32Array::from(ids)), Arc::new(UInt64Array::from(hashes)), values],
    )
}

fn as_int64(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64),
        _ => cast(array, &DataType::Int64),
    }
}

/// Spells a key column's values as bytes: a 0 for null, else a 1 and the value; lengths go before
/// text, so that no two keys are spelled alike.
pub(super) enum Speller {
    Bytes(ArrayRef),
    Wide(ArrayRef),
    Number(ArrayRef),
}

impl Speller {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => {
                Self::Bytes(cast(array, &DataType::Binary)?)
            }
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
            Self::Wide(array) => out.extend_from_slice(
                &array.as_primitive::<Decimal128Type>().value(row).to_le_bytes(),
            ),
            Self::Number(array) => {
                out.extend_from_slice(&array.as_primitive::<Int64Type>().value(row).to_le_bytes())
            }
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
