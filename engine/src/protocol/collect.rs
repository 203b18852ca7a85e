//! Which files nothing names any more.

use crate::ids::Epoch;
use crate::protocol::resume::EpochName;
use std::collections::BTreeSet;

/// What is there, and what still needs it.
#[derive(Debug, Clone, Default)]
pub struct CollectFacts {
    /// Epoch files.
    pub epochs: Vec<EpochName>,
    /// Snapshots, readable ones.
    pub snapshots: Vec<EpochName>,
    /// Every sink has made this epoch, and all before, visible.
    pub delivered: Epoch,
    /// History files, by name.
    pub history: Vec<String>,
    /// History files that a kept snapshot or a running step names.
    pub history_named: BTreeSet<String>,
}

/// What may be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectDecision {
    /// Epoch files.
    pub epochs: Vec<EpochName>,
    /// Snapshots.
    pub snapshots: Vec<EpochName>,
    /// History files.
    pub history: Vec<String>,
}

/// Snapshots that are kept: if the newest can't be read, the one before it and the epochs since
/// still can.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Decides what may go: snapshots beyond [`SNAPSHOTS_KEPT`]; epochs at or before the oldest kept
/// snapshot that are also delivered everywhere; history files that nothing names. With fewer
/// snapshots than are kept no epoch goes.
#[must_use]
pub fn decide_collect(facts: &CollectFacts) -> CollectDecision {
    let mut snapshots = facts.snapshots.clone();
    snapshots.sort_unstable();
    let cut = snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
    let (gone, kept) = snapshots.split_at(cut);
    let epochs = match kept.first() {
        Some(oldest) if kept.len() == SNAPSHOTS_KEPT => facts
            .epochs
            .iter()
            .filter(|n| n.epoch <= oldest.epoch && n.epoch <= facts.delivered)
            .copied()
            .collect(),
        _ => Vec::new(),
    };
    let history =
        facts.history.iter().filter(|h| !facts.history_named.contains(*h)).cloned().collect();
    CollectDecision { epochs, snapshots: gone.to_vec(), history }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generation;

    fn name(epoch: u64) -> EpochName {
        EpochName { epoch: Epoch(epoch), generation: Generation(1) }
    }

    #[test]
    fn an_epoch_stays_until_two_snapshots_cover_it_and_every_sink_has_it() {
        let mut facts = CollectFacts {
            epochs: (1..=9).map(name).collect(),
            snapshots: vec![name(8)],
            delivered: Epoch(9),
            ..Default::default()
        };
        assert!(decide_collect(&facts).epochs.is_empty());
        facts.snapshots = vec![name(4), name(8), name(2)];
        assert_eq!(decide_collect(&facts).epochs, (1..=4).map(name).collect::<Vec<_>>());
        assert_eq!(decide_collect(&facts).snapshots, [name(2)]);
        facts.delivered = Epoch(3);
        assert_eq!(decide_collect(&facts).epochs, (1..=3).map(name).collect::<Vec<_>>());
    }

    #[test]
    fn a_history_file_that_is_named_stays() {
        let facts = CollectFacts {
            history: vec!["a".into(), "b".into()],
            history_named: BTreeSet::from(["a".to_string()]),
            ..Default::default()
        };
        assert_eq!(decide_collect(&facts).history, ["b"]);
    }
}
