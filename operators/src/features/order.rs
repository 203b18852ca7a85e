//! An epoch's batches in the order of processing: event time, tie columns, source partition, source
//! offset.
//!
//! Usually each batch is in order and the batches follow one another; then nothing is copied. The
//! rows of batches that overlap are put in order by a stable sort, which finds the runs that are in
//! order; large batches that are in order themselves are not moved for that: only the places of
//! their rows are.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, interleave_record_batch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use std::cmp::Ordering;

/// Batches below this many rows are put together.
const SMALL_ROWS: usize = 1024;

/// Rows in order.
#[derive(Debug)]
pub(super) enum Ordered {
    /// As they stand in the batch.
    Batch(RecordBatch),
    /// Rows of several batches: which row of which comes next.
    Merged {
        /// The batches.
        batches: Vec<RecordBatch>,
        /// For every row in order: the batch, and the row within it.
        order: Vec<(u32, u32)>,
    },
}

/// A batch's tie columns, comparable by row.
enum Ties {
    Numbers(Vec<ArrayRef>),
    Rows(Rows),
}

struct Keyed {
    batch: RecordBatch,
    ties: Ties,
    /// Its rows are in order.
    sorted: bool,
}

impl Keyed {
    fn times(&self, time: usize) -> &[i64] {
        self.batch.column(time).as_primitive::<TimestampMicrosecondType>().values()
    }

