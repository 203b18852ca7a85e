//! Rows of any number into an order, in bounded memory: what does not fit is sorted piece by piece,
//! each piece is put away, and all are merged.

use arrow::array::RecordBatch;

use super::merge::Merge;
use super::run::{Gathered, Run};
use super::scraps::Scraps;
use super::sort_key::SortKey;
use super::source::FileRows;
use super::spill::Spill;
use super::work::Work;
use crate::error::SinkError;
use crate::snapshot::ActiveFile;

/// Runs that are merged at a time; with more, some are merged and put away first.
const RUNS_MAX: usize = 16;
/// Files of the table that may be runs, beside those.
pub(super) const FILES_MAX: usize = 8;
/// Rows of a batch of a run; fewer where rows are large.
const BATCH_ROWS_MAX: usize = 8_192;
const BATCH_ROWS_MIN: usize = 16;
/// Bytes of a row in memory for each in a compressed file, about.
const UNPACKED: u64 = 6;

/// Takes rows.
pub(super) struct Sorter<'a> {
    work: &'a Work<'a>,
    key: &'a SortKey,
    gathered: Gathered,
    spilled: Vec<Spill>,
    scraps: Scraps,
    /// Rows of a batch of a run, so that a batch of each takes little memory.
    batch_rows: usize,
}

/// Rows in order.
pub(super) struct Sorted<'a> {
    merge: Merge<'a>,
    /// Dropped after what reads them.
    _spills: Scraps,
}

impl<'a> Sorter<'a> {
    pub(super) fn new(work: &'a Work<'a>, key: &'a SortKey) -> Self {
        let scraps = Scraps::new(work.location.disk());
        let batch_rows = BATCH_ROWS_MAX;
        Self { work, key, gathered: Gathered::default(), spilled: Vec::new(), scraps, batch_rows }
    }

    /// Adds rows, which may have to put some away.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<(), SinkError> {
        self.gathered.push(self.key, batch)?;
        if self.gathered.bytes >= self.work.memory_bytes / 2 {
            self.weigh(self.gathered.bytes / self.gathered.rows.max(1));
            let mut rows = std::mem::take(&mut self.gathered).in_order(self.batch_rows);
            self.spilled.push(Spill::write(self.work, &mut self.scraps, || rows.next_batch())?);
        }
        Ok(())
    }

    /// Makes batches small enough for rows of so many bytes.
    fn weigh(&mut self, row_bytes: usize) {
        let of_a_run = self.work.memory_bytes / 2 / (RUNS_MAX + FILES_MAX);
        let rows = (of_a_run / row_bytes.max(1)).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX);
        self.batch_rows = self.batch_rows.min(rows);
    }

    /// All rows, and those of `files`, which are in order already.
    pub(super) fn finish(mut self, files: &[&ActiveFile]) -> Result<Sorted<'a>, SinkError> {
        for file in files {
            let row_bytes = file.rows.filter(|rows| *rows > 0).map(|rows| file.bytes / rows);
            if let Some(row_bytes) = row_bytes {
                self.weigh(
                    usize::try_from(row_bytes.saturating_mul(UNPACKED)).unwrap_or(usize::MAX),
                );
            }
        }
        while self.spilled.len() >= RUNS_MAX {
            let some = self.spilled.drain(..RUNS_MAX).map(spilled).collect();
            let mut merge = Merge::new(self.key, some, self.batch_rows)?;
            let merged = Spill::write(self.work, &mut self.scraps, || {
                // What is written of it is never read.
                if self.work.is_stopped() { Ok(None) } else { merge.next_batch() }
            })?;
            self.spilled.push(merged);
        }
        let mut runs: Vec<Run> = self.spilled.into_iter().map(spilled).collect();
        if self.gathered.rows > 0 {
            runs.push(Run::Memory(self.gathered.in_order(self.batch_rows)));
        }
        for file in files {
            let Work { location, schema, .. } = *self.work;
            let rows = FileRows::open(location, schema, file, self.batch_rows)?;
            runs.push(Run::File(Box::new(rows)));
        }
        let merge = Merge::new(self.key, runs, self.batch_rows)?;
        Ok(Sorted { merge, _spills: self.scraps })
    }
}

fn spilled(rows: Spill) -> Run {
    Run::Spilled(Box::new(rows))
}

impl Sorted<'_> {
    /// The next rows, at least one; none at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SinkError> {
        self.merge.next_batch()
    }
}
