//! Where a key's rows are in a chunk: a sorted list, made for chunks that are looked into again and
//! again.

use super::Chunk;
use std::ops::Range;

/// A chunk's list is made once as many rows were scanned as this many times the chunk's rows: about
/// the cost of making the list.
const PASSES_MAX: usize = 8;

/// At most so many rows are scanned, which is faster than finding them in a list.
const ROWS_FEW: usize = 1024;
/// Rows that a scan compares together.
const ROWS_TOGETHER: usize = 64;

/// A chunk's rows by key.
#[derive(Debug)]
pub(super) struct ByKey {
    /// The key in the upper half, the row in the lower; ascending.
    rows: Vec<u64>,
}

impl ByKey {
    fn of(chunk: &Chunk) -> Self {
        let mut rows: Vec<u64> =
            (0u64..).zip(&chunk.keys).map(|(row, key)| u64::from(*key) << 32 | row).collect();
        rows.sort_unstable();
        Self { rows }
    }

    /// The key's rows within `range`, ascending.
    fn rows(&self, key: u32, range: Range<usize>) -> impl Iterator<Item = usize> {
        let place = |row: usize| u64::from(key) << 32 | row as u64;
        let (start, end) = (place(range.start), place(range.end));
        let from = self.rows.partition_point(|r| *r < start);
        self.rows[from..]
            .iter()
            .take_while(move |r| **r < end)
            .map(|r| (*r & u64::from(u32::MAX)) as usize)
    }
}

/// A chunk that was looked into: its log and number, and how much work that was so far.
#[derive(Debug)]
struct Known {
    log: usize,
    chunk: u64,
    looked_at: usize,
    by_key: Option<ByKey>,
}

/// The chunks that were looked into last.
#[derive(Debug)]
pub(super) struct KnownChunks {
    /// The latest last.
    chunks: Vec<Known>,
    max: usize,
}

impl KnownChunks {
    pub(super) fn new(max: usize) -> Self {
        Self { chunks: Vec::new(), max }
    }

    /// Shows `see` the key's rows of a chunk within `range`, ascending. `grows` says that the chunk
    /// may get more rows.
    pub(super) fn look(
        &mut self,
        (log, number): (usize, u64),
        chunk: &Chunk,
        grows: bool,
        key: u32,
        range: Range<usize>,
        see: &mut dyn FnMut(&Chunk, usize),
    ) {
        if !grows
            && range.len() > ROWS_FEW
            && let Some(by_key) = self.known(log, number, chunk, range.len())
        {
            return by_key.rows(key, range).for_each(|row| see(chunk, row));
        }
        for start in range.clone().step_by(ROWS_TOGETHER) {
            let together = start..range.end.min(start + ROWS_TOGETHER);
            // The fold has no early exit, so that the processor compares many keys at once; a match
            // is rare.
            if chunk.keys[together.clone()].iter().fold(false, |found, k| found | (*k == key)) {
                together.filter(|row| chunk.keys[*row] == key).for_each(|row| see(chunk, row));
            }
        }
    }

    /// The chunk's list, when it is worth one.
    fn known(&mut self, log: usize, number: u64, chunk: &Chunk, rows: usize) -> Option<&ByKey> {
        let known = match self.chunks.iter().rposition(|k| k.chunk == number && k.log == log) {
            Some(place) => place,
            None => {
                if self.chunks.len() == self.max {
                    self.chunks.remove(0);
                }
                self.chunks.push(Known { log, chunk: number, looked_at: 0, by_key: None });
                self.chunks.len() - 1
            }
        };
        self.chunks[known..].rotate_left(1);
        let known = self.chunks.last_mut()?;
        if known.by_key.is_none() {
            known.looked_at += rows;
            if known.looked_at < PASSES_MAX * chunk.len() {
                return None;
            }
            known.by_key = Some(ByKey::of(chunk));
        }
        known.by_key.as_ref()
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().filter_map(|k| k.by_key.as_ref()).map(|k| k.rows.capacity() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_is_looked_into_often_shows_the_same_rows() {
        let keys: Vec<u32> = (0..4000_u32).map(|i| i * i % 37).collect();
        let chunk = Chunk { times: (0..4000).collect(), keys, columns: Vec::new() };
        let mut known = KnownChunks::new(2);
        for round in 0..1000_usize {
            let (key, range) = ((round % 40) as u32, round..4000 - 3 * round);
            let mut seen = Vec::new();
            known.look(
                (0, (round % 2) as u64),
                &chunk,
                false,
                key,
                range.clone(),
                &mut |_, row| seen.push(row),
            );
            assert_eq!(seen, range.filter(|row| chunk.keys[*row] == key).collect::<Vec<_>>());
        }
        assert_eq!(known.bytes() / 8, 8000, "both chunks have a list by now");
        known.look((1, 0), &chunk, false, 0, 0..4000, &mut |_, _| {});
        assert_eq!(
            known.bytes() / 8,
            4000,
            "the one that was looked into longest ago is forgotten"
        );
    }
}
