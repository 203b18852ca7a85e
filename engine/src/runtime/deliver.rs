//! Delivery: makes committed epochs visible outside, in order, several at a time.
//!
//! ```text
//!   committer ─▶ hand over ─┬▶ lane of sink a: wait its interval, deliver ─┐
//!                           └▶ lane of sink b: wait its interval, deliver ─┴▶ through = the least of all lanes
//! ```
//! A sink may let several deliveries be under way: then the next is begun while the one before becomes visible.
//!
//! A lane is a thread per sink, so that a sink that takes milliseconds never waits for one that takes a second. What counts as delivered
//! ([`Metrics::delivered_epoch`], the marks) is what every sink has made visible.

use crate::contract::{Delivery, NEEDS_NOTHING_AGAIN, OutboxEntry, SinkError};
use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use crate::runtime::committer::CommittedEpoch;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::metrics::Metrics;
use crate::store::{DeliveredMarks, StoreError, UndeliveredEpoch};
use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rows that wait for one sink in memory, at most, before they are delivered whatever the interval.
const WAITING_ROWS_MAX: usize = 200_000;
/// Rows that wait for all sinks in memory; more wait at the committer, which holds up the feed.
const WAITING_ROWS_ALL_MAX: u64 = 2 * WAITING_ROWS_MAX as u64;
/// Epochs that the committer may be ahead of the hand-over.
pub(crate) const EPOCHS_HANDED_OVER_MAX: usize = 4;
/// How far sinks have come is written down this often, and at the end.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// Epochs that are delivered together, at most.
const WAITING_EPOCHS_MAX: usize = 4_096;

pub(crate) struct DeliveryLoop {
    pub(crate) sinks: Vec<(String, Box<dyn Delivery>)>,
    pub(crate) marks: DeliveredMarks,
    pub(crate) epochs: Receiver<CommittedEpoch>,
    /// Of sinks that have none of their own.
    pub(crate) interval: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
}

/// A committed epoch for one sink; without an entry where it has nothing for it.
type ForLane = (Epoch, Option<OutboxEntry>);

impl DeliveryLoop {
    /// Delivers what earlier runs left, then every epoch that is committed, until the committer is gone and all is out.
    pub(crate) fn run(self, left: Vec<UndeliveredEpoch>) {
        let Self { sinks, marks, epochs, interval, metrics, clock, failure } = self;
        let progress = Progress {
            through: sinks.iter().map(|_| AtomicU64::new(0)).collect(),
            waiting_rows: AtomicU64::new(0),
            marks: Mutex::new(Marks { marks, marked_at: 0, unmarked: false }),
            sinks: sinks.iter().map(|(sink, _)| sink.clone()).collect(),
            metrics,
            clock,
        };
        let newest_left = left.last().map(|e| e.epoch);
        let mut left_by_sink: BTreeMap<String, Vec<OutboxEntry>> = BTreeMap::new();
        for epoch in left {
            for (sink, parts) in epoch.parts {
                left_by_sink.entry(sink).or_default().push(OutboxEntry { epoch: epoch.epoch, parts });
            }
        }
        std::thread::scope(|scope| {
            let mut senders: Vec<(String, Sender<ForLane>)> = Vec::new();
            for (number, (sink, delivery)) in sinks.into_iter().enumerate() {
                let (sender, receiver) = unbounded();
                let interval = delivery.interval().unwrap_or(interval);
                let left = left_by_sink.remove(&sink).unwrap_or_default();
                senders.push((sink, sender));
                let mut lane = Lane { number, delivery, epochs: receiver, interval, progress: &progress, under_way: VecDeque::new() };
                let (failure, name) = (&failure, format!("sink {}", progress.sinks[number]));
                let lane = move || {
                    if let Err(e) = lane.run(left, newest_left) {
                        failure.set(e);
                    }
                };
                let started = std::thread::Builder::new().name(name.clone()).spawn_scoped(scope, move || failure.watch(&name, lane));
                if let Err(e) = started {
                    failure.set(RunError::Bug { what: format!("a thread of the delivery can't be started: {e}") });
                }
            }
            hand_over(&epochs, &senders, &progress, &failure);
        });
        // Whether or not one failed: what the others have delivered is out.
        if let Err(e) = progress.mark() {
            failure.set(e);
        }
    }
}

