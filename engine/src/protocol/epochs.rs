//! When an epoch closes, and when the next may open.

use crate::ids::Epoch;

/// Limits of one epoch and of how many may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochLimits {
    /// An epoch with rows stays open at least this long, microseconds (unless it is full).
    pub min_micros: i64,
    /// An epoch closes after this long, microseconds.
    pub max_micros: i64,
    /// An epoch closes when it holds this many rows (counted, or estimated from bytes). The first
    /// three epochs of a run close at an eighth, a quarter and a half of it, so that the workers
    /// have epochs to finish while the first full one is still read.
    pub rows_max: u64,
    /// An epoch closes when its blocks hold this many bytes.
    pub bytes_max: u64,
    /// Epochs closed and not committed yet, at most; 0 counts as 1.
    pub in_flight_max: u64,
    /// A snapshot is taken at most once in so many epochs.
    pub snapshot_every_epochs: u64,
    /// A snapshot is taken only when the epochs since the last one hold this percentage of the last
    /// one's bytes. With 100, snapshots at most double what is written, a restart reads at most
    /// about twice the state, and a quiet stream of short epochs is not all snapshots.
    pub snapshot_growth_percent: u64,
    /// A snapshot is taken only when the epochs since the last one hold so many bytes: a small
    /// state isn't written over and over, and this much is read again in no time.
    pub snapshot_bytes_min: u64,
}

/// What the next snapshot depends on: the last one, and the epochs since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotAge {
    /// Bytes of the last snapshot; 0 when there is none.
    pub snapshot_bytes: u64,
    /// Epochs closed since.
    pub epochs: u64,
    /// Bytes of the epochs committed since.
    pub epoch_bytes: u64,
}

impl SnapshotAge {
    /// Counts an epoch that was committed with `bytes`; `snapshot` is the size of the snapshot that
    /// followed it, if one did.
    pub fn committed(&mut self, bytes: u64, snapshot: Option<u64>) {
        self.epoch_bytes += bytes;
        if let Some(snapshot) = snapshot {
            (self.snapshot_bytes, self.epoch_bytes) = (snapshot, 0);
        }
    }
}

/// What the feed must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochDecision {
    /// Read on.
    Read,
    /// Close the open epoch; with the flag, as a snapshot.
    Close {
        /// Steps hand over their whole state.
        snapshot: bool,
    },
    /// The open epoch is full, and may not close before an older one is committed.
    WaitForCommit,
}

/// Epochs at the start of a run that are smaller than `rows_max`, each half of the next.
const SMALLER_AT_START: u64 = 3;

/// The one place that decides what an epoch contains.
#[derive(Debug, Clone)]
pub struct EpochPolicy {
    limits: EpochLimits,
    first: Epoch,
    open: Epoch,
    opened_at: Option<i64>,
    rows: u64,
    bytes: u64,
    age: SnapshotAge,
}

impl EpochPolicy {
    /// Starts with `first` as the open epoch.
    #[must_use]
    pub fn new(limits: EpochLimits, first: Epoch, age: SnapshotAge) -> Self {
        Self { limits, first, open: first, opened_at: None, rows: 0, bytes: 0, age }
    }

    /// The open epoch.
    #[must_use]
    pub fn open(&self) -> Epoch {
        self.open
    }

