//! The committer: one thread that gathers every worker's part of an epoch and makes it the truth
//! with one file.

use crate::contract::{OutboxEntry, Shapes, SyncFiles};
use crate::ids::Epoch;
use crate::protocol::{Origin, SinkMark};
use crate::runtime::clock::Clock;
use crate::runtime::encoded::{CommittedEpoch, EncodedPart, Positions, WholeState};
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::housekeeper::NewSnapshot;
use crate::runtime::metrics::Metrics;
use crate::runtime::parts::Committed;
use crate::runtime::plan::EngineConfig;
use crate::runtime::spans::{Finished, Stretch};
use crate::store::{EpochHeader, Renamed, Store, StoreError};
use crossbeam_channel::{Receiver, Sender};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// At least every so many epochs, an epoch file says what the steps' state means.
const SHAPES_EVERY: u64 = 64;

pub(crate) struct Committer {
    pub(crate) store: Arc<Store>,
    pub(crate) workers: usize,
    pub(crate) next: Epoch,
    pub(crate) steps: Vec<String>,
    /// What the steps' state means.
    pub(crate) shapes: Shapes,
    /// The run's first epoch.
    pub(crate) first: Epoch,
    /// Whose epochs these are, and where their rows go.
    pub(crate) origin: Origin,
    /// By sink, the last epochs that had rows for it. What the origin does not name has none.
    pub(crate) sinks: BTreeMap<String, SinkMark>,
    /// Renames that a kept snapshot does not know.
    pub(crate) renamed: Vec<Renamed>,
    pub(crate) syncs: BTreeMap<String, SyncFiles>,
    pub(crate) config: EngineConfig,
    pub(crate) parts: Receiver<EncodedPart>,
    pub(crate) committed: Sender<Committed>,
    pub(crate) deliveries: Sender<CommittedEpoch>,
    pub(crate) snapshots: Sender<NewSnapshot>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
    /// Positions since the last snapshot.
    pub(crate) positions: Positions,
}

impl Committer {
    /// Commits epochs in order until the workers are gone.
    pub(crate) fn run(mut self) {
        let mut open: BTreeMap<Epoch, Vec<EncodedPart>> = BTreeMap::new();
        while let Ok(part) = self.parts.recv() {
            open.entry(part.epoch).or_default().push(part);
            while open.get(&self.next).is_some_and(|parts| parts.len() == self.workers) {
                let Some(parts) = open.remove(&self.next) else { break };
                if self.failure.is_set() {
                    return;
                }
                if let Err(e) = self.commit(parts) {
                    return self.failure.set(e);
                }
                self.next = self.next.next();
            }
        }
    }

