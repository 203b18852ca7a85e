//! An epoch's batches in the order of processing: event time, tie columns, source partition, source offset.
//!
//! Usually each batch is in order and the batches follow one another; then nothing is copied. Otherwise all rows are sorted by a stable
//! merge sort, which finds the runs that are in order and merges them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use std::cmp::Ordering;

/// Batches below this many rows are put together.
const SMALL_ROWS: usize = 1024;

/// A batch's tie columns, comparable by row.
enum Ties {
    Numbers(Vec<ArrayRef>),
    Rows(Rows),
}

struct Keyed {
    batch: RecordBatch,
    ties: Ties,
}

impl Keyed {
    fn times<'a>(&'a self, time: usize) -> &'a [i64] {
        self.batch.column(time).as_primitive::<TimestampMicrosecondType>().values()
    }

    fn compare_ties(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (&self.ties, &other.ties) {
            (Ties::Numbers(a), Ties::Numbers(b)) => {
                for (a, b) in a.iter().zip(b) {
                    let (a, b) = (a.as_primitive::<Int64Type>(), b.as_primitive::<Int64Type>());
                    let order = (a.is_valid(row), a.value(row)).cmp(&(b.is_valid(other_row), b.value(other_row)));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                Ordering::Equal
            }
            (Ties::Rows(a), Ties::Rows(b)) => a.row(row).cmp(&b.row(other_row)),
            _ => Ordering::Equal,
        }
    }

    fn is_sorted(&self, time: usize) -> bool {
        let times = self.times(time);
        // Two passes: the first is what the processor does fast.
        if !times.windows(2).fold(true, |ok, w| ok & (w[0] <= w[1])) {
            return false;
        }
        (1..times.len()).all(|i| times[i - 1] < times[i] || self.compare_ties(i - 1, self, i) != Ordering::Greater)
    }
}

/// Puts the rows of `batches` in order; the result's batches follow one another.
pub(super) fn in_order(batches: Vec<RecordBatch>, time: usize, ties: &[usize]) -> Result<Vec<RecordBatch>, ArrowError> {
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
        Some(RowConverter::new(ties.iter().map(|t| SortField::new(schema.field(*t).data_type().clone())).collect())?)
    };
    let key = |batch: RecordBatch| -> Result<Keyed, ArrowError> {
        let columns: Vec<ArrayRef> = ties.iter().map(|t| batch.column(*t).clone()).collect();
        let ties = match &converter {
            None => Ties::Numbers(columns.iter().map(|c| cast(c, &DataType::Int64)).collect::<Result<_, _>>()?),
            Some(converter) => Ties::Rows(converter.convert_columns(&columns)?),
        };
        Ok(Keyed { batch, ties })
    };
    let mut keyed = batches.into_iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let compare = |a: &Keyed, i: usize, b: &Keyed, j: usize| a.times(time)[i].cmp(&b.times(time)[j]).then_with(|| a.compare_ties(i, b, j));
    keyed.sort_by(|a, b| compare(a, 0, b, 0));
    let follow = keyed.windows(2).all(|w| compare(&w[0], w[0].batch.num_rows() - 1, &w[1], 0) != Ordering::Greater);
    if follow && keyed.iter().all(|k| k.is_sorted(time)) {
        return together(keyed.into_iter().map(|k| k.batch).collect());
    }
    let all = key(concat_batches(&schema, keyed.iter().map(|k| &k.batch))?)?;
    let mut order: Vec<(i64, u32)> = all.times(time).iter().enumerate().map(|(i, t)| (*t, i as u32)).collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| all.compare_ties(a.1 as usize, &all, b.1 as usize)));
    let order = UInt32Array::from_iter_values(order.iter().map(|o| o.1));
    Ok(vec![take_record_batch(&all.batch, &order)?])
}

/// Concatenates neighbors when batches are small on average.
fn together(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if batches.len() > 1 && rows / batches.len() < SMALL_ROWS {
        let schema = batches[0].schema();
        return Ok(vec![concat_batches(&schema, &batches)?]);
    }
    Ok(batches)
}
