//! The rows of one record: which there are from which instant on.

use crate::keyed::bytes::{bytes, number, push_bytes, push_number, unzigzag, zigzag};
use crate::keyed::kept::Stored;

/// A row that is there from an instant on, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    pub(super) time: i64,
    pub(super) row: Box<[u8]>,
    pub(super) diff: i64,
}

/// The changes of one record. Changes before the last sampled instant are merged into one per row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub(super) changes: Vec<RowChange>,
}

impl Record {
    /// Takes changes in; what was `sampled` is put together.
    pub(super) fn insert(&mut self, mut changes: Vec<RowChange>, sampled: i64) {
        self.changes.append(&mut changes);
        self.fold(sampled);
    }

    /// Merges the changes before `instant`: one change per row, none for a row that was taken back
    /// as often as added.
    pub(super) fn fold(&mut self, instant: i64) {
        self.changes.sort_by(|a, b| {
            (a.time >= instant, &a.row, a.time).cmp(&(b.time >= instant, &b.row, b.time))
        });
        self.changes.dedup_by(|again, first| {
            let is_same = again.row == first.row
                && (again.time == first.time || again.time.max(first.time) < instant);
            if is_same {
                first.diff += again.diff;
            }
            is_same
        });
        self.changes.retain(|change| change.diff != 0);
    }
}

impl Stored for Record {
    type Item = RowChange;

    fn encode(&self, out: &mut Vec<u8>) {
        for change in &self.changes {
            push_number(zigzag(change.time), out);
            push_bytes(&change.row, out);
            push_number(zigzag(change.diff), out);
        }
    }

    fn decode(mut from: &[u8]) -> Option<Self> {
        let mut changes = Vec::new();
        while !from.is_empty() {
            changes.push(RowChange {
                time: unzigzag(number(&mut from)?),
                row: bytes(&mut from)?.into(),
                diff: unzigzag(number(&mut from)?),
            });
        }
        Some(Self { changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(time: i64, row: &str, diff: i64) -> RowChange {
        RowChange { time, row: row.as_bytes().into(), diff }
    }

    #[test]
    fn what_was_sampled_is_put_together_and_the_rest_is_not() {
        let mut record = Record::default();
        record.insert(
            vec![change(1, "a", 1), change(5, "a", -1), change(5, "b", 1), change(20, "b", -1)],
            10,
        );
        assert_eq!(record.changes, [change(5, "b", 1), change(20, "b", -1)]);
        record.insert(vec![change(20, "b", 1)], 10);
        assert_eq!(record.changes, [change(5, "b", 1)]);
    }

    #[test]
    fn a_record_comes_back_as_it_was_written_down() {
        let record = Record {
            changes: vec![change(i64::MIN, "", -3), change(i64::MAX, &"long".repeat(100), 1)],
        };
        let mut written = Vec::new();
        record.encode(&mut written);
        assert_eq!(Record::decode(&written), Some(record));
        assert_eq!(Record::decode(&[]), Some(Record::default()));
        assert_eq!(Record::decode(&[2, 9, 1]), None, "damaged");
    }
}