    fn commit(&mut self, parts: Vec<EncodedPart>) -> Result<(), RunError> {
        let (started, started_micros) = (self.clock.steady_nanos(), self.clock.wall_micros());
        let (rows, dead, late) =
            parts.iter().fold((0, 0, 0), |sum, p| (sum.0 + p.rows, sum.1 + p.dead, sum.2 + p.late));
        // Letters about values that did not fit are about rows that were kept.
        self.check_dead(&parts, rows, dead - parts.iter().map(|p| p.unfit).sum::<u64>().min(dead))?;
        let Some(feed) = parts.first().map(|p| Arc::clone(&p.feed)) else { return Ok(()) };
        let mut header = EpochHeader {
            epoch: feed.epoch,
            generation: self.store.generation(),
            positions: feed.positions.clone(),
            rows,
            dead,
            late,
            steps: self.steps.clone(),
            history_files: Vec::new(),
            shapes: if self.says_shapes(feed.epoch) { self.shapes.clone() } else { Shapes::new() },
            origin: self.origin.clone(),
            sinks: BTreeMap::new(),
            edit: None,
            renamed: self.renamed.clone(),
        };
        let mut changes = Vec::new();
        let mut snapshot = Vec::new();
        let mut outbox: BTreeMap<String, OutboxEntry> = BTreeMap::new();
        let mut sunk = Vec::new();
        let mut dead_by_reason = Vec::with_capacity(parts.len());
        for part in parts {
            dead_by_reason.push(part.dead_by_reason);
            sunk.extend(part.sunk);
            changes.extend(part.changes);
            snapshot.push(part.snapshot);
            header.history_files.extend(part.history_files);
            for (sink, out) in part.outbox {
                outbox
                    .entry(sink)
                    .or_insert_with(|| OutboxEntry { epoch: feed.epoch, parts: Vec::new() })
                    .parts
                    .push(out);
            }
        }
        for sink in outbox.keys().filter(|sink| self.origin.remembers(sink)) {
            self.sinks.entry(sink.clone()).or_default().advance(feed.epoch);
        }
        header.sinks.clone_from(&self.sinks);
        let history_files = std::mem::take(&mut header.history_files);
        let file = self.sync_while(&outbox, || self.store.epoch_file(&header, &changes))?;
        let written = self.store.commit_file(file)?;
        for (sink, rows) in sunk {
            self.metrics.steps[sink].rows_out.fetch_add(rows, Ordering::Relaxed);
        }
        self.metrics.rows_committed_total.fetch_add(rows, Ordering::Relaxed);
        self.metrics.dead_committed_total.fetch_add(dead, Ordering::Relaxed);
        self.metrics.late_committed_total.fetch_add(late, Ordering::Relaxed);
        dead_by_reason.into_iter().for_each(|reasons| self.metrics.add_dead(reasons));
        self.metrics.committed_epoch.store(feed.epoch.0, Ordering::Release);
        self.metrics
            .epoch
            .record(self.clock.steady_nanos().saturating_sub(feed.first_block.steady_nanos));
        self.metrics.spans.tell(|| {
            let to_micros = self.clock.wall_micros();
            Finished::Epoch {
                epoch: feed.epoch,
                whole: Stretch { from_micros: feed.first_block.wall_micros, to_micros },
                commit: Stretch { from_micros: started_micros, to_micros },
                rows,
                late,
                dead,
                bytes: written,
            }
        });
        // The feed may be gone already; then nobody waits for room.
        let snapshot_bytes = feed.snapshot.then(|| snapshot.iter().map(WholeState::bytes).sum());
        let _gone =
            self.committed.send(Committed { epoch: feed.epoch, bytes: written, snapshot_bytes });
        if self.deliveries.send(CommittedEpoch { epoch: feed.epoch, outbox }).is_err() {
            self.failure.set_gone("delivery");
        }
        self.positions.append(&mut header.positions);
        if feed.snapshot {
            header.history_files = history_files;
            header.shapes = self.shapes.clone();
            // The housekeeper knows the positions from before the last snapshot.
            header.positions = std::mem::take(&mut self.positions);
            if self.snapshots.send(NewSnapshot { header, parts: snapshot }).is_err() {
                self.failure.set_gone("housekeeper");
            }
        }
        self.metrics.store_bytes_total.fetch_add(written, Ordering::Relaxed);
        self.metrics.commit.record(self.clock.steady_nanos() - started);
        Ok(())
    }

    /// Whether an epoch's file says what the steps' state means. Whoever looks for it from the
    /// newest file on finds it soon.
    fn says_shapes(&self, epoch: Epoch) -> bool {
        epoch == self.first || epoch.0.is_multiple_of(SHAPES_EVERY)
    }

    fn check_dead(&self, parts: &[EncodedPart], rows: u64, dead: u64) -> Result<(), RunError> {
        // Rejected rows never became rows; rows that a step dead-lettered count twice here, on the
        // safe side.
        let total = rows + dead;
        let share = if total == 0 { 0.0 } else { dead as f64 / total as f64 };
        if total < self.config.dead_rows_min || share <= self.config.dead_rows_max {
            return Ok(());
        }
        let first =
            parts.iter().map(|p| p.first_dead.clone()).find(|f| !f.is_empty()).unwrap_or_default();
        let epoch = parts.first().map_or(0, |p| p.epoch.0);
        Err(RunError::TooManyDead {
            epoch,
            dead,
            total,
            allowed_percent: self.config.dead_rows_max * 100.0,
            first,
        })
    }

    /// Makes staged files durable, and meanwhile what has nothing to do with the disk.
    fn sync_while<T>(
        &self,
        outbox: &BTreeMap<String, OutboxEntry>,
        meanwhile: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, RunError> {
        let staged = |entry: &OutboxEntry| {
            entry.parts.iter().flat_map(|p| &p.files).cloned().collect::<Vec<_>>()
        };
        let staged: Vec<_> = outbox
            .iter()
            .filter_map(|(sink, entry)| Some((self.syncs.get(sink)?, staged(entry))))
            .filter(|(_, files)| !files.is_empty())
            .collect();
        if staged.is_empty() {
            return Ok(meanwhile()?);
        }
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| staged.iter().try_for_each(|(sync, files)| sync(files)));
            let done = meanwhile();
            // A panic of the thread goes on as this one's.
            syncing.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok(done?)
        })
    }
}
