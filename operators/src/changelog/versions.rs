//! The versions of one record, and what new ones change.

use crate::keyed::bytes::{bytes, number, push_bytes, push_number, unzigzag, zigzag};
use crate::keyed::kept::Stored;
use std::collections::BTreeMap;

/// What a record was from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Compares as event time, ties and source position do.
    pub(super) order: Box<[u8]>,
    pub(super) time: i64,
    /// The record's columns but the event time.
    pub(super) row: Box<[u8]>,
    /// The record is gone.
    pub(super) is_deleted: bool,
    /// A bit per condition of `ever` that holds for this version.
    pub(super) flags: u64,
}

/// One record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Conditions that held for versions that are no longer kept.
    pub(super) held_before: u64,
    /// In order.
    pub(super) versions: Vec<Version>,
}

/// A row that is added or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) time: i64,
    pub(super) row: Box<[u8]>,
    pub(super) flags: u64,
    pub(super) diff: i64,
}

impl Record {
    /// Takes new versions in; `changes` gets what that changes.
    pub(super) fn insert(&mut self, mut new: Vec<Version>, changes: &mut Vec<Change>) {
        let repeats = |again: &mut Version, first: &mut Version| first.order == again.order;
        new.sort_by(|a, b| a.order.cmp(&b.order));
        new.dedup_by(repeats);
        let Some(first) = new.first() else { return };
        let from = self.versions.partition_point(|v| v.order < first.order);
        if from == self.versions.len() {
            self.versions.append(&mut new);
            self.changes_from(from, 1, changes);
            return;
        }
        let mut both = Vec::new();
        self.changes_from(from, -1, &mut both);
        let mut later = self.versions.split_off(from);
        later.append(&mut new);
        // Stable: of versions that say to be the same, which is a repetition, the first stays.
        later.sort_by(|a, b| a.order.cmp(&b.order));
        later.dedup_by(repeats);
        self.versions.append(&mut later);
        self.changes_from(from, 1, &mut both);
        let mut net: BTreeMap<(i64, Box<[u8]>, u64), i64> = BTreeMap::new();
        for change in both {
            *net.entry((change.time, change.row, change.flags)).or_default() += change.diff;
        }
        changes.extend(
            net.into_iter()
                .filter(|(_, diff)| *diff != 0)
                .map(|((time, row, flags), diff)| Change { time, row, flags, diff }),
        );
    }

    /// What the versions from `from` on change, each counted `times`.
    fn changes_from(&self, from: usize, times: i64, changes: &mut Vec<Change>) {
        let mut held = self.held_before;
        let mut before: Option<(&[u8], u64)> = None;
        for (index, version) in self.versions.iter().enumerate() {
            held = if version.is_deleted { 0 } else { held | version.flags };
            let now = (!version.is_deleted).then_some((&*version.row, held));
            if index >= from && now != before {
                let change = |(row, flags): (&[u8], u64), diff| Change {
                    time: version.time,
                    row: row.into(),
                    flags,
                    diff,
                };
                changes.extend(before.map(|row| change(row, -times)));
                changes.extend(now.map(|row| change(row, times)));
            }
            before = now;
        }
    }

    /// Forgets versions that no version after `horizon` can follow directly.
    pub(super) fn prune(&mut self, horizon: i64) {
        let kept = self.versions.partition_point(|v| v.time <= horizon).saturating_sub(1);
        for version in self.versions.drain(..kept) {
            self.held_before =
                if version.is_deleted { 0 } else { self.held_before | version.flags };
        }
    }

    /// Whether the record is gone for good, and nothing can change that.
    pub(super) fn is_forgotten(&self, horizon: i64) -> bool {
        self.versions.iter().all(|v| v.is_deleted && v.time <= horizon)
    }
}

impl Stored for Record {
    type Item = Version;

    fn encode(&self, out: &mut Vec<u8>) {
        push_number(self.held_before, out);
        for version in &self.versions {
            push_bytes(&version.order, out);
            push_number(zigzag(version.time), out);
            push_bytes(&version.row, out);
            push_number(u64::from(version.is_deleted), out);
            push_number(version.flags, out);
        }
    }

