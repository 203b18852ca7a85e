//! Decoded blocks on their way into the dataflow, put together: a step's cost per batch is then
//! shared by all that came while it was busy.
//!
//! Partitions are read one after the other, so rows of one come behind rows of another although
//! nothing is out of order in either. Where steps see rows as they come, small blocks of several
//! partitions are therefore merged by event time (each partition's rows stay in their order): what
//! would have been behind the clock is then not.

use crate::runtime::failure::RunError;
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// So many rows are enough for a batch; a block with more goes on alone, as it is.
pub(crate) const ROWS_GATHERED: usize = 1_024;
/// When several partitions are merged, so many rows are enough for a batch.
pub(crate) const ROWS_MERGED: usize = 8_192;

/// Decoded blocks that wait for each other.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The event time's column, when partitions are merged by it.
    merge_by: Option<usize>,
    /// Partition and rows.
    batches: Vec<(u32, RecordBatch)>,
    rows: usize,
}

impl Gathered {
    pub(crate) fn new(merge_by: Option<usize>) -> Self {
        Self { merge_by, batches: Vec::new(), rows: 0 }
    }

    pub(crate) fn push(&mut self, partition: u32, rows: RecordBatch) {
        if rows.num_rows() > 0 {
            self.rows += rows.num_rows();
            self.batches.push((partition, rows));
        }
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.rows >= ROWS_GATHERED
    }

    /// The rows: in the order of their event times where that is asked for, and otherwise as they
    /// came, small batches together, a large one alone.
    pub(crate) fn take(&mut self) -> Result<Vec<RecordBatch>, RunError> {
        self.rows = 0;
        let batches = std::mem::take(&mut self.batches);
        let put = match self.merge_by {
            Some(time) if overlap(&batches, time) => merge(&batches, time).map(|rows| vec![rows]),
            _ => together(batches.into_iter().map(|(_, rows)| rows).collect()),
        };
        put.map_err(|e| RunError::Bug {
            what: format!("blocks of one source can't be put together: {e}"),
        })
    }
}

fn times(rows: &RecordBatch, time: usize) -> &[i64] {
    rows.column(time)
        .as_primitive_opt::<TimestampMicrosecondType>()
        .map_or(&[], |times| times.values())
}

/// Whether rows of one partition come behind later rows of another.
fn overlap(batches: &[(u32, RecordBatch)], time: usize) -> bool {
    batches.windows(2).any(|pair| {
        let (latest, earliest) = (times(&pair[0].1, time).last(), times(&pair[1].1, time).first());
        pair[0].0 != pair[1].0 && latest > earliest
    })
}

/// Merges the partitions' rows: always the partition goes on whose next row is the earliest.
fn merge(batches: &[(u32, RecordBatch)], time: usize) -> Result<RecordBatch, ArrowError> {
    // Per partition: its batches, and where it stands.
    let mut partitions: BTreeMap<u32, (Vec<usize>, usize, usize)> = BTreeMap::new();
    for (number, (partition, _)) in batches.iter().enumerate() {
        partitions.entry(*partition).or_default().0.push(number);
    }
    let mut heads: BinaryHeap<Reverse<(i64, u32)>> = partitions
        .iter()
        .filter_map(|(partition, (of, ..))| {
            Some(Reverse((*times(&batches[of[0]].1, time).first()?, *partition)))
        })
        .collect();
    let mut order = Vec::with_capacity(batches.iter().map(|(_, rows)| rows.num_rows()).sum());
    while let Some(Reverse((_, partition))) = heads.pop() {
        let Some((of, at, row)) = partitions.get_mut(&partition) else { continue };
        // This partition goes on for as long as no other one has an earlier row.
        let other = heads.peek().map_or((i64::MAX, u32::MAX), |head| head.0);
        loop {
            order.push((of[*at], *row));
            *row += 1;
            if *row == batches[of[*at]].1.num_rows() {
                (*at, *row) = (*at + 1, 0);
            }
            let Some(next) =
                of.get(*at).and_then(|number| times(&batches[*number].1, time).get(*row))
            else {
                break;
            };
            if (*next, partition) > other {
                heads.push(Reverse((*next, partition)));
                break;
            }
        }
    }
    interleave_record_batch(&batches.iter().map(|(_, rows)| rows).collect::<Vec<_>>(), &order)
}

fn together(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
    let last_is_large = batches.last().is_some_and(|last| last.num_rows() >= ROWS_GATHERED);
    let (small, large) = batches.split_at(batches.len() - usize::from(last_is_large));
    let together = match small {
        [] => None,
        [one] => Some(one.clone()),
        [first, ..] => Some(concat_batches(&first.schema(), small)?),
    };
    Ok(together.into_iter().chain(large.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn rows(times: &[i64], first: i64) -> RecordBatch {
        let numbers = Int64Array::from_iter_values((first..).take(times.len()));
        let times = TimestampMicrosecondArray::from(times.to_vec());
        RecordBatch::try_from_iter([
            ("time", Arc::new(times) as ArrayRef),
            ("number", Arc::new(numbers)),
        ])
        .expect("a batch")
    }

    fn taken(merge_by: Option<usize>, batches: &[(u32, &[i64])]) -> Vec<Vec<i64>> {
        let mut gathered = Gathered::new(merge_by);
        let mut first = 0;
        for (partition, times) in batches {
            gathered.push(*partition, rows(times, first));
            first += times.len() as i64;
        }
        let numbers = |b: &RecordBatch| {
            b.column(1).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
        };
        gathered.take().expect("one schema").iter().map(numbers).collect()
    }

    #[test]
    fn partitions_are_merged_by_event_time_and_keep_their_own_order() {
        let batches: [(u32, &[i64]); 4] =
            [(0, &[1, 4, 2, 9]), (1, &[2, 3, 8]), (2, &[]), (0, &[10, 5])];
        assert_eq!(taken(Some(0), &batches), [[0, 4, 5, 1, 2, 6, 3, 7, 8]]);
        assert_eq!(taken(None, &batches), [[0, 1, 2, 3, 4, 5, 6, 7, 8]]);
    }

    #[test]
    fn one_partition_stays_as_it_came() {
        assert_eq!(taken(Some(0), &[(3, &[5, 1]), (3, &[0, 7])]), [[0, 1, 2, 3]]);
    }

    #[test]
    fn a_large_batch_goes_on_alone() {
        let many: Vec<i64> = (0..ROWS_GATHERED as i64).collect();
        let taken = taken(None, &[(0, &[1]), (1, &[2]), (0, &many)]);
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [2, ROWS_GATHERED]);
    }
}
