//! Rows that are in order already.

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::row::Rows;

use super::sort_key::SortKey;
use super::source::FileRows;
use super::spill::Spill;
use crate::error::SinkError;

/// Rows in the order of a key, a batch at a time.
pub(super) enum Run {
    /// In memory.
    Memory(InOrder),
    /// Sorted and put away.
    Spilled(Box<Spill>),
    /// A file of the table that an earlier compaction sorted.
    File(Box<FileRows>),
}

impl Run {
    /// The next rows, at least one; none at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SinkError> {
        loop {
            let batch = match self {
                Self::Memory(rows) => rows.next_batch()?,
                Self::Spilled(rows) => rows.next_batch()?,
                Self::File(rows) => rows.next_batch()?,
            };
            if batch.as_ref().is_none_or(|batch| batch.num_rows() > 0) {
                return Ok(batch);
            }
        }
    }
}

/// Rows in memory, as they came.
#[derive(Default)]
pub(super) struct Gathered {
    batches: Vec<RecordBatch>,
    keys: Vec<Rows>,
    /// Bytes of both, and of the order that will be made of them.
    pub(super) bytes: usize,
    pub(super) rows: usize,
}

/// Bytes of a row's place among the others.
const PLACE_BYTES: usize = size_of::<(usize, usize)>();

impl Gathered {
    /// Adds rows.
    pub(super) fn push(&mut self, key: &SortKey, batch: RecordBatch) -> Result<(), SinkError> {
        let keys = key.rows(&batch)?;
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size() + keys.size() + batch.num_rows() * PLACE_BYTES;
        self.batches.push(batch);
        self.keys.push(keys);
        Ok(())
    }

    /// The rows in order, rows of one key as they came, in batches of `batch_rows`.
    pub(super) fn in_order(self, batch_rows: usize) -> InOrder {
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(self.rows);
        for (number, batch) in self.batches.iter().enumerate() {
            order.extend((0..batch.num_rows()).map(|row| (number, row)));
        }
        let key_of = |place: &(usize, usize)| self.keys[place.0].row(place.1);
        order.sort_unstable_by(|a, b| key_of(a).cmp(&key_of(b)).then(a.cmp(b)));
        InOrder { batches: self.batches, order, at: 0, batch_rows: batch_rows.max(1) }
    }
}

/// Rows in memory, and their order.
pub(super) struct InOrder {
    batches: Vec<RecordBatch>,
    order: Vec<(usize, usize)>,
    at: usize,
    batch_rows: usize,
}

impl InOrder {
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SinkError> {
        let end = self.order.len().min(self.at + self.batch_rows);
        let places = &self.order[self.at..end];
        if places.is_empty() {
            return Ok(None);
        }
        self.at = end;
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        Ok(Some(interleave_record_batch(&batches, places)?))
    }
}