/// Gives each lane its share of the epochs, until there are no more or a lane is gone.
fn hand_over(epochs: &Receiver<CommittedEpoch>, lanes: &[(String, Sender<ForLane>)], progress: &Progress, failure: &Failure) {
    while let Ok(mut committed) = epochs.recv() {
        while progress.waiting_rows.load(Ordering::Acquire) >= WAITING_ROWS_ALL_MAX && !failure.is_set() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for (sink, lane) in lanes {
            let entry = committed.outbox.remove(sink);
            let rows = entry.as_ref().map_or(0, |entry| rows_of(std::slice::from_ref(entry)));
            progress.waiting_rows.fetch_add(rows as u64, Ordering::AcqRel);
            if lane.send((committed.epoch, entry)).is_err() {
                return;
            }
        }
    }
}

fn rows_of(entries: &[OutboxEntry]) -> usize {
    entries.iter().flat_map(|e| &e.parts).flat_map(|p| &p.rows).map(|rows| rows.num_rows()).sum()
}

/// How far the lanes have come.
struct Progress {
    through: Vec<AtomicU64>,
    waiting_rows: AtomicU64,
    marks: Mutex<Marks>,
    sinks: Vec<String>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

struct Marks {
    marks: DeliveredMarks,
    /// When they were last written down.
    marked_at: u64,
    /// Whether anything was delivered since.
    unmarked: bool,
}

impl Progress {
    /// A lane has made everything through `epoch` visible.
    fn advance(&self, lane: usize, epoch: Epoch) -> Result<(), StoreError> {
        self.through[lane].store(epoch.0, Ordering::Release);
        let least = self.through.iter().map(|t| t.load(Ordering::Acquire)).min().unwrap_or(0);
        if self.metrics.delivered_epoch.fetch_max(least, Ordering::AcqRel) >= least {
            return Ok(());
        }
        let now = self.clock.steady_nanos();
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.unmarked = true;
        if now.saturating_sub(marks.marked_at) >= MARK_EVERY.as_nanos() as u64 { marks.write(self, now) } else { Ok(()) }
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
        let through = Epoch(progress.metrics.delivered_epoch.load(Ordering::Acquire));
        self.marks.record(progress.sinks.iter().map(String::as_str), through)
    }
}

/// One sink's deliveries.
struct Lane<'a> {
    number: usize,
    delivery: Box<dyn Delivery>,
    epochs: Receiver<ForLane>,
    interval: Duration,
    progress: &'a Progress,
    /// Begun, and not visible yet; the oldest first.
    under_way: VecDeque<UnderWay>,
}

/// A delivery that was begun.
struct UnderWay {
    /// With it, everything up to here is visible.
    through: Epoch,
    rows: u64,
    begun_at: u64,
}

/// Epochs that wait for the next delivery.
#[derive(Default)]
struct Waiting {
    entries: Vec<OutboxEntry>,
    rows: usize,
    /// The last of them, whether or not it has an entry.
    newest: Option<Epoch>,
}

impl Waiting {
    fn add(&mut self, (epoch, entry): ForLane) {
        self.newest = Some(epoch);
        self.rows += entry.as_ref().map_or(0, |entry| rows_of(std::slice::from_ref(entry)));
        self.entries.extend(entry);
    }

    fn is_full(&self) -> bool {
        self.rows >= WAITING_ROWS_MAX || self.entries.len() >= WAITING_EPOCHS_MAX
    }
}

