//! Rows in memory: a hash table from keys to places, and a chunked heap of keys and values.

use hashbrown::HashTable;
use std::hint::black_box;
use std::ops::Range;

const CHUNK: usize = 1 << 20;
/// A length that says that nothing is known of the key.
const UNKNOWN: u32 = u32::MAX;
/// Replaced rows are compacted away once they take so many bytes, and as many as the rows in use.
const GARBAGE_MIN: usize = 4 << 20;

/// Where a key and its value are, one right after the other.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u64,
    chunk: u32,
    start: u32,
    key: u32,
    value: u32,
}

impl Slot {
    fn value_bytes(self) -> usize {
        if self.value == UNKNOWN { 0 } else { self.value as usize }
    }

    fn bytes(self) -> usize {
        self.key as usize + self.value_bytes()
    }
}

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub(super) struct Memory {
    table: HashTable<(u64, u32)>,
    slots: Vec<Slot>,
    chunks: Vec<Vec<u8>>,
    live: usize,
    garbage: usize,
}

impl Memory {
    /// Places below which keys are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A key's place, if it has one.
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.table
            .find(hash, |(h, place)| *h == hash && self.key(*place) == key)
            .map(|(_, place)| *place)
    }

    /// For each hash the place of some key that has it. To be looked up at once, so that the
    /// processor fetches many from memory at a time.
    pub(super) fn candidates(&self, hashes: &[u64], places: &mut [u32]) {
        for (hash, place) in hashes.iter().zip(places.iter_mut()) {
            *place =
                self.table.find(*hash, |(h, _)| h == hash).map_or(UNKNOWN, |(_, place)| *place);
        }
        self.touch(places);
    }

    /// A candidate if it is the key's place.
    pub(super) fn confirm(&self, candidate: u32, hash: u64, key: &[u8]) -> Option<u32> {
        if candidate == UNKNOWN {
            return self.find(hash, key);
        }
        if self.key(candidate) == key { Some(candidate) } else { self.find(hash, key) }
    }

    pub(super) fn hash(&self, place: u32) -> u64 {
        self.slots[place as usize].hash
    }

    pub(super) fn key(&self, place: u32) -> &[u8] {
        let slot = self.slots[place as usize];
        &self.chunks[slot.chunk as usize][slot.start as usize..][..slot.key as usize]
    }

    /// The key's value; none when nothing is known of it.
    pub(super) fn value(&self, place: u32) -> Option<&[u8]> {
        let slot = self.slots[place as usize];
        let value = slot.start as usize + slot.key as usize;
        (slot.value != UNKNOWN)
            .then(|| &self.chunks[slot.chunk as usize][value..][..slot.value as usize])
    }

    /// Fetches the rows at `places` from memory, all at once where the processor would else wait
    /// for one after the other.
    pub(super) fn touch(&self, places: &[u32]) {
        let first = |place: &u32| {
            let slot = self.slots.get(*place as usize)?;
            self.chunks.get(slot.chunk as usize)?.get(slot.start as usize)
        };
        black_box(places.iter().filter_map(first).fold(0, |all, byte| all ^ byte));
    }

    /// A place for a key that has none.
    pub(super) fn add(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) -> u32 {
        let place = self.slots.len() as u32;
        let value_length = value.map_or(UNKNOWN, |value| value.len() as u32);
        let (chunk, start) = append(&mut self.chunks, &[key, value.unwrap_or_default()]);
        let slot = Slot { hash, chunk, start, key: key.len() as u32, value: value_length };
        self.live += slot.bytes();
        self.slots.push(slot);
        self.table.insert_unique(hash, (hash, place), |(hash, _)| *hash);
        place
    }

    /// Gives the key at `place` a value, in two parts.
    pub(super) fn set(&mut self, place: u32, head: &[u8], tail: &[u8]) {
        let slot = &mut self.slots[place as usize];
        let (had, length) = (slot.value_bytes(), head.len() + tail.len());
        self.live = self.live + length - had;
        if length <= had {
            let start = (slot.start + slot.key) as usize;
            let (to_head, to_tail) =
                self.chunks[slot.chunk as usize][start..][..length].split_at_mut(head.len());
            to_head.copy_from_slice(head);
            to_tail.copy_from_slice(tail);
            self.garbage += had - length;
        } else {
            self.garbage += slot.bytes();
            let from = (slot.chunk, slot.start as usize..(slot.start + slot.key) as usize);
            (slot.chunk, slot.start) = append_moved(&mut self.chunks, from, head, tail);
        }
        slot.value = length as u32;
        if self.garbage > GARBAGE_MIN.max(self.live) {
            self.compact();
        }
    }

    /// Moves the rows in use together.
    fn compact(&mut self) {
        let old = std::mem::take(&mut self.chunks);
        for slot in &mut self.slots {
            let row = &old[slot.chunk as usize][slot.start as usize..][..slot.bytes()];
            (slot.chunk, slot.start) = append(&mut self.chunks, &[row]);
        }
        self.garbage = 0;
    }

    /// Places of keys with values, by hash and key.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let mut places: Vec<(u64, u32)> = (0u32..)
            .zip(&self.slots)
            .filter(|(_, s)| s.value != UNKNOWN)
            .map(|(at, s)| (s.hash, at))
            .collect();
        places
            .sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.key(a.1).cmp(self.key(b.1))));
        places.into_iter().map(|(_, place)| place).collect()
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
            + self.table.capacity() * (size_of::<(u64, u32)>() + 1)
            + self.live
            + self.garbage
    }
}

