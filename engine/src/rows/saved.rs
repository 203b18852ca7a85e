//! What a step saves of its rows, and how they come back.

use super::RowsError;
use super::keyed_rows::{Counted, KeyedRows};
use super::segment::Segment;
use crate::contract::StateBatch;
use crate::history::ShardSet;
use crate::key::shard_of;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, LargeBinaryBuilder, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::datatypes::UInt64Type;
use arrow::error::ArrowError;
use std::sync::Arc;

/// Rows: their keys' `hash`, `key`, `value`.
pub const ROWS: &str = "rows";
/// Segments, newest first: `file` in the step's folder, and the `shards` whose rows count.
pub const FILES: &str = "files";

/// Rows and bytes of one batch of saved state, about: a batch ends with the row that reaches
/// either.
const BATCH_ROWS: usize = 1 << 17;
const BATCH_BYTES: usize = 256 << 20;

impl KeyedRows {
    /// The rows at `places`, in batches named [`ROWS`].
    ///
    /// # Errors
    /// Never, as long as the columns are of one length.
    pub fn save(&self, places: &[u32]) -> Result<Vec<StateBatch>, ArrowError> {
        self.save_in(places, BATCH_ROWS, BATCH_BYTES)
    }

    /// As [`Self::save`], in batches of at most so many rows, each of which ends with the row that
    /// makes it so many bytes.
    pub(super) fn save_in(
        &self,
        places: &[u32],
        rows_most: usize,
        bytes_most: usize,
    ) -> Result<Vec<StateBatch>, ArrowError> {
        let save = |places: &[u32]| -> Result<StateBatch, ArrowError> {
            let bytes = |of: &dyn Fn(u32) -> usize| places.iter().map(|place| of(*place)).sum();
            let mut keys = LargeBinaryBuilder::with_capacity(
                places.len(),
                bytes(&|place| self.memory.key(place).len()),
            );
            let mut values = LargeBinaryBuilder::with_capacity(
                places.len(),
                bytes(&|place| self.memory.value(place).map_or(0, <[u8]>::len)),
            );
            for place in places {
                keys.append_value(self.memory.key(*place));
                values.append_option(self.memory.value(*place));
            }
            let columns: Vec<(&str, ArrayRef)> = vec![
                (
                    "hash",
                    Arc::new(UInt64Array::from_iter_values(
                        places.iter().map(|place| self.memory.hash(*place)),
                    )),
                ),
                ("key", Arc::new(keys.finish())),
                ("value", Arc::new(values.finish())),
            ];
            let columns = columns.into_iter().map(|(name, column)| (name, column, true));
            Ok(StateBatch::new(ROWS, RecordBatch::try_from_iter_with_nullable(columns)?))
        };
        let row_bytes = |place: u32| {
            self.memory.key(place).len() + self.memory.value(place).map_or(0, <[u8]>::len)
        };
        let (mut saved, mut first, mut bytes) = (Vec::new(), 0, 0);
        for (at, place) in places.iter().enumerate() {
            bytes += row_bytes(*place);
            if at + 1 - first >= rows_most || bytes >= bytes_most || at + 1 == places.len() {
                saved.push(save(&places[first..=at])?);
                (first, bytes) = (at + 1, 0);
            }
        }
        Ok(saved)
    }

    /// All rows: those in memory, and the names of the files with the others, which
    /// [`Self::live_files`] then gives too.
    ///
    /// # Errors
    /// When a file could not be written, or as [`Self::save`].
    pub fn save_all(&mut self) -> Result<Vec<StateBatch>, SaveError> {
        self.end_spill()?;
        self.named = self.segments.iter().map(|s| Arc::clone(&s.name)).collect();
        // An empty value is needed only where it hides an older one.
        let older = self.older(0);
        let is_saved = |place: &u32| {
            let value = self.memory.value(*place);
            value.is_some_and(|value| {
                !value.is_empty() || older.has(shard_of(self.memory.hash(*place)))
            })
        };
        let places: Vec<u32> = (0..self.memory.len() as u32).filter(is_saved).collect();
        let mut saved = self.save(&places)?;
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "file",
                Arc::new(StringArray::from_iter_values(
                    self.segments.iter().map(|s| s.name.as_ref()),
                )),
            ),
            (
                "shards",
                Arc::new(BinaryArray::from_iter_values(
                    self.segments.iter().map(|s| s.shards.to_bytes()),
                )),
            ),
        ];
        saved.push(StateBatch::new(FILES, RecordBatch::try_from_iter(columns)?));
        Ok(saved)
    }

    /// Files that the rows are in, below the store's `history` folder.
    #[must_use]
    pub fn live_files(&self) -> Vec<String> {
        self.segments.iter().map(|s| format!("{}/{}", self.config.step, s.name)).collect()
    }

    /// From now on only rows of `shards` are taken back.
    pub fn own(&mut self, shards: ShardSet) {
        self.shards = shards;
    }

    /// Takes one batch of saved state back, be it [`ROWS`], which are newer than what was taken
    /// before, or [`FILES`]. Batches of other names are left alone.
    ///
    /// # Errors
    /// When it is not of that form, or a file can't be read or written.
    pub fn restore(&mut self, saved: &StateBatch) -> Result<(), SaveError> {
        self.is_restoring = true;
        match saved.name.as_str() {
            ROWS => self.restore_rows(&saved.rows),
            FILES => self.restore_files(&saved.rows),
            _ => Ok(()),
        }
    }

    fn restore_rows(&mut self, saved: &RecordBatch) -> Result<(), SaveError> {
        let hashes = saved
            .column_by_name("hash")
            .and_then(|c| c.as_primitive_opt::<UInt64Type>())
            .ok_or_else(|| wrong("hash"))?;
        let bytes = |name| {
            saved
                .column_by_name(name)
                .and_then(|c| c.as_binary_opt::<i64>())
                .ok_or_else(|| wrong(name))
        };
        let (keys, values) = (bytes("key")?, bytes("value")?);
        for row in 0..saved.num_rows() {
            if self.shards.has(shard_of(hashes.value(row))) && values.is_valid(row) {
                self.put(hashes.value(row), keys.value(row), values.value(row));
            }
        }
        Ok(self.make_room()?)
    }

    fn restore_files(&mut self, saved: &RecordBatch) -> Result<(), SaveError> {
        let files = saved
            .column_by_name("file")
            .and_then(|c| c.as_string_opt::<i32>())
            .ok_or_else(|| wrong("file"))?;
        let shards = saved
            .column_by_name("shards")
            .and_then(|c| c.as_binary_opt::<i32>())
            .ok_or_else(|| wrong("shards"))?;
        for row in 0..saved.num_rows() {
            let shards = ShardSet::from_bytes(shards.value(row))
                .ok_or_else(|| wrong("shards"))?
                .and(&self.shards);
            if shards.is_empty() {
                continue;
            }
            let name: Arc<str> = files.value(row).into();
            let segment = Arc::new(Segment::open(&self.folder, &name)?);
            self.named.insert(Arc::clone(&name));
            self.segments.push(Counted { name, segment, shards });
        }
        Ok(())
    }
}

fn wrong(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!(
        "saved rows: the column {column} is missing or has another type"
    ))
}

/// Why rows can't be saved or taken back.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file can't be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Saved state of another form, or too large for it.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}
