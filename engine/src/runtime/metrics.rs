//! Numbers that a run shows while it goes: plain counters, read by whoever draws.

use crate::contract::Notice;
use crate::runtime::histogram::Histogram;
use crate::runtime::spans::Spans;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The id of the feed's polls of the source, which have a thread of their own.
pub const READ_STEP: &str = "source.read";
/// The decoding of blocks.
pub(crate) const DECODE_STEP: &str = "decode";
/// The rows that wait for the watermark; under this id they are saved, too.
pub(crate) const HOLD_STEP: &str = "source.hold";
/// The splitting of batches by key, before all steps that need it.
pub(crate) const SPLIT_STEP: &str = "split";

/// Counters of a run.
#[derive(Debug)]
pub struct Metrics {
    /// Rows decoded.
    pub rows_in_total: AtomicU64,
    /// Raw bytes of blocks that were decoded.
    pub bytes_in_total: AtomicU64,
    /// Rows of committed epochs.
    pub rows_committed_total: AtomicU64,
    /// Dead letters of committed epochs.
    pub dead_committed_total: AtomicU64,
    /// Late rows of committed epochs.
    pub late_committed_total: AtomicU64,
    /// Last committed epoch.
    pub committed_epoch: AtomicU64,
    /// Last epoch that every sink has made visible.
    pub delivered_epoch: AtomicU64,
    /// The open epoch.
    pub open_epoch: AtomicU64,
    /// Watermark, microseconds; `i64::MIN` before the first.
    pub watermark_micros: AtomicI64,
    /// Newest event time seen.
    pub event_time_max_micros: AtomicI64,
    /// Bytes written to epoch files and snapshots.
    pub store_bytes_total: AtomicU64,
    /// How long epochs took, from their first row to their commit.
    pub epoch: Histogram,
    /// How long commits took.
    pub commit: Histogram,
    /// Nanoseconds that writing snapshots took, beside the commits.
    pub snapshot_nanos_total: AtomicU64,
    /// Nanoseconds of the run's clock at which its state was restored and the first row could be
    /// read; 0 before.
    pub ready_nanos: AtomicU64,
    /// Bytes of blocks that were read, of epochs that are not committed.
    pub bytes_in_flight: AtomicU64,
    /// Partitions that are not read to their end.
    pub partitions_open: AtomicU64,
    /// Of them those that hold the watermark back the most, at most [`PARTITIONS_SHOWN_MAX`]; as of
    /// a second ago or less.
    pub partitions: Mutex<Vec<PartitionMetrics>>,
    /// Dead letters of committed epochs, by their reason.
    pub dead_by_reason: Mutex<BTreeMap<String, u64>>,
    /// What the source has read, and how much there is (0: unknown).
    pub progress_done: AtomicU64,
    /// See `progress_done`.
    pub progress_total: AtomicU64,
    /// The steps, in the order of the pipeline: `source.read`, `decode`, `source.hold`, each step,
    /// each sink, `split`.
    pub steps: Vec<StepMetrics>,
    /// The sinks, the dead letters' last.
    pub sinks: Vec<SinkMetrics>,
    /// Where finished epochs and deliveries are told of.
    pub spans: Spans,
    /// Why the run fails, as soon as that is known: its threads have yet to end. Whoever tells of
    /// it takes it.
    pub failing: Mutex<Option<String>>,
    /// The newest problem that is being retried, shown to whoever watches.
    pub degraded: Mutex<Option<String>>,
}

/// Partitions of which [`Metrics::partitions`] says something.
pub(crate) const PARTITIONS_SHOWN_MAX: usize = 200;

/// How far one partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetrics {
    /// Its name.
    pub name: String,
    /// Newest event time seen in this run, microseconds.
    pub event_time_max_micros: i64,
    /// Its watermark: no row of it is expected that is older, microseconds.
    pub watermark_micros: i64,
}

/// Counters of one sink.
#[derive(Debug)]
pub struct SinkMetrics {
    /// The sink's id.
    pub id: String,
    /// How long deliveries took, from the first attempt to when the rows were visible.
    pub delivery: Histogram,
    /// Attempts that failed, the destination being away.
    pub errors_total: AtomicU64,
    /// The last epoch that it has made visible.
    pub delivered_epoch: AtomicU64,
}

impl SinkMetrics {
    fn new(id: String) -> Self {
        Self {
            id,
            delivery: Histogram::default(),
            errors_total: AtomicU64::new(0),
            delivered_epoch: AtomicU64::new(0),
        }
    }
}

