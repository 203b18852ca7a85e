//! One sink's deliveries: batched over its interval, and tried for as long as it takes.
//!
//! A sink that is away does not end the run. Its lane waits and tries again, says so
//! ([`Lane::outlast`]), and what waits for it is bounded by the hand-over. When the run is to end,
//! a lane whose sink is away leaves: what it has not delivered is in the store, and goes out at the
//! next start.

use crate::contract::{Delivery, Notice, OutboxEntry, SinkError};
use crate::ids::Epoch;
use crate::runtime::failure::RunError;
use crate::runtime::load::Load;
use crate::runtime::metrics::SinkMetrics;
use crate::runtime::progress::{Progress, WAITING_ROWS_MAX};
use crate::runtime::spans::{Finished, Stretch};
use crate::store::{AwayNote, StoreError};
use crossbeam_channel::{Receiver, bounded, select};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Epochs that are delivered together, at most.
const WAITING_EPOCHS_MAX: usize = 4_096;
/// The first wait before a sink that is away is tried again; each further wait is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest wait before a sink that is away is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How soon a lane that waits sees that the run is to end.
const GLANCE: Duration = Duration::from_millis(20);
/// How often a lane that waits says so anew, with what waits by then.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A committed epoch for one sink; without an entry where it has nothing for it.
pub(crate) type ForLane = (Epoch, Option<OutboxEntry>);

/// One sink's deliveries.
pub(crate) struct Lane<'a> {
    number: usize,
    delivery: Box<dyn Delivery>,
    epochs: Receiver<ForLane>,
    interval: Duration,
    progress: &'a Progress,
    notice: Notice,
    /// Deliveries that were begun and are not visible yet; the oldest first.
    under_way: VecDeque<UnderWay>,
}

/// A delivery that was begun.
struct UnderWay {
    /// With it, everything up to here is visible.
    through: Epoch,
    load: Load,
    begun_at: u64,
    begun_micros: i64,
}

/// Epochs that wait for the next delivery.
#[derive(Default)]
struct Waiting {
    entries: Vec<OutboxEntry>,
    load: Load,
    /// The last of them, whether or not it has an entry.
    newest: Option<Epoch>,
}

impl Waiting {
    fn add(&mut self, (epoch, entry): ForLane) {
        self.newest = Some(epoch);
        if let Some(entry) = entry {
            self.load += Load::of(&entry);
            self.entries.push(entry);
        }
    }

    fn is_full(&self) -> bool {
        self.load.rows >= WAITING_ROWS_MAX || self.entries.len() >= WAITING_EPOCHS_MAX
    }
}

/// Why a lane ends before the run does.
enum Halt {
    Failed(RunError),
    /// The run is to end, and the sink is away.
    LeftForNow,
}

