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
//! What waits for sinks is bounded: beyond that the hand-over waits, then the committer, then the
//! feed.

use crate::contract::{Delivery, OutboxEntry};
use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use crate::runtime::committer::CommittedEpoch;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::lane::{ForLane, Lane};
use crate::runtime::load::Load;
use crate::runtime::metrics::Metrics;
use crate::store::{AwayNote, AwayNotes, DeliveredMarks, StoreError, UndeliveredEpoch};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rows that wait for one sink in memory, at most, before they are delivered whatever the interval.
pub(crate) const WAITING_ROWS_MAX: u64 = 200_000;
/// Rows that wait for all sinks in memory; more wait at the committer, which holds up the feed.
const WAITING_ROWS_ALL_MAX: u64 = 2 * WAITING_ROWS_MAX;
/// Their bytes.
const WAITING_BYTES_ALL_MAX: u64 = 256 << 20;
/// Epochs that the committer may be ahead of the hand-over.
pub(crate) const EPOCHS_HANDED_OVER_MAX: usize = 4;
/// How far sinks have come is written down this often, and at the end.
const MARK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct DeliveryLoop {
    pub(crate) sinks: Vec<(String, Box<dyn Delivery>)>,
    pub(crate) marks: DeliveredMarks,
    pub(crate) away: AwayNotes,
    pub(crate) epochs: Receiver<CommittedEpoch>,
    /// Of sinks that have none of their own.
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
        // Whether or not one failed: what the others have delivered is out.
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

/// How far the lanes have come.
pub(crate) struct Progress {
    through: Vec<AtomicU64>,
    /// What waits for each lane.
    waiting: Vec<Mutex<Load>>,
    waiting_max: Load,
    marks: Mutex<Marks>,
    away: Mutex<AwayNotes>,
    sinks: Vec<String>,
    pub(crate) hurry: Arc<AtomicBool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
}

struct Marks {
    marks: DeliveredMarks,
    /// When they were last written down.
    marked_at: u64,
    /// Whether anything was delivered since.
    unmarked: bool,
}

impl Progress {
    /// The id of a lane's sink.
    pub(crate) fn sink(&self, lane: usize) -> &str {
        &self.sinks[lane]
    }

    /// What waits for a lane.
    pub(crate) fn waiting(&self, lane: usize) -> Load {
        *self.lock(lane)
    }

    /// More waits for a lane.
    pub(crate) fn waits(&self, lane: usize, more: Load) {
        *self.lock(lane) += more;
    }

    /// Less waits for a lane.
    pub(crate) fn went(&self, lane: usize, less: Load) {
        *self.lock(lane) -= less;
    }

    /// A lane delivers nothing any more; what waits for it is in the store.
    pub(crate) fn leaves(&self, lane: usize) {
        *self.lock(lane) = Load::default();
    }

    /// A lane's sink is away, or is back.
    pub(crate) fn is_away(&self, lane: usize, note: Option<AwayNote>) {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).set(&self.sinks[lane], note);
    }

    fn lock(&self, lane: usize) -> std::sync::MutexGuard<'_, Load> {
        self.waiting[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        let mut all = Load::default();
        (0..self.waiting.len()).for_each(|lane| all += self.waiting(lane));
        all.reaches(&self.waiting_max)
    }

    /// A lane has made everything through `epoch` visible.
    pub(crate) fn advance(&self, lane: usize, epoch: Epoch) -> Result<(), StoreError> {
        self.through[lane].store(epoch.0, Ordering::Release);
        if let Some(sink) = self.metrics.sinks.get(lane) {
            sink.delivered_epoch.store(epoch.0, Ordering::Relaxed);
        }
        let least = self.through.iter().map(|t| t.load(Ordering::Acquire)).min().unwrap_or(0);
        self.metrics.delivered_epoch.fetch_max(least, Ordering::AcqRel);
        let now = self.clock.steady_nanos();
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.unmarked = true;
        if now.saturating_sub(marks.marked_at) >= MARK_EVERY.as_nanos() as u64 {
            marks.write(self, now)
        } else {
            Ok(())
        }
    }

    /// Writes down what was not.
    fn mark(&self) -> Result<(), StoreError> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.unmarked { marks.write(self, self.clock.steady_nanos()) } else { Ok(()) }
    }
}

impl Marks {
    fn write(&mut self, progress: &Progress, now: u64) -> Result<(), StoreError> {
        (self.marked_at, self.unmarked) = (now, false);
        let through = progress.through.iter().map(|through| Epoch(through.load(Ordering::Acquire)));
        // A lane that has delivered nothing in this run leaves its mark as it was.
        let moved = progress
            .sinks
            .iter()
            .map(String::as_str)
            .zip(through)
            .filter(|(_, through)| *through > Epoch(0));
        self.marks.record(moved)
    }
}
