//! What a step keeps of every key, and what an epoch brings for it.
//!
//! ```text
//!   batches ─▶ items of the open epoch
//!           ──(its close: by key)──▶ what is kept of the key and the new items
//!           ─▶ what is kept from now on
//! ```
//! What is kept is a value of the step's own ([`Stored`]); here it is bytes, in memory as far as
//! they have room there and else in files ([`KeyedRows`]).

use super::spelled::SpelledKeys;
use super::step::Keep;
use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch, StateDir};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use riskstream_engine::rows::{BatchKeys, KeyedRows, RowsConfig, RowsError, SaveError};

/// Keys whose bytes are fetched together.
const FETCHED_KEYS: usize = 16_384;

/// What a step keeps of one key, written down as bytes.
pub trait Stored: Sized {
    /// What a row adds to it.
    type Item: std::fmt::Debug + Send;
    /// Writes it down; nothing where there is nothing to keep.
    fn encode(&self, out: &mut Vec<u8>);
    /// What was written down, which may be nothing; `None` where it is damaged.
    fn decode(from: &[u8]) -> Option<Self>;
}

/// A step's keys, with items of the open epoch.
#[derive(Debug)]
pub struct KeptByKey<R: Stored> {
    step: String,
    kept: KeyedRows,
    spelled: SpelledKeys,
    open: Open<R::Item>,
    /// Places of keys that the closed epoch changed.
    touched: Vec<u32>,
}

/// Items of the open epoch, as they came.
#[derive(Debug)]
struct Open<T> {
    hashes: Vec<u64>,
    /// The keys one after another, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
    items: Vec<Option<T>>,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Self { hashes: Vec::new(), keys: Vec::new(), ends: Vec::new(), items: Vec::new() }
    }
}

impl<T> Open<T> {
    fn key(&self, item: usize) -> (u64, &[u8]) {
        let start = if item == 0 { 0 } else { self.ends[item - 1] };
        (self.hashes[item], &self.keys[start..self.ends[item]])
    }

    /// The items' numbers by key; those of a key in the order in which they came.
    fn by_key(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.items.len() as u32).collect();
        order.sort_by(|a, b| self.key(*a as usize).cmp(&self.key(*b as usize)));
        order
    }
}

impl<R: Stored> KeptByKey<R> {
    pub(crate) fn new(step: &str, dir: StateDir, memory_bytes: usize) -> Self {
        Self {
            step: step.to_owned(),
            kept: KeyedRows::new(RowsConfig { dir, step: step.to_owned(), memory_bytes }),
            spelled: SpelledKeys::default(),
            open: Open::default(),
            touched: Vec::new(),
        }
    }

    /// Takes the items of a batch's rows in, whose keys are in `columns`.
    pub(crate) fn gather(
        &mut self,
        columns: &[ArrayRef],
        items: impl Iterator<Item = R::Item>,
    ) -> Result<(), ArrowError> {
        self.spelled.spell(columns)?;
        let keys = self.spelled.from(0);
        for (row, item) in items.enumerate() {
            self.open.hashes.push(keys.hashes[row]);
            self.open.keys.extend_from_slice(&keys.bytes[keys.offsets[row]..keys.offsets[row + 1]]);
            self.open.ends.push(self.open.keys.len());
            self.open.items.push(Some(item));
        }
        Ok(())
    }

    /// Closes the epoch. `change` takes a key's new items, which are in the order in which they
    /// came, into what is kept of the key; `false` says that nothing is kept of it any more.
    pub(crate) fn close(
        &mut self,
        mut change: impl FnMut(&mut R, Vec<R::Item>) -> Result<bool, ArrowError>,
    ) -> Result<(), OperatorError> {
        self.touched.clear();
        self.kept.make_room().map_err(|e| self.storage(e))?;
        let mut open = std::mem::take(&mut self.open);
        let order = open.by_key();
        let groups: Vec<&[u32]> =
            order.chunk_by(|a, b| open.key(*a as usize) == open.key(*b as usize)).collect();
        let (mut places, mut keep) = (Vec::new(), Vec::new());
        let (mut hashes, mut bytes, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        for together in groups.chunks(FETCHED_KEYS) {
            hashes.clear();
            bytes.clear();
            offsets.clear();
            offsets.push(0);
            for group in together {
                let (hash, key) = open.key(group[0] as usize);
                hashes.push(hash);
                bytes.extend_from_slice(key);
                offsets.push(bytes.len());
            }
            self.kept
                .fetch(
                    &BatchKeys { hashes: &hashes, bytes: &bytes, offsets: &offsets },
                    &mut places,
                )
                .map_err(|e| self.storage(e))?;
            for (group, place) in together.iter().zip(&places) {
                let items =
                    group.iter().filter_map(|item| open.items[*item as usize].take()).collect();
                let kept = self.kept.value(*place).unwrap_or_default();
                let Some(mut record) = R::decode(kept) else { return Err(self.damaged()) };
                keep.clear();
                if change(&mut record, items).map_err(|e| self.arrow(e))? {
                    record.encode(&mut keep);
                }
                self.kept.set(*place, &keep, &[]);
                self.touched.push(*place);
            }
        }
        Ok(())
    }

    /// Hands over what is kept of every key, by hash and key.
    pub(crate) fn for_each(
        &self,
        mut take: impl FnMut(R) -> Result<(), ArrowError>,
    ) -> Result<(), OperatorError> {
        self.kept
            .for_each(|_, _, kept| match R::decode(kept) {
                Some(record) => Ok(take(record)?),
                None => Err(ForEachError::Damaged),
            })
            .map_err(|error| match error {
                ForEachError::Damaged => self.damaged(),
                ForEachError::Rows(e) => self.storage(e),
                ForEachError::Arrow(e) => self.arrow(e),
            })
    }

    fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.step.clone(), source }
    }

    fn storage(&self, RowsError { action, object, reason }: RowsError) -> OperatorError {
        OperatorError::Storage { step: self.step.clone(), action, object, reason }
    }

    fn saving(&self, error: SaveError) -> OperatorError {
        match error {
            SaveError::Rows(e) => self.storage(e),
            SaveError::Arrow(e) => self.arrow(e),
        }
    }

    fn damaged(&self) -> OperatorError {
        OperatorError::State {
            step: self.step.clone(),
            reason: "what is kept of a key is damaged; restore the store from a copy".into(),
        }
    }
}

impl<R: Stored> Keep for KeptByKey<R> {
    fn save_changes(&mut self) -> Result<Vec<StateBatch>, OperatorError> {
        self.kept.save(&self.touched).map_err(|e| self.arrow(e))
    }

    fn save_all(&mut self) -> Result<Vec<StateBatch>, OperatorError> {
        self.kept.save_all().map_err(|e| self.saving(e))
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
        _watermark: i64,
    ) -> Result<(), OperatorError> {
        self.kept.own(ShardSet::owned(worker, ownership));
        let snapshot = saved.snapshot.iter().map(|(_, batches)| batches);
        let mut batches =
            snapshot.chain(saved.changes.iter().map(|(_, batches)| batches)).flatten();
        batches.try_for_each(|saved| self.kept.restore(saved)).map_err(|e| self.saving(e))
    }

    fn bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn live_files(&self) -> Vec<String> {
        self.kept.live_files()
    }
}

enum ForEachError {
    Damaged,
    Rows(RowsError),
    Arrow(ArrowError),
}

impl From<RowsError> for ForEachError {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

impl From<ArrowError> for ForEachError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}
