//! Segment files: entries in order of hash and key, in pages, then the pages' index and the filter.
//! Written once, never changed.
//!
//! `pages, each followed by its checksum | index: per page its first hash, where it starts, its
//! length (u64 each) | filter | footer: where the index starts, how many pages, how many entries,
//! how many of these have an empty value, the checksum of index and filter, the mark (u64
//! each)`. An entry whose hash is that of the one before is on the same page.

use super::RowsError;
use super::filter::Filter;
use super::page::{Page, PageBuilder};
use crate::disk::{Folder, NewFile, OpenFile};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a page, about: what one look-up reads.
const PAGE_BYTES: usize = 8 << 10;
const MARK: u64 = u64::from_le_bytes(*b"rsrows02");
const WORD: usize = 8;
const FOOTER_BYTES: usize = 6 * WORD;
const INDEX_BYTES: usize = 3 * WORD;

/// Where a page is.
#[derive(Debug, Clone, Copy)]
struct PlaceOfPage {
    first_hash: u64,
    start: u64,
    length: u32,
}

/// A segment that is being written; not synced.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    folder: Folder,
    name: Box<str>,
    path: PathBuf,
    file: BufWriter<Box<dyn NewFile>>,
    written: u64,
    page: PageBuilder,
    encoded: Vec<u8>,
    pages: Vec<PlaceOfPage>,
    hashes: Vec<u64>,
    empty: u64,
}

impl SegmentWriter {
    /// A new file; its folder is made.
    pub(super) fn create(folder: &Folder, name: &str) -> Result<Self, RowsError> {
        let path = folder.join(name);
        let file = folder.disk().make_folders(folder).and_then(|()| folder.disk().create(&path));
        let file = file.map_err(|e| RowsError::new("write", path.display().to_string(), e))?;
        Ok(Self {
            folder: folder.clone(),
            name: name.into(),
            path,
            file: BufWriter::with_capacity(1 << 18, file),
            written: 0,
            page: PageBuilder::default(),
            encoded: Vec::new(),
            pages: Vec::new(),
            hashes: Vec::new(),
            empty: 0,
        })
    }

    /// Adds an entry, which must be after the last one.
    pub(super) fn push(&mut self, hash: u64, key: &[u8], value: &[u8]) -> Result<(), RowsError> {
        if self.page.len() + key.len() + value.len() > PAGE_BYTES
            && self.page.last_hash().is_some_and(|last| last != hash)
        {
            self.end_page()?;
        }
        self.page.push(hash, key, value);
        self.hashes.push(hash);
        self.empty += u64::from(value.is_empty());
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), RowsError> {
        let Some(first_hash) = self.page.first_hash() else { return Ok(()) };
        self.encoded.clear();
        self.page.finish(&mut self.encoded);
        let fail = |reason: &dyn std::fmt::Display| {
            RowsError::new("write", self.path.display().to_string(), reason)
        };
        let length =
            u32::try_from(self.encoded.len()).map_err(|_| fail(&"a row is larger than 4 GiB"))?;
        self.pages.push(PlaceOfPage { first_hash, start: self.written, length });
        let checksum = xxh3_64(&self.encoded).to_le_bytes();
        self.file
            .write_all(&self.encoded)
            .and_then(|()| self.file.write_all(&checksum))
            .map_err(|e| fail(&e))?;
        self.written += self.encoded.len() as u64 + WORD as u64;
        Ok(())
    }

    /// Ends the file and opens it for reading.
    pub(super) fn finish(mut self) -> Result<Segment, RowsError> {
        self.end_page()?;
        let mut tail = Vec::with_capacity(self.pages.len() * INDEX_BYTES);
        for page in &self.pages {
            [page.first_hash, page.start, u64::from(page.length)]
                .iter()
                .for_each(|word| tail.extend_from_slice(&word.to_le_bytes()));
        }
        let mut filter = Filter::for_keys(self.hashes.len());
        self.hashes.iter().for_each(|hash| filter.add(*hash));
        filter.write(&mut tail);
        let checksum = xxh3_64(&tail);
        let footer = [
            self.written,
            self.pages.len() as u64,
            self.hashes.len() as u64,
            self.empty,
            checksum,
            MARK,
        ];
        footer.iter().for_each(|word| tail.extend_from_slice(&word.to_le_bytes()));
        let written = self.file.write_all(&tail).and_then(|()| self.file.flush());
        written.map_err(|e| RowsError::new("write", self.path.display().to_string(), e))?;
        Segment::open(&self.folder, &self.name)
    }
}

