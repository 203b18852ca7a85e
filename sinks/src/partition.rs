//! Divides batches into event dates: slices where rows come sorted by time (as they nearly always
//! do), a gather otherwise.
//!
//! Invariant: each row lands in exactly one part, and rows of one part keep their order.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampMicrosecondType;

use crate::error::SinkError;

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
/// 0001-01-01 and 9999-12-31 as days since 1970: the years that a partition's name can carry.
const DAY_MIN: i64 = -719_162;
const DAY_MAX: i64 = 2_932_896;
/// Below this many rows per run a gather is cheaper than writing slices.
const RUN_ROWS_MIN: usize = 64;

/// A day since 1970 in UTC, `None` for rows without an event time.
pub(crate) type EventDay = Option<i32>;

/// The rows of each event day, days in order, rows in the order given.
pub(crate) fn split_by_day(
    table: &str,
    time_index: usize,
    batches: &[RecordBatch],
) -> Result<BTreeMap<EventDay, Vec<RecordBatch>>, SinkError> {
    let mut parts: BTreeMap<EventDay, Vec<RecordBatch>> = BTreeMap::new();
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        let time_name = batch.schema_ref().field(time_index).name().clone();
        let runs = day_runs(batch.column(time_index)).map_err(|micros| {
            SinkError::EventTimeRange { table: table.to_owned(), column: time_name, micros }
        })?;
        if runs.len() > 1 && batch.num_rows() / runs.len() < RUN_ROWS_MIN {
            gather(batch, &runs, &mut parts)?;
        } else {
            for run in runs {
                parts.entry(run.day).or_default().push(batch.slice(run.start, run.end - run.start));
            }
        }
    }
    Ok(parts)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    day: EventDay,
    start: usize,
    end: usize,
}

/// Neighboring rows of the same day. `Err` carries an event time outside the years 1 to 9999.
fn day_runs(times: &ArrayRef) -> Result<Vec<Run>, i64> {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let values = times.values();
    let mut runs: Vec<Run> = Vec::new();
    let mut start = 0;
    while start < values.len() {
        if times.is_null(start) {
            let mut end = start + 1;
            while end < values.len() && times.is_null(end) {
                end += 1;
            }
            runs.push(Run { day: None, start, end });
            start = end;
            continue;
        }
        let day = values[start].div_euclid(DAY_MICROS);
        if !(DAY_MIN..=DAY_MAX).contains(&day) {
            return Err(values[start]);
        }
        let bounds = day * DAY_MICROS..(day + 1) * DAY_MICROS;
        let limit = if times.null_count() == 0 {
            values.len()
        } else {
            (start..values.len()).find(|&row| times.is_null(row)).unwrap_or(values.len())
        };
        let length = values[start..limit]
            .iter()
            .position(|value| !bounds.contains(value))
            .unwrap_or(limit - start);
        let end = start + length;
        runs.push(Run {
            // The range check above keeps the day within 32 bits.
            day: i32::try_from(day).ok(),
            start,
            end,
        });
        start = end;
    }
    Ok(runs)
}

fn gather(
    batch: &RecordBatch,
    runs: &[Run],
    parts: &mut BTreeMap<EventDay, Vec<RecordBatch>>,
) -> Result<(), SinkError> {
    let mut rows: BTreeMap<EventDay, Vec<u32>> = BTreeMap::new();
    for run in runs {
        rows.entry(run.day).or_default().extend(run.start as u32..run.end as u32);
    }
    for (day, indices) in rows {
        let part = take_record_batch(batch, &UInt32Array::from(indices))?;
        parts.entry(day).or_default().push(part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use std::sync::Arc;

    fn batch(times: Vec<Option<i64>>) -> RecordBatch {
        let rows = times.len() as i64;
        let schema = Arc::new(Schema::new(vec![
            Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("row", DataType::Int64, false),
        ]));
        let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
        RecordBatch::try_new(
            schema,
            vec![Arc::new(times), Arc::new(Int64Array::from_iter_values(0..rows))],
        )
        .expect("a valid batch")
    }

    fn rows(parts: &[RecordBatch]) -> Vec<i64> {
        parts
            .iter()
            .flat_map(|part| {
                part.column(1).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
            })
            .collect()
    }

    #[test]
    fn sorted_rows_are_sliced_at_midnight() {
        let times = vec![Some(0), Some(DAY_MICROS - 1), Some(DAY_MICROS), None];
        let parts = split_by_day("t", 0, &[batch(times)]).expect("days in range");
        assert_eq!(rows(&parts[&Some(0)]), [0, 1]);
        assert_eq!(rows(&parts[&Some(1)]), [2]);
        assert_eq!(rows(&parts[&None]), [3]);
    }

    #[test]
    fn shuffled_rows_keep_their_order_within_a_day() {
        let times: Vec<Option<i64>> = (0..1000i64)
            .map(|row| (row % 7 != 3).then_some((row % 5 - 2) * DAY_MICROS + row))
            .collect();
        let parts = split_by_day("t", 0, &[batch(times.clone())]).expect("days in range");
        let mut seen = 0;
        for (day, part) in &parts {
            let found = rows(part);
            assert!(found.is_sorted());
            seen += found.len();
            for row in found {
                let expected = times[row as usize].map(|at| at.div_euclid(DAY_MICROS) as i32);
                assert_eq!(*day, expected);
            }
        }
        assert_eq!(seen, 1000);
    }

    #[test]
    fn event_times_beyond_the_calendar_are_an_error() {
        assert!(split_by_day("t", 0, &[batch(vec![Some(i64::MAX)])]).is_err());
        assert!(split_by_day("t", 0, &[batch(vec![Some(i64::MIN)])]).is_err());
        assert!(split_by_day("t", 0, &[batch(vec![Some(DAY_MIN * DAY_MICROS)])]).is_ok());
    }
}
