//! A page: the unit in which a segment is read. Entries in order, with a directory in front.
//!
//! `entries (u32) | per entry: hash (u64), where its key ends (u32), where its value ends (u32) |
//! keys and values, one after another`, little-endian.

/// Bytes of the directory per entry.
const PLACE_BYTES: usize = 16;
const COUNT_BYTES: usize = 4;

/// A page that is being filled.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    places: Vec<(u64, u32, u32)>,
    bytes: Vec<u8>,
}

impl PageBuilder {
    /// What it takes up when written.
    pub(super) fn len(&self) -> usize {
        COUNT_BYTES + self.places.len() * PLACE_BYTES + self.bytes.len()
    }

    pub(super) fn first_hash(&self) -> Option<u64> {
        self.places.first().map(|p| p.0)
    }

    pub(super) fn last_hash(&self) -> Option<u64> {
        self.places.last().map(|p| p.0)
    }

    /// Adds an entry, which must not be before the last one.
    pub(super) fn push(&mut self, hash: u64, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.places.push((hash, key_end, self.bytes.len() as u32));
    }

    /// Appends the page to `out` and begins another.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        out.extend_from_slice(&(self.places.len() as u32).to_le_bytes());
        for (hash, key_end, value_end) in self.places.drain(..) {
            out.extend_from_slice(&hash.to_le_bytes());
            out.extend_from_slice(&key_end.to_le_bytes());
            out.extend_from_slice(&value_end.to_le_bytes());
        }
        out.append(&mut self.bytes);
    }
}

/// A page that was read.
#[derive(Debug, Default)]
pub(super) struct Page {
    bytes: Vec<u8>,
    entries: usize,
}

impl Page {
    /// `None` when the directory and the bytes don't fit each other.
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let entries = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        let page = Self { bytes, entries };
        let data = page.bytes.len().checked_sub(page.data_start())?;
        let is_sorted =
            (0..entries).flat_map(|at| [page.word(at, 8), page.word(at, 12)]).is_sorted();
        let end = entries.checked_sub(1).map_or(0, |last| page.word(last, 12));
        (is_sorted && end == data).then_some(page)
    }

    /// The bytes, to read another page into.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries
    }

    fn data_start(&self) -> usize {
        COUNT_BYTES + self.entries.saturating_mul(PLACE_BYTES)
    }

    fn word(&self, entry: usize, offset: usize) -> usize {
        let at = COUNT_BYTES + entry * PLACE_BYTES + offset;
        self.bytes[at..].first_chunk().map_or(0, |c| u32::from_le_bytes(*c) as usize)
    }

    fn hash(&self, entry: usize) -> u64 {
        self.bytes[COUNT_BYTES + entry * PLACE_BYTES..]
            .first_chunk()
            .map_or(0, |c| u64::from_le_bytes(*c))
    }

    /// Hash, key and value.
    pub(super) fn entry(&self, at: usize) -> (u64, &[u8], &[u8]) {
        let data = &self.bytes[self.data_start()..];
        let start = if at == 0 { 0 } else { self.word(at - 1, 12) };
        let (key_end, value_end) = (self.word(at, 8), self.word(at, 12));
        (self.hash(at), &data[start..key_end], &data[key_end..value_end])
    }

    /// The value of a key.
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low.midpoint(high);
            if self.hash(middle) < hash { low = middle + 1 } else { high = middle }
        }
        (low..self.entries)
            .map(|at| self.entry(at))
            .take_while(|e| e.0 == hash)
            .find(|e| e.1 == key)
            .map(|e| e.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_are_found() {
        let mut builder = PageBuilder::default();
        let entries: [(u64, &[u8], &[u8]); 4] =
            [(3, b"a", b"one"), (7, b"", b""), (7, b"b", b"two"), (u64::MAX, b"c", b"three")];
        entries.iter().for_each(|(hash, key, value)| builder.push(*hash, key, value));
        let mut bytes = Vec::new();
        let length = builder.len();
        builder.finish(&mut bytes);
        assert_eq!(bytes.len(), length);
        let page = Page::new(bytes.clone()).unwrap();
        assert_eq!((0..page.len()).map(|at| page.entry(at)).collect::<Vec<_>>(), entries);
        for (hash, key, value) in entries {
            assert_eq!(page.find(hash, key), Some(value));
            assert_eq!(page.find(hash, b"x"), None);
        }
        assert_eq!(page.find(4, b"a"), None);
        for end in 0..bytes.len() {
            assert!(Page::new(bytes[..end].to_vec()).is_none(), "cut at {end}");
        }
    }
}
