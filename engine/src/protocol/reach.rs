//! Whether a destination that is behind the store can catch up: [`decide_reach`].
//!
//! A destination says up to which epoch it has everything. Epochs without rows for it do not move
//! what it says, so the store remembers the last epochs that had rows: a [`SinkMark`] in every
//! epoch's header. A destination that was deleted, or that is an old copy, lacks epochs; as long as
//! the store still has their files they are simply delivered again, else rows would be missing for
//! ever and nobody would know.

use crate::ids::Epoch;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The last epochs that had rows for a sink, as of some epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkMark {
    /// The last one, that epoch included; 0 for none.
    pub newest: Epoch,
    /// The one before it; 0 for none.
    pub before: Epoch,
    /// Epochs that the destination lacks, which was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// Epochs that a destination lacks for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What the destination had when it was accepted.
    pub after: Epoch,
    /// The last epoch that is missing.
    pub through: Epoch,
}

impl SinkMark {
    /// The mark as of the next epoch that has rows.
    pub fn advance(&mut self, epoch: Epoch) {
        (self.before, self.newest) = (self.newest, epoch);
    }
}

/// A file of the store, and what its header says of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptMark {
    /// The file's epoch.
    pub epoch: Epoch,
    /// Whether the file holds the epoch's rows; a snapshot does not.
    pub holds_rows: bool,
    /// Of the header.
    pub mark: SinkMark,
}

/// Epochs of which at least the last had rows for the sink, and whose files are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The first one.
    pub first: Epoch,
    /// The last one.
    pub last: Epoch,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{} to {}", self.first, self.last)
        }
    }
}

/// Whether a destination has an epoch that the store, the last of which is `committed`, does not
/// know: new rows would be taken for repeats.
#[must_use]
pub fn is_ahead(visible: Epoch, committed: Epoch) -> bool {
    visible > committed
}