impl Lane<'_> {
    fn run(&mut self, left: Vec<OutboxEntry>, newest_left: Option<Epoch>) -> Result<(), RunError> {
        let (wake, woken) = bounded(1);
        let waking = wake.clone();
        self.delivery.wake_by(Arc::new(move || {
            // One that is there already says as much.
            let _full = waking.try_send(());
        }));
        if let Some(newest) = newest_left {
            // They were never counted as waiting.
            self.progress.waiting_rows.fetch_add(rows_of(&left) as u64, Ordering::AcqRel);
            self.begin(left, newest)?;
        }
        let at_once = self.delivery.under_way_max();
        let mut waiting = Waiting::default();
        let mut delivered_at = self.now();
        loop {
            let patience = match waiting.newest {
                Some(_) if self.under_way.len() < at_once => self.interval.saturating_sub(self.since(delivered_at)),
                _ => Duration::from_secs(3_600),
            };
            let mut ended = false;
            select! {
                recv(self.epochs) -> received => match received {
                    Ok(epoch) => waiting.add(epoch),
                    Err(_) => ended = true,
                },
                recv(woken) -> _ => self.settle()?,
                default(patience) => {}
            }
            // All that is there by now goes out together.
            while !waiting.is_full()
                && let Ok(epoch) = self.epochs.try_recv()
            {
                waiting.add(epoch);
            }
            if ended {
                return self.finish(waiting, at_once, &woken);
            }
            let due = waiting.is_full() || waiting.entries.is_empty() || self.since(delivered_at) >= self.interval;
            if due
                && self.under_way.len() < at_once
                && let Some(through) = waiting.newest
            {
                let Waiting { entries, .. } = std::mem::take(&mut waiting);
                let delivers = !entries.is_empty();
                self.begin(entries, through)?;
                if delivers {
                    delivered_at = self.now();
                }
            }
        }
    }

    /// Delivers what still waits, and waits until everything is visible.
    fn finish(&mut self, waiting: Waiting, at_once: usize, woken: &Receiver<()>) -> Result<(), RunError> {
        let mut last = waiting.newest.map(|newest| (waiting.entries, newest));
        loop {
            if self.under_way.len() < at_once
                && let Some((entries, newest)) = last.take()
            {
                self.begin(entries, newest)?;
            }
            if self.under_way.is_empty() {
                return Ok(());
            }
            // The lane holds a sender itself: this does not end before somebody wakes it.
            let _woken = woken.recv();
            self.settle()?;
        }
    }

    fn now(&self) -> u64 {
        self.progress.clock.steady_nanos()
    }

    fn since(&self, then: u64) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(then))
    }

    fn begin(&mut self, entries: Vec<OutboxEntry>, through: Epoch) -> Result<(), RunError> {
        if entries.is_empty() {
            return match self.under_way.back_mut() {
                Some(last) => {
                    last.through = through;
                    Ok(())
                }
                None => Ok(self.progress.advance(self.number, through)?),
            };
        }
        self.under_way.push_back(UnderWay { through, rows: rows_of(&entries) as u64, begun_at: self.now() });
        self.delivery.deliver(entries)?;
        if self.delivery.under_way_max() == 1 { self.settled(1) } else { Ok(()) }
    }

    fn settle(&mut self) -> Result<(), RunError> {
        let settled = self.delivery.settle()?;
        self.settled(settled)
    }

    /// The oldest `count` deliveries are visible.
    fn settled(&mut self, count: usize) -> Result<(), RunError> {
        let Progress { metrics, waiting_rows, .. } = self.progress;
        for done in self.under_way.drain(..count.min(self.under_way.len())) {
            waiting_rows.fetch_sub(done.rows, Ordering::AcqRel);
            metrics.delivery_nanos_total.fetch_add(self.progress.clock.steady_nanos().saturating_sub(done.begun_at), Ordering::Relaxed);
            self.progress.advance(self.number, done.through)?;
        }
        Ok(())
    }
}

/// The last epoch that each sink has made visible, by id; 0 for one that never saw any. Sinks that need nothing again are left out.
pub(crate) fn ask_delivered(sinks: &mut [(String, Box<dyn Delivery>)]) -> Result<BTreeMap<String, Epoch>, SinkError> {
    // All at once: each may have a log to read.
    let asked: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = sinks.iter_mut().map(|(id, delivery)| (id, scope.spawn(|| delivery.delivered_through()))).collect();
        asking.into_iter().map(|(id, thread)| (id.clone(), thread.join().unwrap_or_else(|panic| resume_unwind(panic)))).collect()
    });
    let mut delivered = BTreeMap::new();
    for (id, through) in asked {
        let through = through?.unwrap_or(Epoch(0));
        if through != NEEDS_NOTHING_AGAIN {
            delivered.insert(id, through);
        }
    }
    Ok(delivered)
}
