//! Splits rows by the shard of their key, so that the next step finds a key's rows on the key's
//! worker.

use crate::contract::TOTALS;
use crate::ids::Ownership;
use crate::key::{HASH_SEED, hash_keys, shard_of};
use crate::runtime::failure::RunError;
use crate::runtime::host::HostContext;
use crate::runtime::metrics::SPLIT_STEP;
use crate::runtime::parcel::{Body, Parcel};
use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator as _;

/// Addresses every row to the worker that owns its key; closes stay where they are.
pub(crate) fn route<'s>(
    stream: StreamVec<'s, u64, Parcel>,
    name: &str,
    mut splitter: Splitter,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    let context = context.clone();
    let metrics = context.metrics.step(SPLIT_STEP);
    stream.unary::<CapacityContainerBuilder<Vec<Parcel>>, _, _, _>(Pipeline, name, move |_, _| {
        move |input, output| {
            input.for_each_time(|capability, batches| {
                let mut session = output.session(&capability);
                for parcels in batches {
                    for parcel in parcels.drain(..) {
                        let Body::Rows(rows) = parcel.body else {
                            session.give(parcel);
                            continue;
                        };
                        let started = context.clock.steady_nanos();
                        let n = rows.0.num_rows() as u64;
                        match splitter.split(rows.0) {
                            Ok(split) => {
                                context.metrics.steps[metrics].add(
                                    n,
                                    n,
                                    context.clock.steady_nanos() - started,
                                );
                                split.for_each(|(to, rows)| session.give(Parcel::rows(to, rows)));
                            }
                            Err(e) => context.failure.set(RunError::Bug {
                                what: format!("rows can't be split by key: {e}"),
                            }),
                        }
                    }
                }
            });
        }
    })
}

/// Splits batches; its buffers are used again.
pub(crate) struct Splitter {
    key: Vec<usize>,
    null_to_all: bool,
    ownership: Ownership,
    hashes: Vec<u64>,
    indices: Vec<Vec<u32>>,
}

impl Splitter {
    pub(crate) fn new(key: Vec<usize>, ownership: Ownership) -> Self {
        Self {
            key,
            null_to_all: false,
            ownership,
            hashes: Vec::new(),
            indices: vec![Vec::new(); ownership.workers()],
        }
    }

    /// Rows in which the whole key is null go to every worker.
    pub(crate) fn with_null_to_all(self) -> Self {
        Self { null_to_all: true, ..self }
    }

    fn split(
        &mut self,
        rows: RecordBatch,
    ) -> Result<impl Iterator<Item = (usize, RecordBatch)> + use<>, ArrowError> {
        let workers = self.ownership.workers();
        let mut split: Vec<(usize, RecordBatch)> = Vec::with_capacity(workers);
        if workers == 1 {
            split.push((0, rows));
            return Ok(split.into_iter());
        }
        let columns: Vec<_> = if rows.schema_ref().metadata().contains_key(TOTALS) {
            rows.columns()[..self.key.len()].to_vec()
        } else {
            self.key.iter().map(|c| rows.column(*c).clone()).collect()
        };
        hash_keys(&columns, HASH_SEED, &mut self.hashes)?;
        let owners: [u8; crate::ids::SHARDS] = std::array::from_fn(|shard| {
            u8::try_from(
                self.ownership.worker_of(crate::ids::ShardId(u8::try_from(shard).unwrap_or(0))),
            )
            .unwrap_or(0)
        });
        for list in &mut self.indices {
            list.clear();
            list.reserve(rows.num_rows() / workers + 64);
        }
        let about_all =
            |row: u32| self.null_to_all && columns.iter().all(|c| c.is_null(row as usize));
        for (row, hash) in (0u32..).zip(&self.hashes) {
            if about_all(row) {
                self.indices.iter_mut().for_each(|list| list.push(row));
                continue;
            }
            self.indices[usize::from(owners[usize::from(shard_of(*hash).0)])].push(row);
        }
        for (to, list) in self.indices.iter().enumerate() {
            if list.len() == rows.num_rows() {
                split.push((to, rows.clone()));
            } else if !list.is_empty() {
                split.push((to, take_record_batch(&rows, &UInt32Array::from(list.clone()))?));
            }
        }
        Ok(split.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn totals_are_routed_by_their_first_columns() {
        let key = Int64Array::from(vec![1, 2, 3, 4, 5]);
        let rows = RecordBatch::try_from_iter([
            ("other", Arc::new(Int64Array::from(vec![0; 5])) as _),
            ("key", Arc::new(key.clone()) as _),
        ]);
        let totals = RecordBatch::try_from_iter([
            ("key", Arc::new(key) as _),
            ("other", Arc::new(Int64Array::from(vec![0; 5])) as _),
        ])
        .unwrap();
        let schema = totals
            .schema()
            .as_ref()
            .clone()
            .with_metadata([(TOTALS.to_owned(), String::new())].into());
        let totals = totals.with_schema(Arc::new(schema)).unwrap();
        let mut splitter = Splitter::new(vec![1], Ownership::new(3));
        let mut keys = |rows: RecordBatch, column: usize| -> BTreeMap<usize, Vec<i64>> {
            let split = splitter.split(rows).unwrap();
            split
                .map(|(to, rows)| {
                    (to, rows.column(column).as_primitive::<Int64Type>().values().to_vec())
                })
                .collect()
        };
        assert_eq!(keys(rows.unwrap(), 1), keys(totals, 0));
    }

    #[test]
    fn a_row_without_a_key_reaches_every_worker_in_its_place() {
        let key = Int64Array::from(vec![Some(1), None, Some(2), Some(3), Some(1)]);
        let rows =
            RecordBatch::try_from_iter_with_nullable([("key", Arc::new(key) as _, true)]).unwrap();
        let mut splitter = Splitter::new(vec![0], Ownership::new(3)).with_null_to_all();
        let split: BTreeMap<usize, RecordBatch> = splitter.split(rows).unwrap().collect();
        assert_eq!(split.len(), 3);
        let all: Vec<Vec<Option<i64>>> = split
            .values()
            .map(|r| r.column(0).as_primitive::<Int64Type>().iter().collect())
            .collect();
        assert!(all.iter().all(|keys| keys.iter().filter(|k| k.is_none()).count() == 1));
        let ones = all.iter().find(|keys| keys.contains(&Some(1))).unwrap();
        assert_eq!(
            ones.iter().filter(|k| **k != Some(2) && **k != Some(3)).collect::<Vec<_>>(),
            [&Some(1), &None, &Some(1)]
        );
    }
}
