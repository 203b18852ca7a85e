//! A log: time-ordered chunks, each in memory, in a segment file, or both.

use super::{Chunk, HistoryError, ShardSet, Width, segment};
use crate::disk::Folder;
use std::collections::VecDeque;
use std::sync::Arc;

/// A chunk in a segment file, as a snapshot names it.
#[derive(Debug, Clone)]
pub struct SavedChunk {
    /// The file's name within the step's folder.
    pub file: Arc<str>,
    /// Which chunk of the file.
    pub index: usize,
    /// Rows in the file's chunk, before `shards` is applied.
    pub rows: usize,
    /// Earliest time.
    pub min: i64,
    /// Latest time.
    pub max: i64,
    /// Shards whose rows count.
    pub shards: ShardSet,
}

/// A chunk of a log.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) rows: usize,
    pub(super) data: Option<Arc<Chunk>>,
    /// File and index in it.
    pub(super) place: Option<(Arc<str>, usize)>,
    pub(super) shards: ShardSet,
}

/// Chunks in time order; numbers of chunks never change while older ones are dropped.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The number of the first chunk.
    pub(super) first: u64,
    pub(super) slots: VecDeque<Slot>,
}

impl Log {
    /// The number after the last chunk's.
    pub(super) fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    pub(super) fn slot(&self, number: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Adds rows `from..` of `rows`, which are sorted and not before the log's last row.
    pub(super) fn append(
        &mut self,
        rows: &Chunk,
        mut from: usize,
        layout: &[Width],
        chunk_rows: usize,
    ) {
        while from < rows.len() {
            let open = self
                .slots
                .back()
                .is_some_and(|s| s.place.is_none() && s.data.is_some() && s.rows < chunk_rows);
            if !open {
                let data = Some(Arc::new(Chunk::with_capacity(layout, chunk_rows)));
                self.slots.push_back(Slot {
                    min: rows.times[from],
                    max: rows.times[from],
                    rows: 0,
                    data,
                    place: None,
                    shards: ShardSet::ALL,
                });
            }
            let Some(slot) = self.slots.back_mut() else { return };
            let Some(data) = &mut slot.data else { return };
            let to = rows.len().min(from + chunk_rows - slot.rows);
            Arc::make_mut(data).extend(rows, from, to);
            slot.rows += to - from;
            slot.max = rows.times[to - 1];
            from = to;
        }
    }

    /// Adds a chunk that is in a file.
    pub(super) fn push_saved(&mut self, saved: SavedChunk) {
        let SavedChunk { file, index, rows, min, max, shards } = saved;
        self.slots.push_back(Slot {
            min,
            max,
            rows,
            data: None,
            place: Some((file, index)),
            shards,
        });
    }

    /// The chunk's rows, from memory or its file.
    pub(super) fn load(
        &self,
        number: u64,
        folder: &Folder,
        layout: &[Width],
    ) -> Result<Arc<Chunk>, HistoryError> {
        let slot = self.slot(number).ok_or_else(|| {
            HistoryError::new("read", "the history", format!("chunk {number} is not kept"))
        })?;
        match (&slot.data, &slot.place) {
            (Some(data), _) => Ok(Arc::clone(data)),
            (None, Some((file, index))) => {
                segment::read(folder, file, *index, layout, &slot.shards).map(Arc::new)
            }
            (None, None) => {
                Err(HistoryError::new("read", "the history", format!("chunk {number} is nowhere")))
            }
        }
    }
}
