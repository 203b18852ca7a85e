//! The last row of every key, and when in the database's order it was written.

use crate::keyed::bytes::{number, unzigzag, zigzag};
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
    /// Whether a change here was made after that of `other`, of the same key: if not, it is a
    /// repetition.
    ///
    /// A database locks a row until the transaction that changed it ends, so positions alone order
    /// two changes of one key also where the transaction's position is known of only one of them.
    /// Changes without positions are taken in the order in which they come.
    pub(super) fn is_after(self, other: Self) -> bool {
        if self.position == NONE || other.position == NONE {
            return true;
        }
        // Rows of a snapshot, and the truncation before them, have equal positions: their offsets
        // order them.
        if self.commit != NONE && other.commit != NONE {
            return (self.commit, self.position, self.offset)
                > (other.commit, other.position, other.offset);
        }
        (self.position, self.offset) > (other.position, other.offset)
    }
}

/// Bits of the byte before a row: it is there; the commit's position is known; the position is
/// known.
const THERE: u8 = 1;
const COMMIT: u8 = 2;
const POSITION: u8 = 4;
/// Bytes before a row at most: the bits, its sequence and its flags.
const HEAD_BYTES: usize = 1 + 4 * 10;

/// The last row of every key: bytes by the key's place. Before a row stand the bits, and as numbers
/// of seven bits a byte those of its sequence that are known, and its flags.
#[derive(Debug)]
pub(super) struct LastRows {
    pub(super) kept: KeyedRows,
}

/// What is kept of a key, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastRow<'a> {
    pub(super) sequence: Sequence,
    /// A bit per condition that ever held.
    pub(super) flags: u64,
    /// None: the row was deleted. Its key is kept, so that an old change that comes again does not
    /// bring the row back.
    pub(super) row: Option<&'a [u8]>,
}

impl<'a> LastRow<'a> {
    /// Takes apart what is kept.
    #[inline]
    pub(super) fn of(kept: &'a [u8]) -> Option<Self> {
        let (bits, mut rest) = kept.split_first()?;
        let mut next = |known: u8| {
            if bits & known == known { Some(unzigzag(number(&mut rest)?)) } else { Some(NONE) }
        };
        let sequence =
            Sequence { commit: next(COMMIT)?, position: next(POSITION)?, offset: next(0)? };
        let flags = number(&mut rest)?;
        Some(Self { sequence, flags, row: (bits & THERE != 0).then_some(rest) })
    }
}

impl LastRows {
    pub(super) fn new(kept: KeyedRows) -> Self {
        Self { kept }
    }

    /// What is known of the key at `place`.
    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<LastRow<'_>> {
        LastRow::of(self.kept.value(place)?)
    }

    /// The row of the key at `place` is `row` from `sequence` on; none: it is gone.
    #[inline]
    pub(super) fn set(
        &mut self,
        place: u32,
        row: Option<&[u8]>,
        flags: u64,
        Sequence { commit, position, offset }: Sequence,
    ) {
        let mut head = Head::default();
        head.bytes[0] = if row.is_some() { THERE } else { 0 };
        head.length = 1;
        for (value, known) in [(commit, COMMIT), (position, POSITION)] {
            if value != NONE {
                head.bytes[0] |= known;
                head.push(zigzag(value));
            }
        }
        head.push(zigzag(offset));
        head.push(flags);
        self.kept.set(place, &head.bytes[..head.length], row.unwrap_or_default());
    }
}

/// What stands before a row, while it is written.
struct Head {
    bytes: [u8; HEAD_BYTES],
    length: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self { bytes: [0; HEAD_BYTES], length: 0 }
    }
}

impl Head {
    fn push(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes[self.length] = number as u8 | 0x80;
            self.length += 1;
            number >>= 7;
        }
        self.bytes[self.length] = number as u8;
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riskstream_engine::contract::StateDir;
    use riskstream_engine::ids::Generation;
    use riskstream_engine::rows::{BatchKeys, RowsConfig};

    fn at(commit: i64, position: i64, offset: i64) -> Sequence {
        Sequence { commit, position, offset }
    }

    #[test]
    fn what_is_kept_of_a_key_comes_back() {
        let dir = StateDir { root: "unused".into(), generation: Generation(1), worker: 0 };
        let mut rows = LastRows::new(KeyedRows::new(RowsConfig {
            dir,
            step: "step".into(),
            memory_bytes: 1 << 20,
        }));
        let mut places = Vec::new();
        rows.kept
            .fetch(&BatchKeys { hashes: &[7], bytes: b"k", offsets: &[0, 1] }, &mut places)
            .unwrap();
        assert!(rows.get(places[0]).is_none());
        let extremes = [NONE, i64::MIN + 1, -1, 0, 127, 1 << 40, i64::MAX];
        for (commit, position) in extremes.iter().flat_map(|c| extremes.map(|p| (*c, p))) {
            for (offset, row) in [(-1, None), (i64::MAX, Some(&b""[..])), (5, Some(b"a row"))] {
                rows.set(places[0], row, commit as u64, at(commit, position, offset));
                let last = rows.get(places[0]).unwrap();
                assert_eq!(
                    (last.sequence, last.flags, last.row),
                    (at(commit, position, offset), commit as u64, row)
                );
            }
        }
        assert!(
            LastRow::of(&[]).is_none()
                && LastRow::of(&[7, 0x80]).is_none()
                && LastRow::of(&[0x80; 60]).is_none(),
            "damaged"
        );
    }

    #[test]
    fn changes_are_ordered_by_transaction_then_position() {
        assert!(at(20, 3, 0).is_after(at(10, 9, 1)), "a later transaction may have begun earlier");
        assert!(
            at(10, 5, 9).is_after(at(10, 5, 1)),
            "rows of a snapshot have one place; the same change again says what is there already"
        );
        assert!(!at(10, 4, 9).is_after(at(10, 5, 1)), "an older change again, at another offset");
        assert!(at(10, 7, 1).is_after(at(NONE, 5, 0)), "a change after the snapshot");
        assert!(!at(NONE, 5, 9).is_after(at(10, 7, 1)), "the old snapshot again");
        assert!(at(NONE, 5, 1).is_after(at(NONE, 5, 0)), "rows of a snapshot have one position");
        assert!(
            at(NONE, NONE, 1).is_after(at(NONE, NONE, 5)),
            "without positions whatever comes later is later"
        );
    }
}
