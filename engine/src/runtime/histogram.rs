//! A histogram of durations: a counter per bucket, so that whoever measures never waits for whoever
//! reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets, in nanoseconds; one more bucket has no bound. A commit takes a
/// few milliseconds, a delivery to a table tens of them, an epoch up to `epoch.max`.
const BOUNDS_NANOS: [u64; 15] = [
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
];

/// Durations, counted by length.
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many fell into each bucket and into none before it; the last is without a bound.
    buckets: [AtomicU64; BOUNDS_NANOS.len() + 1],
    sum_nanos: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramCounts {
    /// By bucket: its upper bound in seconds, and how many were no longer than that.
    pub up_to: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long they were together, in seconds.
    pub sum_seconds: f64,
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn record(&self, nanos: u64) {
        let bucket = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// All durations together, in nanoseconds.
    #[must_use]
    pub fn sum_nanos(&self) -> u64 {
        self.sum_nanos.load(Ordering::Relaxed)
    }

    /// What it holds now; the count is that of the buckets, also while others are counted.
    #[must_use]
    pub fn counts(&self) -> HistogramCounts {
        let mut count = 0;
        let mut sums = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let up_to: Vec<(f64, u64)> =
            BOUNDS_NANOS.iter().map(|nanos| *nanos as f64 / 1e9).zip(sums.by_ref()).collect();
        sums.for_each(drop);
        HistogramCounts { up_to, count, sum_seconds: self.sum_nanos() as f64 / 1e9 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_every_bucket_that_it_fits() {
        let histogram = Histogram::default();
        for nanos in [0, 1_000_000, 1_000_001, 700_000_000, 61_000_000_000] {
            histogram.record(nanos);
        }
        let counts = histogram.counts();
        let up_to = |seconds: f64| counts.up_to.iter().find(|(bound, _)| *bound == seconds);
        assert_eq!(up_to(0.001), Some(&(0.001, 2)));
        assert_eq!(up_to(0.0025), Some(&(0.0025, 3)));
        assert_eq!(up_to(0.5), Some(&(0.5, 3)));
        assert_eq!(up_to(1.0), Some(&(1.0, 4)));
        assert_eq!(up_to(60.0), Some(&(60.0, 4)));
        assert_eq!(counts.count, 5);
        assert!((counts.sum_seconds - 61.702_000_001).abs() < 1e-9, "{counts:?}");
    }
}
