//! Which commits are the truth after a restart.
//!
//! A run claims generation g (a file put if absent), then lists the epochs, then records after
//! which epoch it goes on. Epoch files carry their generation in their name. A file of generation g
//! counts only if no higher generation went on from before it: so a zombie that writes after its
//! successor has read the list writes a file that nobody will ever take for the truth, and a zombie
//! that finds a higher claim after its own write stops without delivering anything.

use crate::ids::{Epoch, Generation};

/// The name of an epoch file or snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochName {
    /// The epoch.
    pub epoch: Epoch,
    /// The run that wrote it.
    pub generation: Generation,
}

/// A run's claim, and after which epoch it went on (none: it died before it said so and wrote
/// nothing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The run.
    pub generation: Generation,
    /// The last epoch that it took over.
    pub resumed_after: Option<Epoch>,
}

/// What a listing of the store shows.
#[derive(Debug, Clone, Default)]
pub struct ResumeFacts {
    /// All claims.
    pub claims: Vec<Claim>,
    /// Epoch files.
    pub epochs: Vec<EpochName>,
    /// Snapshots.
    pub snapshots: Vec<EpochName>,
}

/// Where a run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeDecision {
    /// The snapshot to start from.
    pub snapshot: Option<EpochName>,
    /// The valid epoch files that are still there, oldest first; those after the snapshot are
    /// replayed, all may hold an outbox to deliver.
    pub epochs: Vec<EpochName>,
    /// The last committed epoch (0: none).
    pub committed: Epoch,
    /// The generation to claim next.
    pub next_generation: Generation,
}

/// Why the store can't be resumed from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// An epoch between the snapshot and the last one is missing.
    #[error(
        "epoch {missing} is missing from the store (snapshot at {snapshot}, epochs up to \
         {newest}); restore the file or start with another data folder"
    )]
    Gap {
        /// The missing epoch.
        missing: Epoch,
        /// The snapshot that would be started from.
        snapshot: Epoch,
        /// The newest epoch file.
        newest: Epoch,
    },
}

/// Whether a file still counts.
fn counts(name: &EpochName, claims: &[Claim]) -> bool {
    !claims.iter().any(|c| {
        c.generation > name.generation && c.resumed_after.is_some_and(|after| name.epoch > after)
    })
}

/// The epoch files that count, oldest first.
#[must_use]
pub fn that_count(facts: &ResumeFacts) -> Vec<EpochName> {
    let mut epochs: Vec<EpochName> =
        facts.epochs.iter().filter(|n| counts(n, &facts.claims)).copied().collect();
    epochs.sort_unstable();
    // Of one epoch the highest generation counts; only a run that died between claim and record can
    // leave two.
    epochs.reverse();
    epochs.dedup_by_key(|n| n.epoch);
    epochs.reverse();
    epochs
}

/// The newest snapshot that counts.
#[must_use]
pub fn snapshot_that_counts(facts: &ResumeFacts) -> Option<EpochName> {
    facts.snapshots.iter().filter(|n| counts(n, &facts.claims)).max().copied()
}

/// Decides where to go on. Snapshots that turned out unreadable are left out of the facts by the
/// caller, and the decision made again.
///
/// # Errors
/// When epochs are missing.
pub fn decide_resume(facts: &ResumeFacts) -> Result<ResumeDecision, ResumeError> {
    let next_generation =
        Generation(facts.claims.iter().map(|c| c.generation.0).max().unwrap_or(0) + 1);
    let epochs = that_count(facts);
    let snapshot = snapshot_that_counts(facts);
    let from = snapshot.map_or(Epoch(0), |s| s.epoch);
    let newest = epochs.last().map_or(Epoch(0), |n| n.epoch).max(from);
    let mut expected = from.next();
    for name in epochs.iter().filter(|n| n.epoch > from) {
        if name.epoch != expected {
            return Err(ResumeError::Gap { missing: expected, snapshot: from, newest });
        }
        expected = expected.next();
    }
    Ok(ResumeDecision { snapshot, epochs, committed: newest, next_generation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(epoch: u64, generation: u64) -> EpochName {
        EpochName { epoch: Epoch(epoch), generation: Generation(generation) }
    }

    #[test]
    fn a_new_store_starts_at_nothing() {
        let d = decide_resume(&ResumeFacts::default()).expect("an empty store");
        assert_eq!((d.committed, d.next_generation), (Epoch(0), Generation(1)));
    }

    #[test]
    fn a_zombies_epoch_never_counts() {
        let facts = ResumeFacts {
            claims: vec![
                Claim { generation: Generation(1), resumed_after: Some(Epoch(0)) },
                Claim { generation: Generation(2), resumed_after: Some(Epoch(2)) },
            ],
            epochs: vec![name(1, 1), name(2, 1), name(3, 1), name(3, 2)],
            snapshots: vec![],
        };
        let d = decide_resume(&facts).expect("no gap");
        assert_eq!(d.epochs, [name(1, 1), name(2, 1), name(3, 2)]);
        assert_eq!(d.committed, Epoch(3));
        assert_eq!(d.next_generation, Generation(3));
    }

    #[test]
    fn a_missing_epoch_is_an_error_not_a_loss() {
        let facts = ResumeFacts {
            claims: vec![],
            epochs: vec![name(5, 1), name(7, 1)],
            snapshots: vec![name(4, 1)],
        };
        assert_eq!(
            decide_resume(&facts),
            Err(ResumeError::Gap { missing: Epoch(6), snapshot: Epoch(4), newest: Epoch(7) })
        );
    }

    #[test]
    fn a_snapshot_alone_is_enough() {
        let facts =
            ResumeFacts { claims: vec![], epochs: vec![name(3, 1)], snapshots: vec![name(4, 1)] };
        let d = decide_resume(&facts).expect("epochs before the snapshot are not needed");
        assert_eq!(d.committed, Epoch(4));
    }
}
