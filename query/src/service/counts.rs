//! What statements have done since the service began, for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use riskstream_engine::runtime::HistogramCounts;

/// Upper bounds of the buckets of durations, in nanoseconds.
const BOUNDS_NANOS: [u64; 17] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
];

/// The counters of a service. They only grow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ended: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    durations: [AtomicU64; BOUNDS_NANOS.len() + 1],
    nanos: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    spilled_bytes: AtomicU64,
}

/// What a statement has done by its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// Through what it came.
    pub(super) port: &'static str,
    /// The SQLSTATE with which it ended.
    pub(super) code: &'static str,
    /// How long it took.
    pub(super) took: Duration,
    /// Rows that it gave.
    pub(super) rows: u64,
    /// Bytes of memory that they took.
    pub(super) bytes: u64,
    /// Bytes that it wrote to the disk for want of memory.
    pub(super) spilled_bytes: u64,
}

impl Counts {
    /// Counts a statement that has ended.
    pub(super) fn add(&self, done: &Done) {
        // Codes have five characters, of which the first two are the class.
        let class = done.code.get(..2).unwrap_or(done.code);
        *self.lock().entry((done.port, class)).or_default() += 1;
        let nanos = u64::try_from(done.took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.durations.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.rows.fetch_add(done.rows, Ordering::Relaxed);
        self.bytes.fetch_add(done.bytes, Ordering::Relaxed);
        self.spilled_bytes.fetch_add(done.spilled_bytes, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(&'static str, &'static str), u64>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they hold now.
    pub(super) fn seen(&self) -> Counted {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut count = 0;
        let mut sums = self.durations.iter().map(|bucket| {
            count += load(bucket);
            count
        });
        let up_to: Vec<(f64, u64)> =
            BOUNDS_NANOS.iter().map(|nanos| *nanos as f64 / 1e9).zip(sums.by_ref()).collect();
        sums.for_each(drop);
        let ended = self.lock();
        let ended = ended.iter().map(|((port, class), count)| Ended {
            port,
            sqlstate_class: class,
            count: *count,
        });
        Counted {
            ended: ended.collect(),
            durations: HistogramCounts {
                up_to,
                count,
                sum_seconds: load(&self.nanos) as f64 / 1e9,
            },
            rows: load(&self.rows),
            bytes: load(&self.bytes),
            spilled_bytes: load(&self.spilled_bytes),
        }
    }
}

/// What statements that have ended did.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// How many, by port and outcome.
    pub ended: Vec<Ended>,
    /// How long they took, from their arrival to their last row.
    pub durations: HistogramCounts,
    /// Rows that they gave.
    pub rows: u64,
    /// Bytes of memory that their rows took.
    pub bytes: u64,
    /// Bytes that they wrote to the disk for want of memory.
    pub spilled_bytes: u64,
}

/// Statements of one port with one kind of outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The port: `postgres`, `flight`, `cli`.
    pub port: &'static str,
    /// The first two characters of the SQLSTATE; `00` for success.
    pub sqlstate_class: &'static str,
    /// How many.
    pub count: u64,
}

/// How a service is at a moment, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceCounts {
    /// Statements that have ended.
    pub counted: Counted,
    /// Statements that work.
    pub running: usize,
    /// Statements that wait for their turn.
    pub waiting: usize,
    /// Statements that have begun and not ended, those whose client takes its time included.
    pub open: usize,
    /// Bytes that operators hold.
    pub memory_bytes: usize,
    /// Bytes that operators may hold.
    pub memory_bytes_max: usize,
    /// Bytes that are on the disk now for want of memory.
    pub spill_bytes: u64,
    /// Whether the file of users is wrong, so that the rules before it hold; none where there is no
    /// such file.
    pub users_file_is_wrong: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_by_port_and_class() {
        let counts = Counts::default();
        let done = |port, code, millis| Done {
            port,
            code,
            took: Duration::from_millis(millis),
            rows: 2,
            bytes: 10,
            spilled_bytes: 1,
        };
        for one in [
            done("postgres", "00000", 1),
            done("postgres", "42601", 30),
            done("postgres", "42P01", 1_000_000),
            done("cli", "00000", 0),
        ] {
            counts.add(&one);
        }
        let counted = counts.seen();
        let ended: Vec<_> =
            counted.ended.iter().map(|one| (one.port, one.sqlstate_class, one.count)).collect();
        assert_eq!(ended, [("cli", "00", 1), ("postgres", "00", 1), ("postgres", "42", 2)]);
        assert_eq!((counted.rows, counted.bytes, counted.spilled_bytes), (8, 40, 4));
        let up_to = |seconds: f64| counted.durations.up_to.iter().find(|(b, _)| *b == seconds);
        assert_eq!(up_to(0.0005), Some(&(0.0005, 1)));
        assert_eq!(up_to(0.001), Some(&(0.001, 2)));
        assert_eq!(up_to(300.0), Some(&(300.0, 3)), "the longest is in none but the last");
        assert_eq!(counted.durations.count, 4);
    }
}
