//! The start of the dataflow on each worker: blocks are decoded, and the facts of an epoch become
//! its watermark.

use crate::contract::{Decoder, EpochClose, SavedState};
use crate::ids::{Epoch, EventTime};
use crate::protocol::{CLOCK_STEP, EpochFacts, SavedTracker, TRACKER, WatermarkTracker};
use crate::runtime::clock::Clock;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::feed::{FeedMessage, PartitionClocks};
use crate::runtime::gather::Gathered;
use crate::runtime::metrics::{DECODE_STEP, Metrics};
use crate::runtime::parcel::{Body, Facts, Parcel};
use crate::runtime::parts::{FeedClose, Parts};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use crossbeam_channel::{Receiver, TryRecvError};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator as _;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::SyncActivator;

type Builder = CapacityContainerBuilder<Vec<Parcel>>;

/// Rounds of blocks decoded per activation before other operators get their turn, at most. Those
/// that wait go on as one batch, so that a worker that has fallen behind catches up.
const ROUNDS_GATHERED: usize = 4;

pub(crate) struct Intake {
    pub(crate) first: Epoch,
    pub(crate) blocks: Receiver<FeedMessage>,
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) event_time: usize,
    /// Whether blocks of several partitions are merged by event time.
    pub(crate) merge: bool,
    pub(crate) clocks: PartitionClocks,
    pub(crate) parts: Parts,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) failure: Failure,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Intake {
    /// The timely source; hands its activator to the feed through `wake`.
    pub(crate) fn build<'s>(
        mut self,
        scope: Scope<'s, u64>,
        wake: &std::sync::mpsc::Sender<(usize, SyncActivator)>,
    ) -> StreamVec<'s, u64, Parcel> {
        let (worker, workers) = (scope.index(), scope.peers());
        let wake = wake.clone();
        source::<_, Builder, _, _>(scope, "intake", move |capability, info| {
            let again = scope.activator_for(Rc::clone(&info.address));
            let failure = self.failure.clone();
            if wake
                .send((worker, scope.worker().sync_activator_for(info.address.to_vec())))
                .is_err()
            {
                failure.set(RunError::Bug { what: "the feed is gone before it began".into() });
            }
            let mut capability = Some(capability);
            if let Some(c) = capability.as_mut() {
                c.downgrade(&self.first.0);
            }
            let mut seen: BTreeMap<u32, i64> = BTreeMap::new();
            let mut gathered = Gathered::new(self.merge.then_some(self.event_time));
            let decoded = self.metrics.step(DECODE_STEP);
            move |output| {
                let Some(held) = capability.as_mut() else { return };
                if self.failure.is_set() {
                    capability = None;
                    return;
                }
                let (mut closed, mut ended) = (None, false);
                for _ in 0..ROUNDS_GATHERED {
                    match self.blocks.try_recv() {
                        Ok(FeedMessage::Blocks { epoch, blocks }) => {
                            debug_assert_eq!(epoch.0, *held.time());
                            for (block, bytes) in blocks {
                                let (started, partition) =
                                    (self.clock.steady_nanos(), block.partition);
                                match self.decode(epoch, block, bytes, &mut seen) {
                                    Ok(rows) => {
                                        let n = rows.num_rows() as u64;
                                        gathered.push(partition, rows);
                                        self.metrics.steps[decoded].add(
                                            n,
                                            n,
                                            self.clock.steady_nanos() - started,
                                        );
                                    }
                                    Err(e) => self.failure.set(e),
                                }
                            }
                        }
                        Ok(FeedMessage::Close(feed)) => closed = Some(feed),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => ended = true,
                    }
                    again.activate();
                    if closed.is_some() || ended || gathered.is_enough() {
                        break;
                    }
                }
                {
                    let mut session = output.session(&*held);
                    match gathered.take() {
                        Ok(batches) => batches
                            .into_iter()
                            .for_each(|rows| session.give(Parcel::rows(worker, rows))),
                        Err(e) => self.failure.set(e),
                    }
                    if let Some(feed) = &closed {
                        let facts = self.facts(feed, &mut seen);
                        self.parts.with(feed.epoch, |p| p.feed = Some(Arc::clone(feed)));
                        for to in 0..workers {
                            session.give(Parcel::facts(to, facts.clone()));
                        }
                    }
                }
                if let Some(feed) = closed {
                    held.downgrade(&feed.epoch.next().0);
                }
                if ended {
                    capability = None;
                }
            }
        })
    }

    fn facts(&self, feed: &FeedClose, seen: &mut BTreeMap<u32, i64>) -> Facts {
        Facts {
            event_time_max: std::mem::take(seen).into_iter().collect(),
            partitions: feed.partitions.clone(),
            clock: feed.clock,
            snapshot: feed.snapshot,
            last: feed.last,
        }
    }

    fn decode(
        &mut self,
        epoch: Epoch,
        block: crate::contract::Block,
        bytes: u64,
        seen: &mut BTreeMap<u32, i64>,
    ) -> Result<RecordBatch, RunError> {
        let partition = block.partition;
        let decoded = self.decoder.decode(block)?;
        let newest = newest_time(&decoded.rows, self.event_time);
        if let Some(newest) = newest {
            let max = seen.entry(partition).or_insert(newest);
            *max = newest.max(*max);
            self.metrics.event_time_max_micros.fetch_max(newest, Ordering::Relaxed);
        }
        let Some(clock) = self.clocks.get(partition as usize) else {
            return Err(RunError::Bug {
                what: format!("a block of partition {partition}, which the feed has not announced"),
            });
        };
        clock.event_time_max.fetch_max(newest.unwrap_or(i64::MIN), Ordering::AcqRel);
        clock.decoded.fetch_add(1, Ordering::AcqRel);
        let rows = decoded.rows.num_rows() as u64;
        self.metrics.rows_in_total.fetch_add(rows, Ordering::Relaxed);
        self.metrics.bytes_in_total.fetch_add(bytes, Ordering::Relaxed);
        self.parts.with(epoch, |part| {
            part.rows += rows;
            if let Some(rejected) = decoded.rejected.filter(|r| r.num_rows() > 0) {
                let decoder = &self.metrics.steps[self.metrics.step(DECODE_STEP)];
                decoder.dead.fetch_add(rejected.num_rows() as u64, Ordering::Relaxed);
                part.dead.push(rejected);
            }
        });
        Ok(decoded.rows)
    }
}