impl From<SinkError> for Halt {
    fn from(error: SinkError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl<'a> Lane<'a> {
    pub(crate) fn new(
        number: usize,
        delivery: Box<dyn Delivery>,
        epochs: Receiver<ForLane>,
        interval: Duration,
        progress: &'a Progress,
    ) -> Self {
        let notice = progress.metrics.notice(format!("sink {}", progress.sink(number)));
        Self { number, delivery, epochs, interval, progress, notice, under_way: VecDeque::new() }
    }

    /// Delivers what earlier runs left, through `newest_left`, then what comes, until no more comes
    /// and all is visible.
    pub(crate) fn run(
        &mut self,
        left: Vec<OutboxEntry>,
        newest_left: Option<Epoch>,
    ) -> Result<(), RunError> {
        match self.deliver_all(left, newest_left) {
            Ok(()) => Ok(()),
            Err(Halt::Failed(e)) => Err(e),
            Err(Halt::LeftForNow) => {
                self.progress.leaves(self.number);
                // Whoever hands over must not wait for this lane.
                while self.epochs.recv().is_ok() {
                    self.progress.leaves(self.number);
                }
                self.progress.leaves(self.number);
                Ok(())
            }
        }
    }

    fn deliver_all(
        &mut self,
        left: Vec<OutboxEntry>,
        newest_left: Option<Epoch>,
    ) -> Result<(), Halt> {
        let (wake, woken) = bounded(1);
        let waking = wake.clone();
        self.delivery.wake_by(Arc::new(move || {
            // A wake-up that is in the channel already is enough.
            let _full = waking.try_send(());
        }));
        self.delivery.hurry_by(Arc::clone(&self.progress.hurry));
        if let Some(newest) = newest_left {
            // What earlier runs left was never counted as waiting.
            self.progress.waits(self.number, Load::of_all(&left));
            self.begin(left, newest)?;
        }
        let at_once = self.delivery.under_way_max();
        let mut waiting = Waiting::default();
        let mut delivered_at = self.now();
        loop {
            let patience = match waiting.newest {
                Some(_) if self.under_way.len() < at_once => {
                    self.interval.saturating_sub(self.since(delivered_at))
                }
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
            let due = waiting.is_full()
                || waiting.entries.is_empty()
                || self.since(delivered_at) >= self.interval;
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
    fn finish(
        &mut self,
        waiting: Waiting,
        at_once: usize,
        woken: &Receiver<()>,
    ) -> Result<(), Halt> {
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

    /// The counters of this lane's sink.
    fn metrics(&self) -> Option<&'a SinkMetrics> {
        self.progress.metrics.sinks.get(self.number)
    }

    fn since(&self, then: u64) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(then))
    }

    fn begin(&mut self, entries: Vec<OutboxEntry>, through: Epoch) -> Result<(), Halt> {
        if entries.is_empty() {
            match self.under_way.back_mut() {
                Some(last) => last.through = through,
                None => self.progress.advance(self.number, through)?,
            }
            return Ok(());
        }
        self.under_way.push_back(UnderWay {
            through,
            load: Load::of_all(&entries),
            begun_at: self.now(),
            begun_micros: self.progress.clock.wall_micros(),
        });
        let begun = self.delivery.deliver(entries);
        self.outlast(begun)?;
        if self.delivery.under_way_max() == 1 { self.settled(1) } else { Ok(()) }
    }

    fn settle(&mut self) -> Result<(), Halt> {
        loop {
            match self.delivery.settle() {
                Ok(settled) => return self.settled(settled),
                // Deliveries that were retried with success are counted by the next `settle`.
                away => self.outlast(away.map(drop))?,
            }
        }
    }

    /// The oldest `count` deliveries are visible.
    fn settled(&mut self, count: usize) -> Result<(), Halt> {
        let metrics = self.metrics();
        for done in self.under_way.drain(..count.min(self.under_way.len())) {
            self.progress.went(self.number, done.load);
            let took = self.progress.clock.steady_nanos().saturating_sub(done.begun_at);
            if let Some(metrics) = metrics {
                metrics.delivery.record(took);
            }
            self.progress.metrics.spans.tell(|| Finished::Delivery {
                sink: self.progress.sink(self.number).to_owned(),
                through: done.through,
                epochs: done.load.epochs,
                whole: Stretch {
                    from_micros: done.begun_micros,
                    to_micros: self.progress.clock.wall_micros(),
                },
            });
            self.progress.advance(self.number, done.through)?;
        }
        Ok(())
    }

    /// Tries again for as long as the sink is away, unless the run is to end.
    fn outlast(&mut self, outcome: Result<(), SinkError>) -> Result<(), Halt> {
        let Err(first) = outcome else { return Ok(()) };
        let mut away = AwayNote {
            since_micros: self.progress.clock.wall_micros(),
            tried: 1,
            tried_micros: 0,
            reason: String::new(),
        };
        let (mut error, mut pause) = (first, PAUSE_MIN);
        loop {
            let SinkError::Away { object, reason, .. } = &error else { return Err(error.into()) };
            (away.tried_micros, away.reason) =
                (self.progress.clock.wall_micros(), format!("{object}: {reason}"));
            self.progress.is_away(self.number, Some(away.clone()));
            if let Some(metrics) = self.metrics() {
                metrics.errors_total.fetch_add(1, Ordering::Relaxed);
            }
            if !self.pause(pause, &away) {
                return Err(Halt::LeftForNow);
            }
            pause = (pause * 2).min(PAUSE_MAX);
            away.tried += 1;
            match self.delivery.try_again() {
                Ok(()) => {
                    (self.notice)(None);
                    self.progress.is_away(self.number, None);
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
    }

    /// Waits before the next attempt, and says what for; false when the run is to end.
    fn pause(&self, pause: Duration, away: &AwayNote) -> bool {
        let (began, mut told_at) = (self.now(), None);
        while self.since(began) < pause {
            if self.progress.hurry.load(Ordering::Acquire) || self.progress.failure.is_set() {
                return false;
            }
            if told_at.is_none_or(|told| self.since(told) >= TELL_EVERY) {
                told_at = Some(self.now());
                let now = self.progress.clock.wall_micros();
                (self.notice)(Some(tell(away, now, &self.progress.waiting(self.number))));
            }
            std::thread::sleep(GLANCE.min(pause));
        }
        true
    }
}

/// What there is to say of a sink that is away.
fn tell(away: &AwayNote, now: i64, waiting: &Load) -> String {
    let AwayNote { since_micros, tried, tried_micros, reason } = away;
    let seconds = |from: i64| now.saturating_sub(from).max(0) / 1_000_000;
    format!(
        "away for {} s, tried {tried} times, the last time {} s ago: {reason}. {waiting}; the run \
         goes on when it is back",
        seconds(*since_micros),
        seconds(*tried_micros)
    )
}
