//! The housekeeper: one thread that writes snapshots and deletes what they made needless, so that
//! neither a commit nor a worker waits for either.
//!
//! It deletes a few files at a time: a file system that is told to drop hundreds at once lets the
//! next commit's sync wait for all of them.

use crate::background::lower_priority;
use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use crate::runtime::encoded::{Positions, WholeState};
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::metrics::Metrics;
use crate::store::{EpochHeader, KeptSnapshots, Store, StoreError};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Time between deletions while there is no other work.
const DELETE_EVERY: Duration = Duration::from_millis(5);
/// A share of what waits goes each time, so that it never piles up.
const DELETE_SHARE: usize = 64;

/// The whole state as of a committed epoch; of the positions, those since the last snapshot.
#[derive(Debug)]
pub(crate) struct NewSnapshot {
    pub(crate) header: EpochHeader,
    pub(crate) parts: Vec<WholeState>,
}

pub(crate) struct Housekeeper {
    pub(crate) store: Arc<Store>,
    /// Of capacity 0: while a snapshot is being written, whoever brings the next one waits.
    pub(crate) snapshots: Receiver<NewSnapshot>,
    pub(crate) kept: KeptSnapshots,
    /// All positions as of the last snapshot, or as the run began.
    pub(crate) positions: Positions,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
}

impl Housekeeper {
    /// Works until the committer is gone and everything needless is deleted.
    pub(crate) fn run(mut self) {
        lower_priority();
        if let Err(e) = self.work() {
            self.failure.set(e);
        }
    }

    fn work(&mut self) -> Result<(), RunError> {
        let mut needless: BTreeSet<String> = BTreeSet::new();
        loop {
            let patience =
                if needless.is_empty() { Duration::from_secs(3_600) } else { DELETE_EVERY };
            let (batch, ended) = match self.snapshots.recv_timeout(patience) {
                Ok(snapshot) => {
                    self.write(snapshot)?;
                    self.add_needless(&mut needless)?;
                    (0, false)
                }
                Err(RecvTimeoutError::Timeout) => (needless.len().div_ceil(DELETE_SHARE), false),
                Err(RecvTimeoutError::Disconnected) => (needless.len(), true),
            };
            if self.failure.is_set() {
                return Ok(());
            }
            for file in std::iter::from_fn(|| needless.pop_first()).take(batch) {
                self.store.delete(&file)?;
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn write(&mut self, NewSnapshot { mut header, parts }: NewSnapshot) -> Result<(), RunError> {
        let started = self.clock.steady_nanos();
        self.positions.append(&mut header.positions);
        header.positions = std::mem::take(&mut self.positions);
        let sections = parts.into_iter().flat_map(WholeState::sections);
        let written = self.kept.write(&self.store, &header, sections)?;
        self.positions = header.positions;
        self.metrics.store_bytes_total.fetch_add(written, Ordering::Relaxed);
        self.metrics
            .snapshot_nanos_total
            .fetch_add(self.clock.steady_nanos() - started, Ordering::Relaxed);
        Ok(())
    }

    fn add_needless(&mut self, needless: &mut BTreeSet<String>) -> Result<(), StoreError> {
        let delivered = Epoch(self.metrics.delivered_epoch.load(Ordering::Acquire));
        needless.extend(self.kept.needless(&self.store, delivered)?);
        Ok(())
    }
}
