//! One edge's place in one log.

use super::log::Log;
use super::{Chunk, HistoryError, Width};
use crate::disk::Folder;
use std::sync::Arc;

/// Stands before the first row that the edge has not passed.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The chunk's number.
    pub(super) chunk: u64,
    pub(super) row: usize,
    /// The chunk's rows, while rows of it are left.
    pub(super) data: Option<Arc<Chunk>>,
    /// The time of the row; `i64::MAX` at the log's end.
    pub(super) next: i64,
}

impl Cursor {
    /// Before the first row later than `after`.
    pub(super) fn seek(
        log: &Log,
        after: i64,
        folder: &Folder,
        layout: &[Width],
    ) -> Result<Self, HistoryError> {
        let mut index = log.slots.partition_point(|s| s.max <= after);
        // The open chunk may still grow: its end is not the next chunk's start.
        if index > 0 && index == log.slots.len() && log.slots[index - 1].place.is_none() {
            index -= 1;
        }
        let mut cursor =
            Self { chunk: log.first + index as u64, row: 0, data: None, next: i64::MAX };
        if cursor.chunk < log.end() {
            let data = log.load(cursor.chunk, folder, layout)?;
            cursor.row = data.times.partition_point(|t| *t <= after);
            cursor.data = Some(data);
        }
        cursor.load(log, folder, layout)?;
        Ok(cursor)
    }

    /// Brings `data` and `next` in line with `chunk` and `row`, moving on over chunks that are used
    /// up.
    pub(super) fn load(
        &mut self,
        log: &Log,
        folder: &Folder,
        layout: &[Width],
    ) -> Result<(), HistoryError> {
        loop {
            if self.chunk >= log.end() {
                self.data = None;
                self.next = i64::MAX;
                return Ok(());
            }
            let data = match self.data.take() {
                Some(data) => data,
                None => log.load(self.chunk, folder, layout)?,
            };
            if self.row < data.len() {
                self.next = data.times[self.row];
                self.data = Some(data);
                return Ok(());
            }
            if self.chunk + 1 == log.end() {
                // The last chunk may still grow.
                self.next = i64::MAX;
                return Ok(());
            }
            self.chunk += 1;
            self.row = 0;
        }
    }
}
