//! Reaches the source and the destinations before a run begins.
//!
//! A destination or a source that an earlier run has worked with is waited for as long as it is
//! away, and that is said, as in a run under way. One that no run has ever reached may have a wrong
//! name: it is an error after [`FIRST_PATIENCE`].

use crate::contract::{
    Delivery, NEEDS_NOTHING_AGAIN, Notice, PartitionInfo, Position, SinkError, Source, SourceError,
};
use crate::disk::Folder;
use crate::ids::Epoch;
use crate::protocol::Origin;
use crate::runtime::clock::Clock;
use crate::runtime::metrics::Metrics;
use crate::store::{AwayNote, AwayNotes, StoreError, saved_origin};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a source or destination that no run has ever reached is tried.
pub const FIRST_PATIENCE: Duration = Duration::from_secs(60);
/// The wait after the first attempt; each further wait is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest wait between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How soon a stop is seen.
const GLANCE: Duration = Duration::from_millis(20);

/// Asks what a run needs outside until it answers.
pub(crate) struct Outside<'a> {
    /// The run's stop flag, and the metrics in which it says what it waits for; none for a command
    /// that only looks.
    run: Option<(&'a AtomicBool, &'a Arc<Metrics>)>,
    clock: &'a dyn Clock,
    /// What earlier runs have reached; none for a command that only looks, which waits for nobody
    /// for long.
    reached: Option<Origin>,
    /// The notes that commands which look at the store meanwhile read.
    away: Option<Mutex<AwayNotes>>,
    /// A source or destination can't be reached for good: the others need not be waited for.
    given_up: AtomicBool,
}

/// Why a source or destination was not reached.
enum Unreached<E> {
    Failed(E),
    /// The run is to end.
    Stopped,
}

/// An error that may say that a source or destination is away.
trait MaybeAway: std::fmt::Display {
    /// What is away, and why; none when waiting does not help.
    fn away(&self) -> Option<String>;
}

impl MaybeAway for SinkError {
    fn away(&self) -> Option<String> {
        let Self::Away { object, reason, .. } = self else { return None };
        Some(format!("{object}: {reason}"))
    }
}

impl MaybeAway for SourceError {
    fn away(&self) -> Option<String> {
        let Self::Away { object, reason, .. } = self else { return None };
        Some(format!("{object}: {reason}"))
    }
}

impl<'a> Outside<'a> {
    /// For a run that is about to begin.
    ///
    /// # Errors
    /// When the store can't be asked what runs have reached before.
    pub(crate) fn for_run(
        stop: &'a AtomicBool,
        metrics: &'a Arc<Metrics>,
        clock: &'a dyn Clock,
        store: &Folder,
    ) -> Result<Self, StoreError> {
        let reached = Some(saved_origin(store)?.unwrap_or_default());
        let away = Some(Mutex::new(AwayNotes::begin(store)));
        Ok(Self {
            run: Some((stop, metrics)),
            clock,
            reached,
            away,
            given_up: AtomicBool::new(false),
        })
    }

    /// For a command that only looks.
    pub(crate) fn for_look(clock: &'a dyn Clock) -> Self {
        Self { run: None, clock, reached: None, away: None, given_up: AtomicBool::new(false) }
    }

