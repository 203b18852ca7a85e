//! The end of a worker's dataflow: its part of an epoch, on its way to the committer.

use crate::contract::{EpochClose, OutboxPart, SinkWriter};
use crate::runtime::encoded::EncodedPart;
use crate::runtime::failure::RunError;
use crate::runtime::host::HostContext;
use crate::runtime::parcel::{Body, Parcel};
use crate::runtime::parts::Part;
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{Capability, Operator as _};

/// The end: once every step of every worker has closed an epoch, this worker's part goes to the
/// committer.
pub(crate) fn hand_over(
    done: StreamVec<'_, u64, Parcel>,
    dead_id: String,
    mut dead: Box<dyn SinkWriter>,
    to: Sender<EncodedPart>,
    context: &HostContext,
) {
    let context = context.clone();
    let metrics = context.metrics.step(&dead_id);
    // The sender goes with the dataflow: when all workers have ended, the committer ends.
    done.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "hand over",
        move |_, _| {
            let mut open: BTreeMap<u64, (Capability<u64>, EpochClose)> = BTreeMap::new();
            move |(input, frontier), output| {
                let port = output.output_index();
                input.for_each_time(|capability, batches| {
                    for parcel in batches.flat_map(|b| b.drain(..)) {
                        if let Body::Close(close) = parcel.body {
                            open.entry(*capability.time())
                                .or_insert_with(|| (capability.retain(port), close));
                        }
                    }
                });
                if context.failure.is_set() {
                    open.clear();
                    return;
                }
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(first.key()) {
                        break;
                    }
                    let (_, close) = first.remove();
                    let part = context.parts.take(close.epoch);
                    let sent = dead_part(&mut dead, &part, &close).and_then(|out| {
                        EncodedPart::encode(
                            close.epoch,
                            context.worker,
                            part,
                            out.map(|o| (dead_id.clone(), o)),
                        )
                    });
                    match sent {
                        Ok(part) => {
                            context.metrics.steps[metrics].add(part.dead, part.dead, 0);
                            if to.send(part).is_err() && !context.failure.is_set() {
                                context.failure.set_gone("committer");
                            }
                        }
                        Err(e) => context.failure.set(e),
                    }
                }
            }
        },
    );
}

fn dead_part(
    writer: &mut Box<dyn SinkWriter>,
    part: &Part,
    close: &EpochClose,
) -> Result<Option<OutboxPart>, RunError> {
    for rows in &part.dead {
        writer.on_batch(close.epoch, rows.clone())?;
    }
    let out = writer.finish(close)?;
    Ok(if out.is_empty() { None } else { Some(out) })
}