    /// Whether the open epoch holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened_at.is_none()
    }

    /// Rows that still fit.
    #[must_use]
    pub fn rows_left(&self) -> u64 {
        self.rows_max().saturating_sub(self.rows).max(1)
    }

    /// Rows of the open epoch when it is full.
    fn rows_max(&self) -> u64 {
        let before = self.open.0 - self.first.0;
        (self.limits.rows_max >> SMALLER_AT_START.saturating_sub(before)).max(1)
    }

    /// A block went into the open epoch at `now` (microseconds of any steady clock).
    pub fn add(&mut self, rows: u64, bytes: u64, now: i64) {
        self.opened_at.get_or_insert(now);
        self.rows += rows;
        self.bytes += bytes;
    }

    /// Whether the open epoch may close, when `committed` is the last durable epoch.
    #[must_use]
    pub fn has_room(&self, committed: Epoch) -> bool {
        self.open.0.saturating_sub(committed.0 + 1) < self.limits.in_flight_max.max(1)
    }

    /// What to do at `now`, when `committed` is the last durable epoch. `quiet` says that nothing
    /// more can be read at this moment.
    ///
    /// An epoch closes when it is full or too old, or when it is old enough and there is nothing
    /// more to read; but only if there is room in flight. Until there is, it is read on until it is
    /// full, so that epochs follow each other as fast as commits finish (group commit) and a slow
    /// commit doesn't hold up the rows behind it. An empty epoch never closes here (see
    /// [`Self::decide_empty`]).
    #[must_use]
    pub fn decide(&self, now: i64, committed: Epoch, quiet: bool) -> EpochDecision {
        let Some(opened_at) = self.opened_at else { return EpochDecision::Read };
        let age = now - opened_at;
        let full = self.rows >= self.rows_max() || self.bytes >= self.limits.bytes_max;
        let old = age >= self.limits.max_micros;
        let ripe = age >= self.limits.min_micros && quiet;
        match self.has_room(committed) {
            true if full || old || ripe => EpochDecision::Close { snapshot: self.snapshot_due() },
            false if full => EpochDecision::WaitForCommit,
            _ => EpochDecision::Read,
        }
    }

    /// What to do with an open epoch that holds nothing, when event time is to go on without rows.
    #[must_use]
    pub fn decide_empty(&self, committed: Epoch) -> EpochDecision {
        if self.has_room(committed) {
            EpochDecision::Close { snapshot: self.snapshot_due() }
        } else {
            EpochDecision::Read
        }
    }

    /// Microseconds from `now` until the open epoch is ripe, when it holds something.
    #[must_use]
    pub fn ripe_in(&self, now: i64) -> Option<i64> {
        self.opened_at.map(|at| (at + self.limits.min_micros - now).max(0))
    }

    fn snapshot_due(&self) -> bool {
        let grown =
            self.age.snapshot_bytes.saturating_mul(self.limits.snapshot_growth_percent) / 100;
        let least = grown.max(self.limits.snapshot_bytes_min);
        self.age.epochs + 1 >= self.limits.snapshot_every_epochs && self.age.epoch_bytes >= least
    }

    /// A closed epoch was committed, as in [`SnapshotAge::committed`].
    pub fn committed(&mut self, bytes: u64, snapshot: Option<u64>) {
        self.age.committed(bytes, snapshot);
    }

    /// The open epoch was closed; gives its number.
    pub fn closed(&mut self, snapshot: bool) -> Epoch {
        let closed = self.open;
        self.age.epochs = if snapshot { 0 } else { self.age.epochs + 1 };
        self.open = closed.next();
        self.opened_at = None;
        self.rows = 0;
        self.bytes = 0;
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: EpochLimits = EpochLimits {
        min_micros: 10,
        max_micros: 100,
        rows_max: 1_000,
        bytes_max: 10_000,
        in_flight_max: 2,
        snapshot_every_epochs: 2,
        snapshot_growth_percent: 100,
        snapshot_bytes_min: 0,
    };

    #[test]
    fn an_epoch_closes_at_the_first_of_rows_bytes_and_time() {
        let mut p = EpochPolicy::new(LIMITS, Epoch(1), SnapshotAge::default());
        assert_eq!(p.decide(0, Epoch(0), true), EpochDecision::Read, "an empty epoch never closes");
        p.add(1_000, 1, 0);
        assert_eq!(p.decide(0, Epoch(0), false), EpochDecision::Close { snapshot: false });
        p.closed(false);
        p.add(1, 10_000, 0);
        assert_eq!(p.decide(0, Epoch(1), false), EpochDecision::Close { snapshot: true });
        p.closed(true);
        p.add(1, 1, 0);
        assert_eq!(p.decide(50, Epoch(2), false), EpochDecision::Read);
        assert_eq!(p.decide(50, Epoch(2), true), EpochDecision::Close { snapshot: false });
        assert_eq!(p.decide(100, Epoch(2), false), EpochDecision::Close { snapshot: false });
    }

    #[test]
    fn the_first_epochs_of_a_run_are_smaller() {
        let mut p = EpochPolicy::new(LIMITS, Epoch(7), SnapshotAge::default());
        let sizes = [(); 5].map(|()| {
            let rows = p.rows_left();
            p.add(rows - 1, 1, 0);
            assert_eq!(p.decide(0, p.open(), false), EpochDecision::Read);
            p.add(1, 1, 0);
            assert!(matches!(p.decide(0, p.open(), false), EpochDecision::Close { .. }));
            p.closed(false);
            rows
        });
        assert_eq!(sizes, [125, 250, 500, 1_000, 1_000]);
        let tiny = EpochPolicy::new(
            EpochLimits { rows_max: 1, ..LIMITS },
            Epoch(1),
            SnapshotAge::default(),
        );
        assert_eq!(tiny.rows_left(), 1, "an epoch has room for a row");
    }

    #[test]
    fn reading_stops_when_the_open_epoch_is_full_and_too_many_are_in_flight() {
        let mut p = EpochPolicy::new(LIMITS, Epoch(1), SnapshotAge::default());
        for _ in 0..2 {
            p.add(1_000, 1, 0);
            assert!(matches!(p.decide(0, Epoch(0), false), EpochDecision::Close { .. }));
            p.closed(false);
        }
        assert_eq!(
            p.decide(0, Epoch(0), false),
            EpochDecision::Read,
            "the next epoch is read while older ones are committed"
        );
        p.add(1, 1, 0);
        assert_eq!(
            p.decide(1_000, Epoch(0), true),
            EpochDecision::Read,
            "it is old, but must not close"
        );
        p.add(999, 1, 0);
        assert_eq!(p.decide(1_000, Epoch(0), false), EpochDecision::WaitForCommit);
        assert!(matches!(p.decide(1_000, Epoch(1), false), EpochDecision::Close { .. }));
    }

    /// Whether the epoch that is closed now is a snapshot; it is committed with `bytes`, a snapshot
    /// with 1,000.
    fn close(p: &mut EpochPolicy, bytes: u64) -> bool {
        p.add(1_000, 1, 0);
        let EpochDecision::Close { snapshot } = p.decide(0, p.open(), false) else {
            panic!("it is full")
        };
        p.closed(snapshot);
        p.committed(bytes, snapshot.then_some(1_000));
        snapshot
    }

    #[test]
    fn a_snapshot_waits_until_the_epochs_since_the_last_hold_as_many_bytes() {
        let mut p = EpochPolicy::new(LIMITS, Epoch(1), SnapshotAge::default());
        let taken: Vec<bool> =
            [300, 300, 600, 300, 200, 300].map(|bytes| close(&mut p, bytes)).to_vec();
        assert_eq!(
            taken,
            [false, true, false, false, false, true],
            "the first after two epochs, the next after 1,000 bytes more"
        );
        let age = SnapshotAge { snapshot_bytes: 1_000, epochs: 7, epoch_bytes: 1_000 };
        assert!(
            close(&mut EpochPolicy::new(LIMITS, Epoch(9), age), 1),
            "what an earlier run committed counts"
        );
    }

    #[test]
    fn a_small_state_is_not_written_over_and_over() {
        let limits = EpochLimits { snapshot_bytes_min: 1_500, ..LIMITS };
        let mut p = EpochPolicy::new(limits, Epoch(1), SnapshotAge::default());
        let taken: Vec<bool> = [700; 7].map(|bytes| close(&mut p, bytes)).to_vec();
        assert_eq!(
            taken,
            [false, false, false, true, false, false, false],
            "1,500 bytes, though the snapshot has 1,000"
        );
    }

    #[test]
    fn what_steps_forget_at_snapshots_is_bounded_by_what_they_keep() {
        let limits = EpochLimits { snapshot_bytes_min: 1_500, ..LIMITS };
        // Ever new keys: each epoch brings 100 bytes of them, and those of the last 50 epochs are
        // kept; or of the last five.
        for kept in [50, 5] {
            let mut p = EpochPolicy::new(limits, Epoch(1), SnapshotAge::default());
            let (mut first, mut most, mut snapshots) = (0, 0, 0);
            for epoch in 0..2_000_u64 {
                p.add(1_000, 1, 0);
                let EpochDecision::Close { snapshot } = p.decide(0, p.open(), false) else {
                    panic!("it is full")
                };
                p.closed(snapshot);
                let living = (epoch + 1).saturating_sub(kept).max(first);
                first = if snapshot { living } else { first };
                snapshots += u64::from(snapshot);
                p.committed(100, snapshot.then(|| (epoch + 1 - first) * 100));
                most = most.max((epoch + 1 - first) * 100);
            }
            let bound = kept * 100 + 1_500.max(kept * 100);
            assert!(most <= bound + 100, "{most} bytes where {} are kept", kept * 100);
            assert!((10..200).contains(&snapshots), "{snapshots} snapshots");
        }
    }
}
