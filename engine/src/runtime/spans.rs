//! What a run has finished, epoch by epoch, for whoever wants to trace it. Nobody waits for the
//! listener: what it does not take in time is left out, and counted.

use crate::ids::Epoch;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

/// From when to when, microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// When it began.
    pub from_micros: i64,
    /// When it had ended.
    pub to_micros: i64,
}

/// Something that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// An epoch was committed.
    Epoch {
        /// The epoch.
        epoch: Epoch,
        /// From its first row, or its close where it has none, to its commit.
        whole: Stretch,
        /// From when all workers had closed it to when its file was durable.
        commit: Stretch,
        /// Rows read.
        rows: u64,
        /// Of them, late ones.
        late: u64,
        /// Dead letters.
        dead: u64,
        /// Bytes of its file.
        bytes: u64,
    },
    /// A sink has made epochs visible.
    Delivery {
        /// The sink.
        sink: String,
        /// The last of the epochs.
        through: Epoch,
        /// How many of them had something for the sink.
        epochs: u64,
        /// From the first attempt to when they were visible.
        whole: Stretch,
    },
}

/// Where finished epochs and deliveries go, when anybody listens.
#[derive(Debug, Default)]
pub struct Spans {
    to: OnceLock<SyncSender<Finished>>,
    missed: AtomicU64,
}

impl Spans {
    /// From now on they go there; the first listener stays.
    pub fn listen(&self, to: SyncSender<Finished>) {
        // A second run of the same control has the same listener.
        let _first_stays = self.to.set(to);
    }

    /// How many a listener did not take in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Tells of something that has ended; it is only made where somebody listens.
    pub(crate) fn tell(&self, finished: impl FnOnce() -> Finished) {
        let Some(to) = self.to.get() else { return };
        match to.try_send(finished()) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
