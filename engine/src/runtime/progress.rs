//! How far the lanes of the sinks have come, and what waits for them.

use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use crate::runtime::failure::Failure;
use crate::runtime::load::Load;
use crate::runtime::metrics::Metrics;
use crate::store::{AwayNote, AwayNotes, DeliveredMarks, StoreError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rows that wait for one sink in memory, at most, before they are delivered whatever the interval.
pub(crate) const WAITING_ROWS_MAX: u64 = 200_000;
/// How far sinks have come is written down this often, and at the end.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// How far the lanes have come.
pub(crate) struct Progress {
    pub(crate) through: Vec<AtomicU64>,
    /// What waits for each lane.
    pub(crate) waiting: Vec<Mutex<Load>>,
    pub(crate) waiting_max: Load,
    pub(crate) marks: Mutex<Marks>,
    pub(crate) away: Mutex<AwayNotes>,
    pub(crate) sinks: Vec<String>,
    pub(crate) hurry: Arc<AtomicBool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
}

pub(crate) struct Marks {
    pub(crate) marks: DeliveredMarks,
    /// When the marks were last written.
    pub(crate) marked_at: u64,
    /// Whether anything was delivered since the marks were last written.
    pub(crate) unmarked: bool,
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

    pub(crate) fn is_full(&self) -> bool {
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

    /// Writes the marks, if anything was delivered since they were last written.
    pub(crate) fn mark(&self) -> Result<(), StoreError> {
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