    fn compare_ties(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (&self.ties, &other.ties) {
            (Ties::Numbers(a), Ties::Numbers(b)) => {
                for (a, b) in a.iter().zip(b) {
                    let (a, b) = (a.as_primitive::<Int64Type>(), b.as_primitive::<Int64Type>());
                    let order = (a.is_valid(row), a.value(row))
                        .cmp(&(b.is_valid(other_row), b.value(other_row)));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                Ordering::Equal
            }
            (Ties::Rows(a), Ties::Rows(b)) => a.row(row).cmp(&b.row(other_row)),
            (Ties::Numbers(_), Ties::Rows(_)) | (Ties::Rows(_), Ties::Numbers(_)) => {
                Ordering::Equal
            }
        }
    }

    fn is_sorted(&self, time: usize) -> bool {
        let times = self.times(time);
        // Two passes: the first is what the processor does fast.
        if !times.windows(2).fold(true, |ok, w| ok & (w[0] <= w[1])) {
            return false;
        }
        (1..times.len()).all(|i| {
            times[i - 1] < times[i] || self.compare_ties(i - 1, self, i) != Ordering::Greater
        })
    }
}

/// Puts the rows of `batches` in order; the parts of the result follow one another.
pub(super) fn in_order(
    batches: Vec<RecordBatch>,
    time: usize,
    ties: &[usize],
) -> Result<Vec<Ordered>, ArrowError> {
    let batches: Vec<RecordBatch> = batches.into_iter().filter(|b| b.num_rows() > 0).collect();
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let schema = first.schema();
    let numbers = ties.iter().all(|t| {
        let t = schema.field(*t).data_type();
        t.is_integer() && *t != DataType::UInt64 || matches!(t, DataType::Timestamp(_, _))
    });
    let converter = if numbers {
        None
    } else {
        Some(RowConverter::new(
            ties.iter().map(|t| SortField::new(schema.field(*t).data_type().clone())).collect(),
        )?)
    };
    let key = |batch: RecordBatch| -> Result<Keyed, ArrowError> {
        let columns: Vec<ArrayRef> = ties.iter().map(|t| batch.column(*t).clone()).collect();
        let ties = match &converter {
            None => Ties::Numbers(
                columns.iter().map(|c| cast(c, &DataType::Int64)).collect::<Result<_, _>>()?,
            ),
            Some(converter) => Ties::Rows(converter.convert_columns(&columns)?),
        };
        let mut keyed = Keyed { batch, ties, sorted: false };
        keyed.sorted = keyed.is_sorted(time);
        Ok(keyed)
    };
    let mut keyed = batches.into_iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let compare = |a: &Keyed, i: usize, b: &Keyed, j: usize| {
        a.times(time)[i].cmp(&b.times(time)[j]).then_with(|| a.compare_ties(i, b, j))
    };
    keyed.sort_by(|a, b| compare(a, 0, b, 0));
    // Clusters of batches whose ranges overlap follow one another; only within a cluster are rows
    // merged. Two workers' halves of one block of the source are such a cluster.
    if keyed.iter().any(|k| !k.sorted) {
        // Batches that leave are in order, each in itself.
        return Ok(vec![Ordered::Batch(merge(keyed, time).into_batch()?)]);
    }
    let mut ordered = Vec::with_capacity(keyed.len());
    let mut cluster: Vec<Keyed> = Vec::new();
    let mut latest = 0;
    for next in keyed {
        let overlaps = cluster
            .get(latest)
            .is_some_and(|l| compare(l, l.batch.num_rows() - 1, &next, 0) == Ordering::Greater);
        if !cluster.is_empty() && !overlaps {
            ordered.push(merge(std::mem::take(&mut cluster), time));
            latest = 0;
        }
        let is_latest = cluster.get(latest).is_none_or(|l| {
            compare(l, l.batch.num_rows() - 1, &next, next.batch.num_rows() - 1) == Ordering::Less
        });
        cluster.push(next);
        if is_latest {
            latest = cluster.len() - 1;
        }
    }
    if !cluster.is_empty() {
        ordered.push(merge(cluster, time));
    }
    together(ordered)
}

/// Puts the rows of batches that overlap in order.
fn merge(mut cluster: Vec<Keyed>, time: usize) -> Ordered {
    if let [only] = cluster.as_slice()
        && only.sorted
    {
        return Ordered::Batch(cluster.remove(0).batch);
    }
    let mut order: Vec<(i64, u32, u32)> =
        Vec::with_capacity(cluster.iter().map(|k| k.batch.num_rows()).sum());
    for (number, keyed) in (0u32..).zip(&cluster) {
        order.extend(keyed.times(time).iter().zip(0u32..).map(|(t, row)| (*t, number, row)));
    }
    // Stable, and it finds the runs that the batches are.
    order.sort_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| {
            cluster[a.1 as usize].compare_ties(a.2 as usize, &cluster[b.1 as usize], b.2 as usize)
        })
    });
    let order = order.into_iter().map(|(_, batch, row)| (batch, row)).collect();
    Ordered::Merged { batches: cluster.into_iter().map(|k| k.batch).collect(), order }
}

/// Moves rows into one batch when batches are small on average.
fn together(ordered: Vec<Ordered>) -> Result<Vec<Ordered>, ArrowError> {
    let batches =
        |o: &Ordered| if let Ordered::Merged { batches, .. } = o { batches.len() } else { 1 };
    let count: usize = ordered.iter().map(batches).sum();
    let rows: usize = ordered.iter().map(Ordered::rows).sum();
    if count < 2 || rows / count >= SMALL_ROWS {
        return Ok(ordered);
    }
    let one = ordered.into_iter().map(Ordered::into_batch).collect::<Result<Vec<_>, _>>()?;
    if let [only] = one.as_slice() {
        return Ok(vec![Ordered::Batch(only.clone())]);
    }
    let schema = one[0].schema();
    Ok(vec![Ordered::Batch(concat_batches(&schema, &one)?)])
}

impl Ordered {
    fn rows(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.num_rows(),
            Self::Merged { order, .. } => order.len(),
        }
    }

    fn into_batch(self) -> Result<RecordBatch, ArrowError> {
        match self {
            Self::Batch(batch) => Ok(batch),
            Self::Merged { batches, order } => {
                let from: Vec<(usize, usize)> =
                    order.iter().map(|(batch, row)| (*batch as usize, *row as usize)).collect();
                interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &from)
            }
        }
    }
}
