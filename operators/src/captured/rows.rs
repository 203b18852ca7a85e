//! The last row of every key, and when in the database's order it was written.

use riskstream_engine::rows::KeyedRows;

/// No position is known.
pub(super) const NONE: i64 = i64::MIN;

/// Where a change stands in the order of its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Orders transactions; [`NONE`] in a snapshot, or where it is not told.
    pub(super) commit: i64,
    /// Orders changes of a transaction; [`NONE`] where it is not told.
    pub(super) position: i64,
    /// Of the row in its source's partition.
    pub(super) offset: i64,
}

impl Sequence {
    /// Whether a change here was made after that of `other`, of the same key: if not, it is a repetition.
    ///
    /// A database locks a row until the transaction that changed it ends, so positions alone order the changes of one key also where only one
    /// of the two tells its transaction's. Changes without positions are taken in the order in which they come.
    pub(super) fn is_after(self, other: Self) -> bool {
        if self.position == NONE || other.position == NONE {
            return true;
        }
        // Rows of a snapshot, and the truncation before them, have one place: their order in the source tells.
        if self.commit != NONE && other.commit != NONE {
            return (self.commit, self.position, self.offset) > (other.commit, other.position, other.offset);
        }
        (self.position, self.offset) > (other.position, other.offset)
    }
}

/// Bytes before a row: whether there is one, then its sequence, then its flags where the step has conditions.
const SEQUENCE_AT: usize = 1;
const FLAGS_AT: usize = SEQUENCE_AT + 24;
const GONE: u8 = 0;
const THERE: u8 = 1;

/// The last row of every key: bytes by the key's place.
#[derive(Debug)]
pub(super) struct LastRows {
    pub(super) kept: KeyedRows,
    /// Where a row begins in what is kept.
    row_at: usize,
    scratch: Vec<u8>,
}

/// What is kept of a key, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastRow<'a> {
    pub(super) sequence: Sequence,
    /// A bit per condition that ever held.
    pub(super) flags: u64,
    /// None: it is gone. A key whose row is gone is kept, lest an old change that is repeated bring it back.
    pub(super) row: Option<&'a [u8]>,
}

impl LastRows {
    pub(super) fn new(kept: KeyedRows, has_flags: bool) -> Self {
        Self { kept, row_at: FLAGS_AT + if has_flags { 8 } else { 0 }, scratch: Vec::new() }
    }

    /// What is known of the key at `place`.
    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<LastRow<'_>> {
        self.parse(self.kept.value(place)?)
    }

    /// Takes apart what is kept.
    #[inline]
    pub(super) fn parse<'a>(&self, kept: &'a [u8]) -> Option<LastRow<'a>> {
        let (header, row) = kept.split_at_checked(self.row_at)?;
        let word = |at: usize| header.get(at..).and_then(<[u8]>::first_chunk).map(|c| i64::from_le_bytes(*c));
        let sequence = Sequence { commit: word(SEQUENCE_AT)?, position: word(SEQUENCE_AT + 8)?, offset: word(SEQUENCE_AT + 16)? };
        let flags = word(FLAGS_AT).unwrap_or(0) as u64;
        Some(LastRow { sequence, flags, row: (header[0] == THERE).then_some(row) })
    }

    /// The row of the key at `place` is `row` from `sequence` on; none: it is gone.
    #[inline]
    pub(super) fn set(&mut self, place: u32, row: Option<&[u8]>, flags: u64, sequence: Sequence) {
        self.scratch.clear();
        self.scratch.push(if row.is_some() { THERE } else { GONE });
        for word in [sequence.commit, sequence.position, sequence.offset] {
            self.scratch.extend_from_slice(&word.to_le_bytes());
        }
        if self.row_at > FLAGS_AT {
            self.scratch.extend_from_slice(&flags.to_le_bytes());
        }
        self.scratch.extend_from_slice(row.unwrap_or_default());
        self.kept.set(place, &self.scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(commit: i64, position: i64, offset: i64) -> Sequence {
        Sequence { commit, position, offset }
    }

    #[test]
    fn changes_are_ordered_by_transaction_then_position() {
        assert!(at(20, 3, 0).is_after(at(10, 9, 1)), "a later transaction may have begun earlier");
        assert!(at(10, 5, 9).is_after(at(10, 5, 1)), "rows of a snapshot have one place; the same change again says what is there already");
        assert!(!at(10, 4, 9).is_after(at(10, 5, 1)), "an older change again, at another offset");
        assert!(at(10, 7, 1).is_after(at(NONE, 5, 0)), "a change after the snapshot");
        assert!(!at(NONE, 5, 9).is_after(at(10, 7, 1)), "the old snapshot again");
        assert!(at(NONE, 5, 1).is_after(at(NONE, 5, 0)), "rows of a snapshot have one position");
        assert!(at(NONE, NONE, 1).is_after(at(NONE, NONE, 5)), "without positions whatever comes later is later");
    }
}