    fn decode(mut from: &[u8]) -> Option<Self> {
        if from.is_empty() {
            return Some(Self::default());
        }
        let (held_before, mut versions) = (number(&mut from)?, Vec::new());
        while !from.is_empty() {
            versions.push(Version {
                order: bytes(&mut from)?.into(),
                time: unzigzag(number(&mut from)?),
                row: bytes(&mut from)?.into(),
                is_deleted: number(&mut from)? != 0,
                flags: number(&mut from)?,
            });
        }
        Some(Self { held_before, versions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(time: i64, row: &str, flags: u64) -> Version {
        Version {
            order: time.to_be_bytes().into(),
            time,
            row: row.as_bytes().into(),
            is_deleted: row.is_empty(),
            flags,
        }
    }

    fn taken(record: &mut Record, new: Vec<Version>) -> Vec<(i64, String, u64, i64)> {
        let mut changes = Vec::new();
        record.insert(new, &mut changes);
        let text = |c: Change| (c.time, String::from_utf8(c.row.into()).unwrap(), c.flags, c.diff);
        changes.into_iter().map(text).collect()
    }

    #[test]
    fn a_version_takes_the_one_before_back_and_the_same_again_changes_nothing() {
        let mut record = Record::default();
        assert_eq!(taken(&mut record, vec![version(1, "a", 0)]), [(1, "a".into(), 0, 1)]);
        assert_eq!(
            taken(&mut record, vec![version(2, "b", 0)]),
            [(2, "a".into(), 0, -1), (2, "b".into(), 0, 1)]
        );
        assert_eq!(taken(&mut record, vec![version(3, "b", 0)]), []);
        assert_eq!(
            taken(&mut record, vec![version(2, "b", 0)]),
            [],
            "a repetition of an older one"
        );
        assert_eq!(taken(&mut record, vec![version(4, "", 0)]), [(4, "b".into(), 0, -1)]);
        assert_eq!(taken(&mut record, vec![version(5, "", 0)]), []);
        assert_eq!(taken(&mut record, vec![version(6, "c", 0)]), [(6, "c".into(), 0, 1)]);
    }

    #[test]
    fn a_record_comes_back_as_it_was_written_down() {
        let versions = vec![
            version(i64::MIN, "a", u64::MAX),
            version(5, "", 0),
            version(i64::MAX, &"long".repeat(100), 7),
        ];
        for record in [Record::default(), Record { held_before: 3, versions }] {
            let mut written = Vec::new();
            record.encode(&mut written);
            assert_eq!(Record::decode(&written), Some(record));
        }
        assert_eq!(Record::decode(&[]), Some(Record::default()));
        assert_eq!(Record::decode(&[0, 9, 1]), None, "damaged");
    }

    #[test]
    fn a_late_version_changes_what_the_next_one_took_back() {
        let mut record = Record::default();
        taken(&mut record, vec![version(1, "a", 0), version(5, "c", 0)]);
        let changes = taken(&mut record, vec![version(3, "b", 0)]);
        assert_eq!(
            changes,
            [
                (3, "a".into(), 0, -1),
                (3, "b".into(), 0, 1),
                (5, "a".into(), 0, 1),
                (5, "b".into(), 0, -1)
            ]
        );
    }

    #[test]
    fn a_version_that_comes_twice_at_once_and_again_later_leaves_no_trace() {
        let mut record = Record::default();
        taken(
            &mut record,
            vec![version(1, "a", 0), version(2, "b", 0), version(1, "a", 0), version(5, "c", 0)],
        );
        assert_eq!(taken(&mut record, vec![version(5, "c", 0), version(2, "b", 0)]), []);
        assert_eq!(taken(&mut record, vec![version(5, "c", 0)]), []);
        assert_eq!(record.versions.len(), 3);
    }

    #[test]
    fn what_ever_held_stays_until_the_record_is_deleted() {
        let mut record = Record::default();
        assert_eq!(taken(&mut record, vec![version(1, "late", 1)]), [(1, "late".into(), 1, 1)]);
        assert_eq!(
            taken(&mut record, vec![version(2, "ok", 0)]),
            [(2, "late".into(), 1, -1), (2, "ok".into(), 1, 1)]
        );
        record.prune(2);
        assert_eq!(record.versions.len(), 1);
        assert_eq!(
            taken(&mut record, vec![version(3, "paid", 0)]),
            [(3, "ok".into(), 1, -1), (3, "paid".into(), 1, 1)]
        );
        assert_eq!(
            taken(&mut record, vec![version(4, "", 0), version(5, "new", 0)]),
            [(4, "paid".into(), 1, -1), (5, "new".into(), 0, 1)]
        );
    }
}