fn newest_time(rows: &RecordBatch, column: usize) -> Option<i64> {
    rows.column(column)
        .as_primitive_opt::<TimestampMicrosecondType>()?
        .values()
        .iter()
        .copied()
        .max()
}

/// Gathers every worker's facts of an epoch and turns them into its close, the same on every
/// worker.
pub(crate) fn clock<'s>(
    stream: StreamVec<'s, u64, Parcel>,
    mut tracker: WatermarkTracker,
    parts: Parts,
    metrics: Arc<Metrics>,
    failure: Failure,
) -> StreamVec<'s, u64, Parcel> {
    let worker = stream.scope().index();
    stream.unary_frontier::<Builder, _, _, _>(
        Exchange::new(|p: &Parcel| u64::from(p.to)),
        "clock",
        move |_, _| {
            let mut open: BTreeMap<
                u64,
                (timely::dataflow::operators::Capability<u64>, Vec<Facts>),
            > = BTreeMap::new();
            move |(input, frontier), output| {
                let port = output.output_index();
                input.for_each_time(|capability, batches| {
                    let mut session = output.session(&capability);
                    for parcels in batches {
                        for parcel in parcels.drain(..) {
                            match parcel.body {
                                Body::Facts(facts) => {
                                    open.entry(*capability.time())
                                        .or_insert_with(|| (capability.retain(port), Vec::new()))
                                        .1
                                        .push(facts);
                                }
                                Body::Rows(_) | Body::Close(_) => session.give(parcel),
                            }
                        }
                    }
                });
                if failure.is_set() {
                    open.clear();
                    return;
                }
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(first.key()) {
                        break;
                    }
                    let (capability, facts) = first.remove();
                    let close = close_epoch(&mut tracker, Epoch(*capability.time()), &facts);
                    metrics.watermark_micros.store(close.watermark.0, Ordering::Relaxed);
                    if worker == 0
                        && let Err(e) = save_clock(&mut tracker, &close, &parts)
                    {
                        failure.set(e);
                    }
                    output.session(&capability).give(Parcel::close(worker, close));
                }
            }
        },
    )
}

fn close_epoch(tracker: &mut WatermarkTracker, epoch: Epoch, facts: &[Facts]) -> EpochClose {
    let before = tracker.watermark();
    let seen: Vec<(u32, i64)> = facts.iter().flat_map(|f| &f.event_time_max).copied().collect();
    let feed = facts.first();
    let last = feed.is_some_and(|f| f.last);
    let partitions = feed.map_or(&[][..], |f| &f.partitions);
    let watermark: EventTime = tracker.close(&EpochFacts {
        partitions,
        seen: &seen,
        clock: feed.and_then(|f| f.clock),
        last,
    });
    EpochClose {
        epoch,
        watermark,
        watermark_before: before,
        snapshot: feed.is_some_and(|f| f.snapshot),
        last,
    }
}

/// Hands over what of the tracker has changed, for a snapshot all of it.
fn save_clock(
    tracker: &mut WatermarkTracker,
    close: &EpochClose,
    parts: &Parts,
) -> Result<(), RunError> {
    let state = |saved: &SavedTracker| {
        let state = saved
            .to_state()
            .map_err(|e| RunError::Bug { what: format!("the watermark can't be saved: {e}") })?;
        Ok::<_, RunError>((CLOCK_STEP.to_owned(), state))
    };
    let changes = state(&tracker.take_changes())?;
    let snapshot = if close.snapshot { Some(state(&tracker.saved())?) } else { None };
    parts.with(close.epoch, |p| {
        p.changes.push(changes);
        p.snapshot.extend(snapshot);
    });
    Ok(())
}

/// The tracker that was saved, or a new one.
pub(crate) fn restored_clock(
    saved: Option<&SavedState>,
    out_of_orderness: i64,
) -> Result<WatermarkTracker, RunError> {
    let mut tracker = WatermarkTracker::new(out_of_orderness);
    for rows in saved.iter().flat_map(|saved| saved.named(TRACKER)) {
        let part = SavedTracker::from_rows(rows);
        tracker.restore(
            part.ok_or_else(|| RunError::Bug { what: "the saved watermark can't be read".into() })?,
        );
    }
    Ok(tracker)
}

/// The first of some dead letters, in words.
pub(crate) fn first_reason(dead: &[RecordBatch]) -> String {
    let text = |rows: &RecordBatch, name: &str| {
        let column = rows.column_by_name(name)?.as_string_opt::<i32>()?;
        column.iter().next().flatten().map(str::to_owned)
    };
    let Some(rows) = dead.iter().find(|r| r.num_rows() > 0) else { return String::new() };
    let (partition, reason, detail) =
        (text(rows, "partition"), text(rows, "reason"), text(rows, "detail"));
    format!(
        "{} in {}: {}",
        reason.unwrap_or_default(),
        partition.unwrap_or_default(),
        detail.unwrap_or_default()
    )
}