/// A segment to read from.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: Box<dyn OpenFile>,
    pages: Vec<PlaceOfPage>,
    filter: Filter,
    bytes: u64,
    entries: u64,
    empty: u64,
}

impl Segment {
    /// Reads the index and the filter.
    pub(super) fn open(folder: &Folder, name: &str) -> Result<Self, RowsError> {
        let path = folder.join(name);
        let fail = |reason: &dyn std::fmt::Display| {
            RowsError::new("read", path.display().to_string(), reason)
        };
        let cut = || fail(&"it is damaged or was cut short");
        let file = folder.disk().open(&path).map_err(|e| fail(&e))?;
        let bytes = file.bytes();
        let mut footer = [0; FOOTER_BYTES];
        let footer_start = bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(cut)?;
        file.read_at(&mut footer, footer_start).map_err(|e| fail(&e))?;
        let [index_start, pages, entries, empty, checksum, mark] =
            words::<6>(&footer).ok_or_else(cut)?;
        if mark != MARK {
            return Err(cut());
        }
        let tail_bytes = footer_start
            .checked_sub(index_start)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(cut)?;
        let index_bytes =
            usize::try_from(pages).ok().and_then(|n| n.checked_mul(INDEX_BYTES)).ok_or_else(cut)?;
        let mut tail = vec![0; tail_bytes];
        file.read_at(&mut tail, index_start).map_err(|e| fail(&e))?;
        if xxh3_64(&tail) != checksum {
            return Err(cut());
        }
        let (index, filter) = tail.split_at_checked(index_bytes).ok_or_else(cut)?;
        let page = |place: &[u8]| {
            let [first_hash, start, length] = words::<3>(place)?;
            Some(PlaceOfPage { first_hash, start, length: u32::try_from(length).ok()? })
        };
        let pages = index
            .chunks_exact(INDEX_BYTES)
            .map(page)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(cut)?;
        let filter = Filter::read(filter).ok_or_else(cut)?;
        Ok(Self { path, file, pages, filter, bytes, entries, empty })
    }

    /// False: it does not hold the key.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.filter.may_hold(hash)
    }

    /// The page on which a key of this hash would be.
    pub(super) fn page_of(&self, hash: u64) -> Option<usize> {
        self.pages.partition_point(|page| page.first_hash <= hash).checked_sub(1)
    }

    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Reads a page into the memory of one that is not needed any more.
    pub(super) fn read(&self, page: usize, needless: Page) -> Result<Page, RowsError> {
        let fail = |reason: &dyn std::fmt::Display| {
            RowsError::new("read", self.path.display().to_string(), reason)
        };
        let PlaceOfPage { start, length, .. } = self.pages[page];
        let mut bytes = needless.into_bytes();
        bytes.resize(length as usize + WORD, 0);
        self.file.read_at(&mut bytes, start).map_err(|e| fail(&e))?;
        let (content, checksum) = bytes.split_at(length as usize);
        if words::<1>(checksum) != Some([xxh3_64(content)]) {
            return Err(fail(&format!("page {page} is damaged")));
        }
        bytes.truncate(length as usize);
        Page::new(bytes).ok_or_else(|| fail(&format!("page {page} is damaged")))
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many entries there are, and how many of these have an empty value.
    pub(super) fn entries(&self) -> (u64, u64) {
        (self.entries, self.empty)
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pages.capacity() * size_of::<PlaceOfPage>() + self.filter.bytes()
    }
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let words: [[u8; WORD]; N] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_segment_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.rows");
        let folder: Folder = folder.path().into();
        let mut writer = SegmentWriter::create(&folder, "0.rows").unwrap();
        (0..5_000u64).for_each(|n| writer.push(n / 3, &n.to_be_bytes(), b"value").unwrap());
        let segment = writer.finish().unwrap();
        assert!(segment.pages() > 10);
        for n in 0..5_000u64 {
            let page = segment.read(segment.page_of(n / 3).unwrap(), Page::default()).unwrap();
            assert_eq!(page.find(n / 3, &n.to_be_bytes()), Some(&b"value"[..]));
        }
        let whole = std::fs::read(&path).unwrap();
        for end in [0, 10, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(Segment::open(&folder, "0.rows").is_err(), "cut at {end}");
        }
        let mut damaged = whole.clone();
        damaged[100] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let segment = Segment::open(&folder, "0.rows").unwrap();
        assert!(segment.read(0, Page::default()).unwrap_err().reason.contains("damaged"));
        let at = damaged.len() - FOOTER_BYTES - 3;
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(Segment::open(&folder, "0.rows").is_err());
    }
}
