//! The rows of one key in order, and what new ones change.

use std::collections::BTreeMap;

/// A row at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Compares as event time, ties and source position do.
    pub(super) order: Box<[u8]>,
    pub(super) row: Box<[u8]>,
    pub(super) time: i64,
    /// What the next row shows of it.
    pub(super) shown: Box<[u8]>,
    /// How often it was added less how often it was taken back; it is there when above 0.
    pub(super) count: i64,
}

/// A row beside the one before it, that is added or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) row: Box<[u8]>,
    pub(super) before: Option<Box<[u8]>>,
    pub(super) diff: i64,
}

/// The rows of one key, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    pub(super) entries: Vec<Entry>,
}

fn place(entry: &Entry) -> (&[u8], &[u8]) {
    (&entry.order, &entry.row)
}

impl Timeline {
    /// Takes new rows in; `changes` gets what that changes.
    pub(super) fn take(&mut self, mut new: Vec<Entry>, changes: &mut Vec<Change>) {
        new.sort_by(|a, b| place(a).cmp(&place(b)));
        let Some(first) = new.first() else { return };
        let from = self.entries.partition_point(|entry| place(entry) < place(first));
        let mut both = Vec::new();
        self.pairs_from(from, -1, &mut both);
        let is_behind = from < self.entries.len();
        self.entries.append(&mut new);
        if is_behind {
            self.entries[from..].sort_by(|a, b| place(a).cmp(&place(b)));
        }
        self.entries.dedup_by(|again, first| {
            let is_same = place(again) == place(first);
            if is_same {
                first.count += again.count;
            }
            is_same
        });
        if both.is_empty() {
            self.pairs_from(from, 1, changes);
            return;
        }
        self.pairs_from(from, 1, &mut both);
        // A row and the one before it.
        type Pair = (Box<[u8]>, Option<Box<[u8]>>);
        let mut net: BTreeMap<Pair, i64> = BTreeMap::new();
        for change in both {
            *net.entry((change.row, change.before)).or_default() += change.diff;
        }
        changes.extend(net.into_iter().filter(|(_, diff)| *diff != 0).map(|((row, before), diff)| Change { row, before, diff }));
    }

    /// The rows from `from` on that are there, beside those before them, each counted `times`.
    fn pairs_from(&self, from: usize, times: i64, changes: &mut Vec<Change>) {
        let mut before = self.entries[..from.min(self.entries.len())].iter().rfind(|entry| entry.count > 0);
        for entry in self.entries.iter().skip(from).filter(|entry| entry.count > 0) {
            if before.is_some_and(|before| (before.time, &before.row) == (entry.time, &entry.row)) {
                continue;
            }
            changes.push(Change { row: entry.row.clone(), before: before.map(|before| before.shown.clone()), diff: times });
            before = Some(entry);
        }
    }

    /// Forgets rows that no row after `horizon` can follow directly.
    pub(super) fn prune(&mut self, horizon: i64) {
        let old = self.entries.partition_point(|entry| entry.time <= horizon);
        let last = self.entries[..old].iter().rposition(|entry| entry.count > 0);
        let mut index = 0;
        self.entries.retain(|_| {
            let is_kept = index >= old || Some(index) == last;
            index += 1;
            is_kept
        });
    }

    pub(super) fn bytes(&self) -> usize {
        let heap = |e: &Entry| e.order.len() + e.row.len() + e.shown.len();
        self.entries.capacity() * size_of::<Entry>() + self.entries.iter().map(heap).sum::<usize>()
    }
}
