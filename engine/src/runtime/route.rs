//! Splits rows by the shard of their key, so that the next step finds a key's rows on the key's worker.

use crate::ids::Ownership;
use crate::key::{HASH_SEED, hash_keys, shard_of};
use crate::runtime::failure::RunError;
use crate::runtime::host::HostContext;
use crate::runtime::metrics::SPLIT_STEP;
use crate::runtime::parcel::{Body, Parcel};
use arrow::array::{RecordBatch, UInt32Array};
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
    key: Vec<usize>,
    ownership: Ownership,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    let context = context.clone();
    let metrics = context.metrics.step(SPLIT_STEP);
    stream.unary::<CapacityContainerBuilder<Vec<Parcel>>, _, _, _>(Pipeline, name, move |_, _| {
        let mut splitter = Splitter::new(key, ownership);
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
                                context.metrics.steps[metrics].add(n, n, context.clock.steady_nanos() - started);
                                split.for_each(|(to, rows)| session.give(Parcel::rows(to, rows)));
                            }
                            Err(e) => context.failure.set(RunError::Bug { what: format!("rows can't be split by key: {e}") }),
                        }
                    }
                }
            });
        }
    })
}

/// Splits batches; its buffers are used again.
struct Splitter {
    key: Vec<usize>,
    ownership: Ownership,
    hashes: Vec<u64>,
    indices: Vec<Vec<u32>>,
}

impl Splitter {
    fn new(key: Vec<usize>, ownership: Ownership) -> Self {
        Self { key, ownership, hashes: Vec::new(), indices: vec![Vec::new(); ownership.workers()] }
    }

    fn split(&mut self, rows: RecordBatch) -> Result<impl Iterator<Item = (usize, RecordBatch)> + use<>, ArrowError> {
        let workers = self.ownership.workers();
        let mut split: Vec<(usize, RecordBatch)> = Vec::with_capacity(workers);
        if workers == 1 {
            split.push((0, rows));
            return Ok(split.into_iter());
        }
        let columns: Vec<_> = self.key.iter().map(|c| rows.column(*c).clone()).collect();
        hash_keys(&columns, HASH_SEED, &mut self.hashes)?;
        let owners: [u8; crate::ids::SHARDS] = std::array::from_fn(|shard| {
            u8::try_from(self.ownership.worker_of(crate::ids::ShardId(u8::try_from(shard).unwrap_or(0)))).unwrap_or(0)
        });
        for list in &mut self.indices {
            list.clear();
            list.reserve(rows.num_rows() / workers + 64);
        }
        for (row, hash) in (0u32..).zip(&self.hashes) {
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