    /// The last epoch that each sink has made visible, by id; 0 for one that never saw any. Sinks
    /// that need nothing again are left out. None when the run was stopped meanwhile.
    ///
    /// # Errors
    /// When a destination can't be asked.
    pub(crate) fn ask_delivered(
        &self,
        sinks: &mut [(String, Box<dyn Delivery>)],
        present: &Origin,
    ) -> Result<Option<BTreeMap<String, Epoch>>, SinkError> {
        // All at once: each may have a log to read.
        let asked: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = sinks
                .iter_mut()
                .map(|(id, delivery)| {
                    let known = self.has_reached(id, present);
                    let asked = id.as_str();
                    let ask = move || {
                        self.outlast(&format!("sink {asked}"), Some(asked), known, || {
                            delivery.delivered_through()
                        })
                    };
                    (asked.to_owned(), scope.spawn(ask))
                })
                .collect();
            asking
                .into_iter()
                .map(|(id, thread)| {
                    (id, thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
                })
                .collect()
        });
        let (mut delivered, mut stopped) = (BTreeMap::new(), false);
        for (id, through) in asked {
            match through {
                Ok(Some(NEEDS_NOTHING_AGAIN)) => {}
                Ok(through) => {
                    delivered.insert(id, through.unwrap_or(Epoch(0)));
                }
                Err(Unreached::Failed(error)) => return Err(error),
                Err(Unreached::Stopped) => stopped = true,
            }
        }
        Ok((!stopped).then_some(delivered))
    }

    /// Opens the source where it was left; false when the run was stopped meanwhile.
    ///
    /// # Errors
    /// As of [`Source::open`].
    pub(crate) fn open(
        &self,
        source: &mut dyn Source,
        positions: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<bool, SourceError> {
        let who = format!("source {}", source.name());
        match self.outlast(&who, None, !positions.is_empty(), || source.open(positions)) {
            Ok(()) => Ok(true),
            Err(Unreached::Stopped) => Ok(false),
            Err(Unreached::Failed(error)) => Err(error),
        }
    }

    /// Whether an earlier run has delivered, or could have, to where the sink's rows go now.
    fn has_reached(&self, sink: &str, present: &Origin) -> bool {
        let before = self.reached.as_ref().and_then(|reached| reached.destinations.get(sink));
        before.is_some() && before == present.destinations.get(sink)
    }

    /// Asks until there is an answer.
    fn outlast<T, E: MaybeAway>(
        &self,
        who: &str,
        sink: Option<&str>,
        known: bool,
        mut ask: impl FnMut() -> Result<T, E>,
    ) -> Result<T, Unreached<E>> {
        let notice: Notice = match self.run {
            Some((_, metrics)) => metrics.notice(who.to_owned()),
            None => Arc::new(|_| {}),
        };
        let began = self.clock.steady_nanos();
        let mut note = AwayNote {
            since_micros: self.clock.wall_micros(),
            tried: 0,
            tried_micros: 0,
            reason: String::new(),
        };
        let mut pause = PAUSE_MIN;
        loop {
            let error = match ask() {
                Ok(answer) => {
                    if note.tried > 0 {
                        self.is_away(sink, None);
                        notice(None);
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let waited = Duration::from_nanos(self.clock.steady_nanos().saturating_sub(began));
            let Some(reason) = error.away().filter(|_| known || waited < FIRST_PATIENCE) else {
                self.given_up.store(true, Ordering::Release);
                return Err(Unreached::Failed(error));
            };
            note = AwayNote {
                tried: note.tried + 1,
                tried_micros: self.clock.wall_micros(),
                reason,
                ..note
            };
            self.is_away(sink, Some(&note));
            let AwayNote { tried, reason, .. } = &note;
            notice(Some(format!(
                "away for {} s, tried {tried} times: {reason}; the run begins when it is back",
                waited.as_secs()
            )));
            if !self.pause(pause) {
                return Err(Unreached::Stopped);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits before the next attempt; false when there need not be one.
    fn pause(&self, pause: Duration) -> bool {
        let began = std::time::Instant::now();
        loop {
            let stopped = self.run.is_some_and(|(stop, _)| stop.load(Ordering::Acquire));
            if stopped || self.given_up.load(Ordering::Acquire) {
                return false;
            }
            let left = pause.saturating_sub(began.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(GLANCE.min(left));
        }
    }

    fn is_away(&self, sink: Option<&str>, note: Option<&AwayNote>) {
        if let (Some(notes), Some(sink)) = (&self.away, sink) {
            notes.lock().unwrap_or_else(PoisonError::into_inner).set(sink, note.cloned());
        }
    }
}
