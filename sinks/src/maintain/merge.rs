//! Many runs in order become one.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::row::Rows;

use super::run::Run;
use super::sort_key::SortKey;
use crate::error::SinkError;

/// The rows of several runs in the order of their key; rows of one key in the order of the runs. A
/// batch of each run is in memory.
pub(super) struct Merge<'a> {
    key: &'a SortKey,
    runs: Vec<Open>,
    /// Numbers of the runs that have rows left: a heap, that of the least row first.
    heap: Vec<usize>,
    /// The batches that `picked` and `runs` name.
    batches: Vec<RecordBatch>,
    picked: Vec<(usize, usize)>,
    batch_rows: usize,
}

/// A run, and where it is.
struct Open {
    run: Run,
    keys: Rows,
    /// The number of its batch.
    batch: usize,
    row: usize,
}

impl<'a> Merge<'a> {
    /// Begins with the first batch of each; gives batches of `batch_rows`.
    pub(super) fn new(
        key: &'a SortKey,
        runs: Vec<Run>,
        batch_rows: usize,
    ) -> Result<Self, SinkError> {
        let mut merge = Self {
            key,
            runs: Vec::with_capacity(runs.len()),
            heap: Vec::new(),
            batches: Vec::new(),
            picked: Vec::new(),
            batch_rows: batch_rows.max(1),
        };
        for mut run in runs {
            let Some(batch) = run.next_batch()? else { continue };
            let keys = key.rows(&batch)?;
            merge.runs.push(Open { run, keys, batch: merge.batches.len(), row: 0 });
            merge.batches.push(batch);
        }
        merge.heap = (0..merge.runs.len()).collect();
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        Ok(merge)
    }

    /// The next rows, at least one; none at the end.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SinkError> {
        while let Some(&least) = self.heap.first() {
            self.pick(least)?;
            self.sift_down(0);
            if self.picked.len() >= self.batch_rows {
                break;
            }
        }
        if self.picked.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = interleave_record_batch(&batches, &self.picked)?;
        self.picked.clear();
        self.forget();
        Ok(Some(rows))
    }

    /// Takes the row at which the run that is first in the heap stands. A run without more rows
    /// leaves the heap.
    fn pick(&mut self, number: usize) -> Result<(), SinkError> {
        let open = &mut self.runs[number];
        self.picked.push((open.batch, open.row));
        open.row += 1;
        if open.row < open.keys.num_rows() {
            return Ok(());
        }
        match open.run.next_batch()? {
            Some(batch) => {
                open.keys = self.key.rows(&batch)?;
                (open.batch, open.row) = (self.batches.len(), 0);
                self.batches.push(batch);
            }
            None => {
                self.heap.swap_remove(0);
            }
        }
        Ok(())
    }

    /// Lets go of the batches of which all rows were taken.
    fn forget(&mut self) {
        let mut kept = Vec::with_capacity(self.heap.len());
        for number in &self.heap {
            let open = &mut self.runs[*number];
            kept.push(self.batches[open.batch].clone());
            open.batch = kept.len() - 1;
        }
        self.batches = kept;
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for below in [2 * at + 1, 2 * at + 2] {
                if below < self.heap.len() && self.compare(below, least) == Ordering::Less {
                    least = below;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// Compares the runs at two places of the heap.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (self.heap[a], self.heap[b]);
        let key_of = |number: usize| {
            let open = &self.runs[number];
            open.keys.row(open.row)
        };
        key_of(a).cmp(&key_of(b)).then(a.cmp(&b))
    }
}