/// Counters of one step, over all workers.
#[derive(Debug)]
pub struct StepMetrics {
    /// The step's id.
    pub id: String,
    /// Rows that came in.
    pub rows_in: AtomicU64,
    /// Rows that went out; of a sink, those of committed epochs.
    pub rows_out: AtomicU64,
    /// Rows that it made dead letters.
    pub dead: AtomicU64,
    /// Nanoseconds of work.
    pub busy_nanos: AtomicU64,
    /// Bytes of state, at the last epoch, all workers.
    pub state_bytes: Vec<AtomicU64>,
    /// Values that are null because their type does not hold them, by column.
    pub unfit: Mutex<BTreeMap<String, u64>>,
}

impl StepMetrics {
    fn new(id: String, workers: usize) -> Self {
        Self {
            id,
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            busy_nanos: AtomicU64::new(0),
            state_bytes: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            unfit: Mutex::new(BTreeMap::new()),
        }
    }

    /// Bytes of state over all workers.
    #[must_use]
    pub fn state_bytes_total(&self) -> u64 {
        self.state_bytes.iter().map(|b| b.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn add_unfit(&self, unfit: BTreeMap<String, u64>) {
        let mut all = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        for (column, values) in unfit {
            *all.entry(column).or_default() += values;
        }
    }

    pub(crate) fn add(&self, rows_in: u64, rows_out: u64, nanos: u64) {
        self.rows_in.fetch_add(rows_in, Ordering::Relaxed);
        self.rows_out.fetch_add(rows_out, Ordering::Relaxed);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new(
        ids: impl IntoIterator<Item = String>,
        sinks: impl IntoIterator<Item = String>,
        workers: usize,
    ) -> Self {
        Self {
            rows_in_total: AtomicU64::new(0),
            bytes_in_total: AtomicU64::new(0),
            rows_committed_total: AtomicU64::new(0),
            dead_committed_total: AtomicU64::new(0),
            late_committed_total: AtomicU64::new(0),
            committed_epoch: AtomicU64::new(0),
            delivered_epoch: AtomicU64::new(0),
            open_epoch: AtomicU64::new(0),
            watermark_micros: AtomicI64::new(i64::MIN),
            event_time_max_micros: AtomicI64::new(i64::MIN),
            store_bytes_total: AtomicU64::new(0),
            epoch: Histogram::default(),
            commit: Histogram::default(),
            snapshot_nanos_total: AtomicU64::new(0),
            ready_nanos: AtomicU64::new(0),
            bytes_in_flight: AtomicU64::new(0),
            partitions_open: AtomicU64::new(0),
            partitions: Mutex::default(),
            dead_by_reason: Mutex::default(),
            progress_done: AtomicU64::new(0),
            progress_total: AtomicU64::new(0),
            steps: ids.into_iter().map(|id| StepMetrics::new(id, workers)).collect(),
            sinks: sinks.into_iter().map(SinkMetrics::new).collect(),
            spans: Spans::default(),
            failing: Mutex::new(None),
            degraded: Mutex::new(None),
        }
    }

    /// Nanoseconds that deliveries took, of all sinks.
    #[must_use]
    pub fn delivery_nanos_total(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.delivery.sum_nanos()).sum()
    }

    /// Bytes of rows that are held back for the watermark, and of those that were read and are not
    /// committed.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        let waiting =
            self.steps.get(self.step(HOLD_STEP)).map_or(0, StepMetrics::state_bytes_total);
        waiting + self.bytes_in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn set_failing(&self, reason: String) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    pub(crate) fn add_dead(&self, reasons: BTreeMap<String, u64>) {
        if reasons.is_empty() {
            return;
        }
        let mut all = self.dead_by_reason.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, letters) in reasons {
            *all.entry(reason).or_default() += letters;
        }
    }

    pub(crate) fn step(&self, id: &str) -> usize {
        self.steps.iter().position(|s| s.id == id).unwrap_or(0)
    }

    /// A way to say so for one of several who may: none takes back what another has said.
    pub(crate) fn notice(self: &Arc<Self>, who: String) -> Notice {
        let metrics = Arc::clone(self);
        Arc::new(move |reason| {
            let mut shown = metrics.degraded.lock().unwrap_or_else(PoisonError::into_inner);
            match reason {
                Some(reason) => *shown = Some(format!("{who}: {reason}")),
                None if shown.as_ref().is_some_and(|s| {
                    s.strip_prefix(&*who).is_some_and(|rest| rest.starts_with(": "))
                }) =>
                {
                    *shown = None
                }
                None => {}
            }
        })
    }

    /// Says that something is being retried, or that it is well again.
    pub fn set_degraded(&self, reason: Option<String>) {
        *self.degraded.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}
