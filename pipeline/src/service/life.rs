//! What is known of a pipeline while the program runs, over all of its starts.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use riskstream_engine::runtime::RunControl;

use crate::config::spec::OnFailure;

/// Where a pipeline is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It restores its state, or reads.
    Running,
    /// It has failed, and will start again.
    Waiting,
    /// It has failed for good.
    Failed,
    /// Its input has ended, or it was stopped.
    Ended,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Running, Self::Waiting, Self::Failed, Self::Ended];
}

/// A pipeline's life, seen by all threads.
#[derive(Debug)]
pub(crate) struct Life {
    /// The pipeline's name.
    pub(crate) name: String,
    /// Steers it; its metrics go on over all starts.
    pub(crate) control: RunControl,
    /// What becomes of the program when it fails.
    pub(crate) on_failure: OnFailure,
    /// The folder of its store.
    pub(crate) store: PathBuf,
    phase: AtomicU8,
    starts: AtomicU64,
    failures: AtomicU64,
    /// Bytes of the store's folder, when they were last counted.
    pub(crate) store_disk_bytes: AtomicU64,
}

impl Life {
    pub(crate) fn new(
        name: String,
        control: RunControl,
        on_failure: OnFailure,
        store: PathBuf,
    ) -> Self {
        Self {
            name,
            control,
            on_failure,
            store,
            phase: AtomicU8::new(Phase::Running as u8),
            starts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            store_disk_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        let number = usize::from(self.phase.load(Ordering::Acquire));
        Phase::ALL.get(number).copied().unwrap_or(Phase::Running)
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// The pipeline starts, or starts again: the failure of the last start is cleared.
    pub(crate) fn starts(&self) {
        self.control.metrics.ready_nanos.store(0, Ordering::Relaxed);
        *self.control.metrics.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.starts.fetch_add(1, Ordering::AcqRel);
        self.set_phase(Phase::Running);
    }

    /// How often it has started.
    pub(crate) fn started(&self) -> u64 {
        self.starts.load(Ordering::Acquire)
    }

    /// How often it has started again after a failure.
    pub(crate) fn restarts(&self) -> u64 {
        self.started().saturating_sub(1)
    }

    /// Counts a failure that was reported.
    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Why it fails, or has failed since its last start.
    pub(crate) fn failing(&self) -> Option<String> {
        self.control.metrics.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The source or destination that is away, for which the pipeline waits and tries again.
    pub(crate) fn degraded(&self) -> Option<String> {
        self.control.metrics.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it reads, or has no more to read.
    pub(crate) fn is_ready(&self) -> bool {
        match self.phase() {
            Phase::Running => self.has_restored() && self.failing().is_none(),
            Phase::Waiting | Phase::Failed => false,
            Phase::Ended => true,
        }
    }

    /// Whether it runs, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.phase() == Phase::Running && self.failing().is_none()
    }

    /// Whether its state is restored and its source open.
    pub(crate) fn has_restored(&self) -> bool {
        self.control.metrics.ready_nanos.load(Ordering::Relaxed) > 0
    }
}