/// What the sink lacks and the store can no longer give; nothing where it can catch up. `visible`
/// is what the destination says (0: nothing). `kept` are the store's files after the least epoch
/// that every sink has, in order of epochs, an epoch's own file before a snapshot of it.
#[must_use]
pub fn decide_reach(visible: Epoch, kept: &[KeptMark]) -> Vec<Missing> {
    let accepted = kept
        .last()
        .and_then(|newest| newest.mark.gap)
        .filter(|gap| visible >= gap.after)
        .map(|gap| gap.through);
    // Up to here, whatever had rows is visible or kept.
    let mut reached = visible.max(accepted.unwrap_or_default());
    let mut missing = Vec::new();
    for KeptMark { epoch, holds_rows, mark } in kept {
        let last = if *holds_rows && mark.newest == *epoch { mark.before } else { mark.newest };
        if last > reached {
            missing.push(Missing { first: reached.next(), last });
        }
        reached = reached.max(*epoch);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a store in which `rows` are the epochs that had rows for the sink; all epochs that
    /// are not in `gone`.
    fn kept(rows: &[u64], epochs: u64, gone: impl Fn(u64) -> bool) -> Vec<KeptMark> {
        let mut mark = SinkMark::default();
        let mut kept = Vec::new();
        for epoch in 1..=epochs {
            if rows.contains(&epoch) {
                mark.advance(Epoch(epoch));
            }
            if !gone(epoch) {
                kept.push(KeptMark { epoch: Epoch(epoch), holds_rows: true, mark });
            }
        }
        kept
    }

    fn ranges(missing: &[Missing]) -> Vec<(u64, u64)> {
        missing.iter().map(|m| (m.first.0, m.last.0)).collect()
    }

    #[test]
    fn a_destination_catches_up_as_long_as_every_epoch_with_rows_is_kept() {
        let all = kept(&[1, 2, 5, 9], 10, |_| false);
        for visible in [0, 1, 2, 4, 5, 9] {
            assert_eq!(decide_reach(Epoch(visible), &all), [], "{visible}");
        }
        // Collected epochs without rows are not missed, nor are those that are visible.
        let collected = kept(&[1, 2, 5, 9], 10, |epoch| epoch <= 4);
        assert_eq!(decide_reach(Epoch(2), &collected), []);
        assert_eq!(ranges(&decide_reach(Epoch(1), &collected)), [(2, 2)]);
        assert_eq!(ranges(&decide_reach(Epoch(0), &collected)), [(1, 2)]);
    }

    #[test]
    fn a_file_that_is_gone_before_the_snapshot_is_missed_only_by_the_sink_whose_rows_it_had() {
        let holes = |epoch| epoch == 3 || epoch == 6;
        assert_eq!(
            ranges(&decide_reach(Epoch(1), &kept(&[1, 2, 3, 4, 6, 8], 8, holes))),
            [(3, 3), (6, 6)]
        );
        assert_eq!(ranges(&decide_reach(Epoch(3), &kept(&[1, 2, 3, 4, 6, 8], 8, holes))), [(6, 6)]);
        assert_eq!(decide_reach(Epoch(1), &kept(&[1, 2, 4, 8], 8, holes)), []);
    }

    #[test]
    fn a_snapshot_tells_what_had_rows_and_gives_none() {
        let mark = SinkMark { newest: Epoch(7), before: Epoch(5), gap: None };
        let snapshot = KeptMark { epoch: Epoch(8), holds_rows: false, mark };
        assert_eq!(ranges(&decide_reach(Epoch(0), &[snapshot])), [(1, 7)]);
        assert_eq!(decide_reach(Epoch(7), &[snapshot]), []);
        let mut files = kept(&[5, 7, 9], 9, |epoch| epoch != 7 && epoch != 9);
        files.insert(1, snapshot);
        assert_eq!(decide_reach(Epoch(6), &files), []);
        assert_eq!(ranges(&decide_reach(Epoch(4), &files)), [(5, 5)]);
    }

    #[test]
    fn an_accepted_gap_holds_for_what_the_destination_had_then_and_not_for_less() {
        let mut files = kept(&(1..=9).collect::<Vec<_>>(), 9, |epoch| epoch < 7);
        assert_eq!(ranges(&decide_reach(Epoch(3), &files)), [(4, 6)]);
        files.last_mut().expect("files").mark.gap =
            Some(Gap { after: Epoch(3), through: Epoch(6) });
        for visible in [3, 4, 6, 9] {
            assert_eq!(decide_reach(Epoch(visible), &files), [], "{visible}");
        }
        assert_eq!(ranges(&decide_reach(Epoch(2), &files)), [(3, 6)], "it has lost more since");
    }

    #[test]
    fn the_decision_is_what_counting_each_epoch_says() {
        // Every set of epochs with rows, of files gone, and every destination, of stores with six
        // epochs.
        for (rows, gone) in (0..64_u64).flat_map(|rows| (0..64_u64).map(move |gone| (rows, gone))) {
            let has = |set: u64, epoch: u64| set & (1 << (epoch - 1)) != 0;
            let with_rows: Vec<u64> = (1..=6).filter(|epoch| has(rows, *epoch)).collect();
            let mut files = kept(&with_rows, 6, |epoch| has(gone, epoch));
            // A newest file that is gone is not noticed by what is left: the newest snapshot tells.
            let newest = kept(&with_rows, 6, |_| false)[5];
            files.push(KeptMark { holds_rows: false, ..newest });
            for visible in 0..=6 {
                let lost: Vec<u64> = with_rows
                    .iter()
                    .copied()
                    .filter(|epoch| *epoch > visible && has(gone, *epoch))
                    .collect();
                let missing = decide_reach(Epoch(visible), &files);
                let told =
                    |epoch: u64| missing.iter().any(|m| (m.first.0..=m.last.0).contains(&epoch));
                assert!(
                    lost.iter().all(|epoch| told(*epoch)),
                    "rows {rows:b}, gone {gone:b}, visible {visible}"
                );
                assert_eq!(
                    missing.is_empty(),
                    lost.is_empty(),
                    "rows {rows:b}, gone {gone:b}, visible {visible}"
                );
                assert!(missing.iter().all(|m| lost.contains(&m.last.0)));
            }
        }
    }
}
