//! The last row of every key, and when in the database's order it was written.

use std::hint::black_box;

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

const CHUNK: usize = 1 << 20;
/// A length that says that the row is gone.
const GONE: u32 = u32::MAX;
/// Bytes of rows that were replaced are taken back once there are so many, and as many as those in use.
const GARBAGE_MIN: usize = 4 << 20;

#[derive(Debug, Clone, Copy)]
struct Slot {
    sequence: Sequence,
    chunk: u32,
    start: u32,
    length: u32,
}

/// A chunk that says that the key was never seen.
const UNSEEN: u32 = u32::MAX;
const EMPTY: Slot = Slot { sequence: Sequence { commit: NONE, position: NONE, offset: -1 }, chunk: UNSEEN, start: 0, length: GONE };

/// Rows by the number of their key.
#[derive(Debug, Default)]
pub(super) struct LastRows {
    slots: Vec<Slot>,
    /// A bit per condition that ever held; empty where there are no conditions.
    flags: Vec<u64>,
    chunks: Vec<Vec<u8>>,
    live: usize,
    garbage: usize,
}

impl LastRows {
    /// Makes room for keys below `keys`.
    pub(super) fn grow(&mut self, keys: usize, has_flags: bool) {
        self.slots.resize(keys, EMPTY);
        if has_flags {
            self.flags.resize(keys, 0);
        }
    }

    /// Numbers below which keys are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The key's row, if there is one.
    pub(super) fn row(&self, key: u32) -> Option<&[u8]> {
        let slot = &self.slots[key as usize];
        (slot.length != GONE).then(|| &self.chunks[slot.chunk as usize][slot.start as usize..][..slot.length as usize])
    }

    /// When the key was changed last; none if it was never seen.
    pub(super) fn sequence(&self, key: u32) -> Option<Sequence> {
        let slot = &self.slots[key as usize];
        (slot.chunk != UNSEEN).then_some(slot.sequence)
    }

    /// Fetches the rows of keys from memory, all at once where the processor would else wait for one after the other.
    pub(super) fn touch(&self, keys: &[u32]) {
        let first = |key: &u32| {
            let slot = self.slots.get(*key as usize)?;
            self.chunks.get(slot.chunk as usize)?.get(slot.start as usize)
        };
        black_box(keys.iter().filter_map(first).fold(0, |all, byte| all ^ byte));
    }

    pub(super) fn flags(&self, key: u32) -> u64 {
        self.flags.get(key as usize).copied().unwrap_or(0)
    }

    /// The key's row is `row` from `sequence` on; none: it is gone.
    pub(super) fn set(&mut self, key: u32, row: Option<&[u8]>, flags: u64, sequence: Sequence) {
        let old = self.slots[key as usize];
        let mut slot = Slot { sequence, ..old };
        let had = if old.length == GONE { 0 } else { old.length as usize };
        match row {
            None => {
                slot.chunk = if old.chunk == UNSEEN { 0 } else { old.chunk };
                slot.length = GONE;
                self.garbage += had;
                self.live -= had;
            }
            Some(row) => {
                if row.len() <= had && old.length != GONE {
                    self.chunks[old.chunk as usize][old.start as usize..][..row.len()].copy_from_slice(row);
                    self.garbage += had - row.len();
                } else {
                    self.garbage += had;
                    (slot.chunk, slot.start) = self.append(row);
                }
                slot.length = row.len() as u32;
                self.live += row.len();
                self.live -= had;
            }
        }
        self.slots[key as usize] = slot;
        if let Some(held) = self.flags.get_mut(key as usize) {
            *held = flags;
        }
        if self.garbage > GARBAGE_MIN.max(self.live) {
            self.compact();
        }
    }

    fn append(&mut self, row: &[u8]) -> (u32, u32) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() + row.len() > chunk.capacity()) {
            self.chunks.push(Vec::with_capacity(CHUNK.max(row.len())));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        let start = chunk.len();
        chunk.extend_from_slice(row);
        (last as u32, start as u32)
    }

    /// Moves the rows in use together.
    fn compact(&mut self) {
        let old = std::mem::take(&mut self.chunks);
        for key in 0..self.slots.len() {
            let slot = self.slots[key];
            if slot.length != GONE {
                let row = &old[slot.chunk as usize][slot.start as usize..][..slot.length as usize];
                let (chunk, start) = self.append(row);
                self.slots[key] = Slot { chunk, start, ..slot };
            }
        }
        self.garbage = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.flags.capacity() * 8 + self.chunks.len() * CHUNK
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

    #[test]
    fn rows_are_kept_through_growth_shrinking_and_compaction() {
        let mut rows = LastRows::default();
        rows.grow(100, true);
        let mut expected: Vec<Option<Vec<u8>>> = vec![None; 100];
        let mut dice = 7u64;
        for step in 0..200_000i64 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let (key, length) = ((dice % 100) as u32, (dice >> 20) as usize % 300);
            let row = (!dice.is_multiple_of(11)).then(|| vec![step as u8; length]);
            rows.set(key, row.as_deref(), step as u64, at(1, step, step));
            expected[key as usize] = row;
        }
        for (key, row) in expected.iter().enumerate() {
            assert_eq!(rows.row(key as u32), row.as_deref());
        }
        assert!(rows.chunks.len() < 12, "{} chunks hold {} bytes", rows.chunks.len(), rows.live);
        assert_eq!(rows.live, expected.iter().flatten().map(Vec::len).sum::<usize>());
    }
}
