//! The delivery thread: makes committed epochs visible outside, in order, several at a time.

use crate::contract::{Delivery, NEEDS_NOTHING_AGAIN, OutboxEntry, SinkError};
use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use crate::runtime::committer::CommittedEpoch;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::metrics::Metrics;
use crate::store::{DeliveredMarks, StoreError, UndeliveredEpoch};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rows that wait for delivery in memory, at most, before they are delivered whatever the interval.
const WAITING_ROWS_MAX: usize = 200_000;
/// How far sinks have come is written down this often, and at the end.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// Epochs that are delivered together, at most.
const WAITING_EPOCHS_MAX: usize = 4_096;

pub(crate) struct DeliveryLoop {
    pub(crate) sinks: Vec<(String, Box<dyn Delivery>)>,
    pub(crate) marks: DeliveredMarks,
    /// When they were last written down.
    pub(crate) marked_at: u64,
    /// Whether anything was delivered since.
    pub(crate) unmarked: bool,
    pub(crate) epochs: Receiver<CommittedEpoch>,
    pub(crate) interval: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) failure: Failure,
}

impl DeliveryLoop {
    /// Delivers what earlier runs left, then every epoch that is committed, until the committer is gone and all is out.
    pub(crate) fn run(mut self, left: Vec<UndeliveredEpoch>) {
        let waiting = left.into_iter().map(|e| CommittedEpoch {
            epoch: e.epoch,
            outbox: e.parts.into_iter().map(|(sink, parts)| (sink, OutboxEntry { epoch: e.epoch, parts })).collect(),
        });
        let delivered = self.deliver_all(waiting.collect());
        // Whether or not the last one failed: those before it are out.
        let marked = if self.unmarked { self.mark() } else { Ok(()) };
        if let Err(e) = delivered.and(marked.map_err(RunError::from)) {
            self.failure.set(e);
        }
    }

    fn deliver_all(&mut self, left: Vec<CommittedEpoch>) -> Result<(), RunError> {
        self.flush(left)?;
        let mut waiting: Vec<CommittedEpoch> = Vec::new();
        let mut flushed_at = self.clock.steady_nanos();
        loop {
            let since = Duration::from_nanos(self.clock.steady_nanos() - flushed_at);
            let patience = if waiting.is_empty() { Duration::from_secs(3_600) } else { self.interval.saturating_sub(since) };
            let ended = match self.epochs.recv_timeout(patience) {
                Ok(epoch) => {
                    waiting.push(epoch);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let since = Duration::from_nanos(self.clock.steady_nanos() - flushed_at);
            let rows: usize =
                waiting.iter().flat_map(|e| e.outbox.values()).flat_map(|o| &o.parts).flat_map(|p| &p.rows).map(|r| r.num_rows()).sum();
            let full = rows >= WAITING_ROWS_MAX || waiting.len() >= WAITING_EPOCHS_MAX;
            if ended || full || (since >= self.interval && !waiting.is_empty()) {
                self.flush(std::mem::take(&mut waiting))?;
                flushed_at = self.clock.steady_nanos();
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn mark(&mut self) -> Result<(), StoreError> {
        (self.marked_at, self.unmarked) = (self.clock.steady_nanos(), false);
        let through = Epoch(self.metrics.delivered_epoch.load(Ordering::Acquire));
        self.marks.record(self.sinks.iter().map(|(sink, _)| sink.as_str()), through)
    }

    fn flush(&mut self, epochs: Vec<CommittedEpoch>) -> Result<(), RunError> {
        let Some(newest) = epochs.last().map(|e| e.epoch) else { return Ok(()) };
        let started = self.clock.steady_nanos();
        let mut by_sink: BTreeMap<String, Vec<OutboxEntry>> = BTreeMap::new();
        for epoch in epochs {
            for (sink, entry) in epoch.outbox {
                by_sink.entry(sink).or_default().push(entry);
            }
        }
        // Sinks don't wait for each other's disk.
        let delivered: Vec<Result<(), SinkError>> = std::thread::scope(|scope| {
            let mut delivering = Vec::new();
            for (sink, delivery) in &mut self.sinks {
                if let Some(entries) = by_sink.remove(sink) {
                    delivering.push(scope.spawn(|| delivery.deliver(entries)));
                }
            }
            delivering.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        delivered.into_iter().collect::<Result<(), _>>()?;
        self.metrics.delivered_epoch.store(newest.0, Ordering::Release);
        self.unmarked = true;
        if self.clock.steady_nanos() - self.marked_at >= MARK_EVERY.as_nanos() as u64 {
            self.mark()?;
        }
        self.metrics.delivery_nanos_total.fetch_add(self.clock.steady_nanos() - started, Ordering::Relaxed);
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