/// Makes room for so many bytes in the last chunk.
fn chunk_for(chunks: &mut Vec<Vec<u8>>, bytes: usize) -> u32 {
    if chunks.last().is_none_or(|chunk| chunk.len() + bytes > chunk.capacity()) {
        chunks.push(Vec::with_capacity(CHUNK.max(bytes)));
    }
    chunks.len() as u32 - 1
}

fn append(chunks: &mut Vec<Vec<u8>>, parts: &[&[u8]]) -> (u32, u32) {
    let number = chunk_for(chunks, parts.iter().map(|p| p.len()).sum());
    let chunk = &mut chunks[number as usize];
    let start = chunk.len() as u32;
    parts.iter().for_each(|part| chunk.extend_from_slice(part));
    (number, start)
}

/// Appends a key that is in a chunk already, and a new value.
fn append_moved(
    chunks: &mut Vec<Vec<u8>>,
    (from, key): (u32, Range<usize>),
    head: &[u8],
    tail: &[u8],
) -> (u32, u32) {
    let number = chunk_for(chunks, key.len() + head.len() + tail.len());
    let start = chunks[number as usize].len() as u32;
    if number == from {
        chunks[number as usize].extend_from_within(key);
    } else if let [old, .., new] = &mut chunks[from as usize..] {
        new.extend_from_slice(&old[key]);
    }
    chunks[number as usize].extend_from_slice(head);
    chunks[number as usize].extend_from_slice(tail);
    (number, start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn rows_are_kept_through_growth_shrinking_and_compaction() {
        let mut memory = Memory::default();
        let mut expected: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        let mut dice = 7u64;
        for step in 0..200_000u32 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let (key, length) =
                ((dice % 100).to_string().into_bytes(), (dice >> 20) as usize % 300);
            // Few hashes: keys share them.
            let hash = dice % 100 / 3;
            let place = memory.find(hash, &key).unwrap_or_else(|| memory.add(hash, &key, None));
            let value = (!dice.is_multiple_of(11)).then(|| vec![step as u8; length]);
            assert_eq!(memory.value(place), expected.get(&key).and_then(Option::as_deref));
            if let Some(value) = &value {
                let (head, tail) = value.split_at(value.len() / 3);
                memory.set(place, head, tail);
                expected.insert(key, Some(value.clone()));
            } else {
                expected.entry(key).or_default();
            }
        }
        assert!(
            memory.chunks.len() < 12,
            "{} chunks hold {} bytes",
            memory.chunks.len(),
            memory.live
        );
        let keys: usize = expected.keys().map(Vec::len).sum();
        assert_eq!(memory.live, keys + expected.values().flatten().map(Vec::len).sum::<usize>());
        let sorted = memory.sorted();
        assert_eq!(sorted.len(), expected.values().flatten().count());
        assert!(
            sorted.is_sorted_by_key(|place| (memory.hash(*place), memory.key(*place).to_vec()))
        );
    }
}
