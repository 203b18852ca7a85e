//! A worker's keys: numbered from 0 as they come, with their values for the rows that leave. Keys
//! that can't matter any more are forgotten at snapshots, and the others move together.

use super::columns::{numbers, wrong};
use super::dictionary::Dictionary;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use riskstream_engine::contract::{SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::{KeyId, SHARDS};
use std::sync::Arc;

/// The dictionary's keys among a step's saved state, and their values.
const KEYS: &str = "keys";
const VALUES: &str = "values";
/// No number yet.
const NONE: u32 = u32::MAX;
/// Keys are forgotten once at least one in this many can be forgotten.
const WORTH_FORGETTING: usize = 8;

/// Where the numbers of keys went when others were forgotten. Their order stays.
#[derive(Debug)]
pub(crate) struct Moved(Vec<u32>);

impl Moved {
    /// The new number of a key; none: it is forgotten.
    #[inline]
    pub(crate) fn of(&self, number: u32) -> Option<u32> {
        Some(self.0[number as usize]).filter(|moved| *moved != NONE)
    }
}

#[derive(Debug)]
pub(crate) struct NumberedKeys {
    /// Knows a key by its number within its shard, which saved state goes by.
    dictionary: Dictionary,
    converter: RowConverter,
    /// Columns `key` (the shard's number) and the key's own.
    schema: SchemaRef,
    /// Per shard: from the number there to the number here.
    here: Vec<Vec<u32>>,
    /// By the number here.
    ids: Vec<u32>,
    values: Rows,
    /// The first number here that was not saved yet.
    unsaved: usize,
}

impl NumberedKeys {
    /// For key columns of these fields.
    pub(crate) fn new(fields: &[Field]) -> Result<Self, ArrowError> {
        let converter = RowConverter::new(
            fields.iter().map(|f| SortField::new(f.data_type().clone())).collect(),
        )?;
        let types: Vec<&DataType> = fields.iter().map(Field::data_type).collect();
        let columns = fields
            .iter()
            .enumerate()
            .map(|(index, f)| Field::new(format!("value{index}"), f.data_type().clone(), true));
        let columns = std::iter::once(Field::new("key", DataType::UInt32, false))
            .chain(columns)
            .collect::<Vec<_>>();
        Ok(Self {
            dictionary: Dictionary::new(&types),
            values: converter.empty_rows(0, 0),
            converter,
            schema: Arc::new(Schema::new(columns)),
            here: vec![Vec::new(); SHARDS],
            ids: Vec::new(),
            unsaved: 0,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The numbers of rows' keys; new keys are numbered.
    pub(crate) fn number(&mut self, columns: &[ArrayRef]) -> Result<Vec<u32>, ArrowError> {
        let mut keys = self.dictionary.number(columns)?;
        let mut new: Vec<u32> = Vec::new();
        for (row, key) in (0u32..).zip(&mut keys) {
            let known = self.known(*key);
            *key = match known {
                Some(number) => number,
                None => {
                    new.push(row);
                    self.add(*key)
                }
            };
        }
        if !new.is_empty() {
            let rows = UInt32Array::from(new);
            let columns =
                columns.iter().map(|c| take(c, &rows, None)).collect::<Result<Vec<_>, _>>()?;
            self.converter.append(&mut self.values, &columns)?;
        }
        Ok(keys)
    }

    /// The number here of a key that saved state names.
    pub(crate) fn known(&self, id: u32) -> Option<u32> {
        let id = KeyId(id);
        self.here[usize::from(id.shard().0)]
            .get(id.local())
            .copied()
            .filter(|number| *number != NONE)
    }

    /// What saved state calls a key.
    pub(crate) fn id(&self, number: u32) -> u32 {
        self.ids[number as usize]
    }

    fn add(&mut self, id: u32) -> u32 {
        let number = self.ids.len() as u32;
        self.ids.push(id);
        let id = KeyId(id);
        let shard = &mut self.here[usize::from(id.shard().0)];
        if shard.len() <= id.local() {
            shard.resize(id.local() + 1, NONE);
        }
        shard[id.local()] = number;
        number
    }

    /// Forgets the keys that are not `living`, by number, once they are many enough. To be called
    /// at a snapshot, after [`Self::save_new`]: numbers in saved state are given again after it.
    pub(crate) fn forget(&mut self, living: &[bool]) -> Option<Moved> {
        debug_assert_eq!(
            (living.len(), self.unsaved),
            (self.ids.len(), self.ids.len()),
            "all keys are saved"
        );
        let kept = living.iter().filter(|living| **living).count();
        if kept == living.len() || (living.len() - kept) * WORTH_FORGETTING < living.len() {
            return None;
        }
        let is_kept = |id: KeyId| {
            let number = self.here[usize::from(id.shard().0)].get(id.local());
            number.and_then(|number| living.get(*number as usize)).copied().unwrap_or(false)
        };
        self.dictionary.forget(is_kept);
        self.here.fill(Vec::new());
        let (ids, values) = (
            std::mem::take(&mut self.ids),
            self.converter.empty_rows(kept, self.values.size() / living.len() * kept),
        );
        let values = std::mem::replace(&mut self.values, values);
        let moved = living.iter().zip(ids).zip(values.iter()).map(|((living, id), value)| {
            if !living {
                return NONE;
            }
            self.values.push(value);
            self.add(id)
        });
        let moved = Moved(moved.collect());
        self.here.iter_mut().chain([&mut self.ids]).for_each(Vec::shrink_to_fit);
        self.unsaved = self.ids.len();
        Some(moved)
    }

    /// The values of keys, a column per key column.
    pub(crate) fn columns(&self, numbers: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
        self.converter.convert_rows(numbers.iter().map(|number| self.values.row(*number as usize)))
    }

    /// What is new since the last call.
    pub(crate) fn save_new(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let Some(keys) = self.dictionary.take_new()? else { return Ok(Vec::new()) };
        let values = self.saved_from(self.unsaved)?;
        self.unsaved = self.ids.len();
        Ok(vec![StateBatch::new(KEYS, keys), StateBatch::new(VALUES, values)])
    }

    /// All keys, as in [`Self::save_new`].
    pub(crate) fn save_all(&self) -> Result<Vec<StateBatch>, ArrowError> {
        Ok(vec![
            StateBatch::new(KEYS, self.dictionary.all()?),
            StateBatch::new(VALUES, self.saved_from(0)?),
        ])
    }

    fn saved_from(&self, first: usize) -> Result<RecordBatch, ArrowError> {
        let numbers: Vec<u32> = (first..self.ids.len()).map(|number| number as u32).collect();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(self.ids[first..].to_vec()))];
        columns.extend(self.columns(&numbers)?);
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    /// Takes the keys of `shards` back from what a step saved. A number that was given again is the
    /// later key's.
    pub(crate) fn restore(
        &mut self,
        saved: &SavedState,
        shards: &ShardSet,
    ) -> Result<(), ArrowError> {
        self.dictionary.restore(&saved.named(KEYS).collect::<Vec<_>>(), shards)?;
        let mut missing = self.dictionary.living();
        let values: Vec<&RecordBatch> = saved.named(VALUES).collect();
        values.into_iter().rev().try_for_each(|values| self.restore_values(values, &mut missing))
    }

    /// Takes those back that are still `missing`.
    fn restore_values(
        &mut self,
        values: &RecordBatch,
        missing: &mut [Vec<bool>],
    ) -> Result<(), ArrowError> {
        if values.num_columns() != self.schema.fields().len() {
            return Err(wrong("value"));
        }
        let mut is_missing = |key: u32| {
            let key = KeyId(key);
            let missing = missing[usize::from(key.shard().0)].get_mut(key.local());
            missing.is_some_and(|missing| std::mem::replace(missing, false))
        };
        let own: Vec<(u64, u32)> = (0..)
            .zip(numbers(values, "key")?.iter().copied())
            .filter(|(_, key)| is_missing(*key))
            .collect();
        let rows = UInt64Array::from_iter_values(own.iter().map(|(row, _)| *row));
        let columns = values.columns()[1..]
            .iter()
            .map(|c| take(c, &rows, None))
            .collect::<Result<Vec<_>, _>>()?;
        self.converter.append(&mut self.values, &columns)?;
        own.into_iter().for_each(|(_, key)| {
            self.add(key);
        });
        self.unsaved = self.ids.len();
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        let numbers = self.ids.capacity() + self.here.iter().map(Vec::capacity).sum::<usize>();
        self.dictionary.bytes() + self.values.size() + numbers * 4
    }
}
