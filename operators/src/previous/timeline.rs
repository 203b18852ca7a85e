//! The rows of one key in order, and what new ones change.

use crate::keyed::bytes::{bytes, number, push_bytes, push_number, unzigzag, zigzag};
use crate::keyed::kept::Stored;
use std::collections::BTreeMap;

/// A row at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
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
pub(super) struct PairChange {
    pub(super) row: Box<[u8]>,
    pub(super) before: Option<Box<[u8]>>,
    pub(super) diff: i64,
}

/// The rows of one key, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    pub(super) entries: Vec<Entry>,
}

fn place(entry: &Entry) -> (&[u8], &[u8]) {
    (&entry.order, &entry.row)
}

impl Timeline {
    /// Takes new rows in; `changes` gets what that changes.
    pub(super) fn insert(&mut self, mut new: Vec<Entry>, changes: &mut Vec<PairChange>) {
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
        changes.extend(
            net.into_iter()
                .filter(|(_, diff)| *diff != 0)
                .map(|((row, before), diff)| PairChange { row, before, diff }),
        );
    }

    /// The rows from `from` on that are there, beside those before them, each counted `times`.
    fn pairs_from(&self, from: usize, times: i64, changes: &mut Vec<PairChange>) {
        let mut before =
            self.entries[..from.min(self.entries.len())].iter().rfind(|entry| entry.count > 0);
        for entry in self.entries.iter().skip(from).filter(|entry| entry.count > 0) {
            if before.is_some_and(|before| (before.time, &before.row) == (entry.time, &entry.row)) {
                continue;
            }
            changes.push(PairChange {
                row: entry.row.clone(),
                before: before.map(|before| before.shown.clone()),
                diff: times,
            });
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
}

impl Stored for Timeline {
    type Item = Entry;

    fn encode(&self, out: &mut Vec<u8>) {
        for entry in &self.entries {
            push_bytes(&entry.order, out);
            push_bytes(&entry.row, out);
            push_number(zigzag(entry.time), out);
            push_bytes(&entry.shown, out);
            push_number(zigzag(entry.count), out);
        }
    }

    fn decode(mut from: &[u8]) -> Option<Self> {
        let mut entries = Vec::new();
        while !from.is_empty() {
            entries.push(Entry {
                order: bytes(&mut from)?.into(),
                row: bytes(&mut from)?.into(),
                time: unzigzag(number(&mut from)?),
                shown: bytes(&mut from)?.into(),
                count: unzigzag(number(&mut from)?),
            });
        }
        Some(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_written_down() {
        let entry = |time: i64, count| Entry {
            order: time.to_be_bytes().into(),
            row: "row".repeat(100).as_bytes().into(),
            time,
            shown: [].into(),
            count,
        };
        for entries in [vec![], vec![entry(i64::MIN, -1), entry(0, 1), entry(i64::MAX, i64::MAX)]] {
            let timeline = Timeline { entries };
            let mut written = Vec::new();
            timeline.encode(&mut written);
            assert_eq!(Timeline::decode(&written), Some(timeline));
        }
        assert_eq!(Timeline::decode(&[5, 1]), None, "damaged");
    }
}
