//! Delivery: makes committed epochs visible outside, in order, several at a time.
//!
//! ```text
//!   committer ─▶ hand over ─┬▶ lane of sink a: wait its interval, deliver ─┐
//!                           └▶ lane of sink b: wait its interval, deliver ─┤
//!                                                                          ▼
//!                                           through = the least of all lanes
//! ```
//! A lane ([`Lane`]) is a thread per sink, so that a sink that takes milliseconds never waits for
//! one that takes a second, or is away. What counts as delivered ([`Metrics::delivered_epoch`]) is
//! what every sink has made visible; the marks remember how far each one is.
//!
//! What waits for sinks is bounded. At the bound, back-pressure stops the hand-over, then the
//! committer, then the feed.

use crate::contract::{Delivery, OutboxEntry};
use crate::runtime::clock::Clock;
use crate::runtime::encoded::CommittedEpoch;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::lane::{ForLane, Lane};
use crate::runtime::load::Load;
use crate::runtime::metrics::Metrics;
use crate::runtime::progress::{Marks, Progress, WAITING_ROWS_MAX};
use crate::store::{AwayNotes, DeliveredMarks, UndeliveredEpoch};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Rows that wait for all sinks in memory; more wait at the committer, which holds up the feed.
const WAITING_ROWS_ALL_MAX: u64 = 2 * WAITING_ROWS_MAX;
/// Bytes of the rows that wait for all sinks in memory.
const WAITING_BYTES_ALL_MAX: u64 = 256 << 20;
/// Epochs that the committer may be ahead of the hand-over.
pub(crate) const EPOCHS_HANDED_OVER_MAX: usize = 4;

pub(crate) struct DeliveryLoop {
    pub(crate) sinks: Vec<(String, Box<dyn Delivery>)>,
    pub(crate) marks: DeliveredMarks,
    pub(crate) away: AwayNotes,
    pub(crate) epochs: Receiver<CommittedEpoch>,
    /// The delivery interval of sinks that have none of their own.
    pub(crate) interval: Duration,
    /// Bytes of staged files that may wait for all sinks.
    pub(crate) staged_bytes_max: u64,
    /// Set when the run is to end soon: what a sink that is away does not take then stays in the
    /// store.
    pub(crate) hurry: Arc<AtomicBool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
}

impl DeliveryLoop {
    /// Delivers what earlier runs left, then every epoch that is committed, until the committer is
    /// gone and all is out.
    pub(crate) fn run(self, left: Vec<UndeliveredEpoch>) {
        let Self {
            sinks,
            marks,
            away,
            epochs,
            interval,
            staged_bytes_max,
            hurry,
            metrics,
            clock,
            failure,
        } = self;
        let progress = Progress {
            through: sinks.iter().map(|_| AtomicU64::new(0)).collect(),
            waiting: sinks.iter().map(|_| Mutex::default()).collect(),
            waiting_max: Load {
                epochs: u64::MAX,
                rows: WAITING_ROWS_ALL_MAX,
                bytes: WAITING_BYTES_ALL_MAX,
                staged_bytes: staged_bytes_max,
            },
            marks: Mutex::new(Marks { marks, marked_at: 0, unmarked: false }),
            away: Mutex::new(away),
            sinks: sinks.iter().map(|(sink, _)| sink.clone()).collect(),
            hurry,
            metrics,
            clock,
            failure: failure.clone(),
        };
        let newest_left = left.last().map(|e| e.epoch);
        let mut left_by_sink: BTreeMap<String, Vec<OutboxEntry>> = BTreeMap::new();
        for epoch in left {
            for (sink, parts) in epoch.parts {
                left_by_sink
                    .entry(sink)
                    .or_default()
                    .push(OutboxEntry { epoch: epoch.epoch, parts });
            }
        }
        std::thread::scope(|scope| {
            let mut senders: Vec<(String, Sender<ForLane>)> = Vec::new();
            for (number, (sink, delivery)) in sinks.into_iter().enumerate() {
                let (sender, receiver) = unbounded();
                let interval = delivery.interval().unwrap_or(interval);
                let left = left_by_sink.remove(&sink).unwrap_or_default();
                let name = format!("sink {sink}");
                senders.push((sink, sender));
                let mut lane = Lane::new(number, delivery, receiver, interval, &progress);
                let (failure, thread) = (&failure, name.clone());
                let run = move || {
                    if let Err(e) = lane.run(left, newest_left) {
                        failure.set(e);
                    }
                };
                let started = std::thread::Builder::new()
                    .name(thread)
                    .spawn_scoped(scope, move || failure.watch(&name, run));
                if let Err(e) = started {
                    failure.set(RunError::Bug {
                        what: format!("a thread of the delivery can't be started: {e}"),
                    });
                }
            }
            hand_over(&epochs, &senders, &progress);
        });
        // The marks are written also if a lane failed: what the other lanes delivered is visible.
        if let Err(e) = progress.mark() {
            failure.set(e);
        }
    }
}

/// Gives each lane its share of the epochs, until there are no more or a lane is gone.
fn hand_over(
    epochs: &Receiver<CommittedEpoch>,
    lanes: &[(String, Sender<ForLane>)],
    progress: &Progress,
) {
    while let Ok(mut committed) = epochs.recv() {
        while progress.is_full() && !progress.failure.is_set() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for (number, (sink, lane)) in lanes.iter().enumerate() {
            let entry = committed.outbox.remove(sink);
            if let Some(entry) = &entry {
                progress.waits(number, Load::of(entry));
            }
            if lane.send((committed.epoch, entry)).is_err() {
                return;
            }
        }
    }
}
