//! One step's rows on one worker: in memory, on their way to a file, and in files.

use super::RowsError;
use super::job::Job;
use super::levels::{to_empty, to_merge};
use super::memory::Memory;
use super::merge::Merge;
use super::page::Page;
use super::segment::{Segment, SegmentWriter};
use crate::contract::StateDir;
use crate::disk::Folder;
use crate::history::ShardSet;
use crate::key::shard_of;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keys that are looked up together: few enough that what one look at memory fetches is still in
/// the cache at the next.
const TOGETHER: usize = 512;
/// A place that is not known yet.
const NOWHERE: u32 = u32::MAX;

/// Where rows live, and how many of them in memory.
#[derive(Debug, Clone)]
pub struct RowsConfig {
    /// Where the files are.
    pub dir: StateDir,
    /// The step's id: the folder of its files.
    pub step: String,
    /// Bytes of rows in memory before they become a file, about. While that file is written there
    /// are twice as many.
    pub memory_bytes: usize,
}

/// Keys of a batch's rows.
#[derive(Debug, Clone, Copy)]
pub struct BatchKeys<'a> {
    /// Of each row's key.
    pub hashes: &'a [u64],
    /// The keys, one after another. No two keys are spelled alike.
    pub bytes: &'a [u8],
    /// Where each begins in `bytes`, and where the last one ends.
    pub offsets: &'a [usize],
}

impl BatchKeys<'_> {
    fn key(&self, row: usize) -> &[u8] {
        &self.bytes[self.offsets[row]..self.offsets[row + 1]]
    }
}

/// A segment that counts.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// The file's name in the step's folder.
    pub(super) name: Arc<str>,
    pub(super) segment: Arc<Segment>,
    /// The shards whose rows in this segment count.
    pub(super) shards: ShardSet,
}

/// See the [module documentation](super).
#[derive(Debug)]
pub struct KeyedRows {
    pub(super) config: RowsConfig,
    pub(super) folder: Folder,
    /// Those of this worker.
    pub(super) shards: ShardSet,
    pub(super) memory: Memory,
    /// What `spilling` writes.
    frozen: Option<Arc<Memory>>,
    spilling: Option<Job>,
    /// The names of the segments that `merging` makes one of.
    merged: Vec<Arc<str>>,
    merging: Option<Job>,
    /// Newest first.
    pub(super) segments: Vec<Counted>,
    /// Files that a snapshot may name; all other files may be deleted.
    pub(super) named: BTreeSet<Arc<str>>,
    files: u64,
    missing: Vec<u32>,
    /// Saved rows are being taken back: files with older ones may still come.
    pub(super) is_restoring: bool,
}

impl KeyedRows {
    /// No rows. Nothing is read or written yet.
    #[must_use]
    pub fn new(config: RowsConfig) -> Self {
        Self {
            folder: config.dir.root.below(&config.step),
            config,
            shards: ShardSet::ALL,
            memory: Memory::default(),
            frozen: None,
            spilling: None,
            merged: Vec::new(),
            merging: None,
            segments: Vec::new(),
            named: BTreeSet::new(),
            files: 0,
            missing: Vec::new(),
            is_restoring: false,
        }
    }

    /// Brings the rows of keys into memory; `places` gets each one's place, which is valid until
    /// [`Self::make_room`] or [`Self::clear`].
    ///
    /// # Errors
    /// When a segment can't be read.
    pub fn fetch(&mut self, keys: &BatchKeys<'_>, places: &mut Vec<u32>) -> Result<(), RowsError> {
        self.is_restoring = false;
        let nothing_elsewhere = self.frozen.is_none() && self.segments.is_empty();
        self.missing.clear();
        places.clear();
        places.resize(keys.hashes.len(), NOWHERE);
        for (first, places) in (0..).step_by(TOGETHER).zip(places.chunks_mut(TOGETHER)) {
            self.memory.candidates(&keys.hashes[first..first + places.len()], places);
            for (row, place) in (first..).zip(places) {
                let (hash, key) = (keys.hashes[row], keys.key(row));
                *place = match self.memory.confirm(*place, hash, key) {
                    Some(place) => place,
                    None if nothing_elsewhere => self.memory.add(hash, key, None),
                    None => {
                        self.missing.push(row as u32);
                        NOWHERE
                    }
                };
            }
        }
        if self.missing.is_empty() { Ok(()) } else { self.fetch_missing(keys, places) }
    }

    /// Looks keys up in the files, in the files' order: neighbors are on one page.
    fn fetch_missing(&mut self, keys: &BatchKeys<'_>, places: &mut [u32]) -> Result<(), RowsError> {
        self.missing.sort_unstable_by_key(|row| (keys.hashes[*row as usize], *row));
        let mut open: Vec<(usize, Page)> =
            self.segments.iter().map(|_| (usize::MAX, Page::default())).collect();
        for row in &self.missing {
            let row = *row as usize;
            let (hash, key) = (keys.hashes[row], keys.key(row));
            if let Some(place) = self.memory.find(hash, key) {
                // The key is in the batch more than once.
                places[row] = place;
                continue;
            }
            let frozen =
                self.frozen.as_ref().and_then(|frozen| frozen.value(frozen.find(hash, key)?));
            let mut value = frozen;
            let shard = shard_of(hash);
            for (counted, (number, page)) in self.segments.iter().zip(&mut open) {
                if value.is_some() {
                    break;
                }
                if !counted.shards.has(shard) || !counted.segment.may_hold(hash) {
                    continue;
                }
                let Some(at) = counted.segment.page_of(hash) else { continue };
                if *number != at {
                    *page = counted.segment.read(at, std::mem::take(page))?;
                    *number = at;
                }
                value = page.find(hash, key);
            }
            places[row] = self.memory.add(hash, key, value);
        }
        Ok(())
    }

    /// The value of the key at `place`; none if it never had one, or an empty one since.
    #[inline]
    #[must_use]
    pub fn value(&self, place: u32) -> Option<&[u8]> {
        self.memory.value(place).filter(|value| !value.is_empty())
    }

    /// Gives the key at `place` a value, in two parts. An empty one says that nothing is kept of
    /// the key, which is forgotten once nothing older of it is in files.
    #[inline]
    pub fn set(&mut self, place: u32, head: &[u8], tail: &[u8]) {
        self.memory.set(place, head, tail);
    }

    /// Fetches rows from memory into the processor's cache, all at once where it would else wait
    /// for one after the other.
    pub fn touch(&self, places: &[u32]) {
        self.memory.touch(places);
    }

    /// Between two epochs: what is too much for memory begins to become a file, and files that
    /// threads have finished are taken. Places are void then.
    ///
    /// # Errors
    /// When a file could not be written.
    pub fn make_room(&mut self) -> Result<(), RowsError> {
        if self.spilling.as_ref().is_some_and(Job::is_done) {
            self.end_spill()?;
        }
        if self.merging.as_ref().is_some_and(Job::is_done) {
            self.end_merge()?;
        }
        if self.memory.bytes() > self.config.memory_bytes {
            // One at a time, so that there is never more than one beside the memory in use.
            self.end_spill()?;
            self.spill()?;
        }
        self.begin_merge()
    }

    fn spill(&mut self) -> Result<(), RowsError> {
        let frozen = Arc::new(std::mem::take(&mut self.memory));
        self.frozen = Some(Arc::clone(&frozen));
        let older = self.older(0);
        let write = move |folder: &Folder, name: &str, cancelled: &AtomicBool| {
            write_segment(folder, name, (Merge::default().memory(&frozen), older), cancelled)
        };
        self.spilling = Some(Job::start(self.new_file(), &self.folder, write)?);
        Ok(())
    }

    /// Waits until what is on its way to a file is there.
    pub(super) fn end_spill(&mut self) -> Result<(), RowsError> {
        if let Some(job) = self.spilling.take() {
            let (name, segment) = job.finish()?;
            self.frozen = None;
            self.replace(0..0, Counted { name, segment: Arc::new(segment), shards: self.shards });
        }
        Ok(())
    }

    /// Shards of which segments from `first` on may hold rows.
    pub(super) fn older(&self, first: usize) -> ShardSet {
        if self.is_restoring {
            return ShardSet::ALL;
        }
        self.segments[first..].iter().fold(ShardSet::NONE, |all, s| all.or(&s.shards))
    }

    fn begin_merge(&mut self) -> Result<(), RowsError> {
        if self.merging.is_some() {
            return Ok(());
        }
        let sizes: Vec<u64> = self.segments.iter().map(|s| s.segment.bytes()).collect();
        let counts: Vec<(u64, u64)> = self.segments.iter().map(|s| s.segment.entries()).collect();
        // What memory becomes is smaller than it is there.
        let range = to_merge(&sizes, self.config.memory_bytes as u64 / 4);
        let range = range.or_else(|| to_empty(&counts).filter(|_| !self.is_restoring));
        let Some(range) = range else { return Ok(()) };
        let older = self.older(range.end);
        let inputs = self.segments[range].to_vec();
        self.merged = inputs.iter().map(|s| Arc::clone(&s.name)).collect();
        let write = move |folder: &Folder, name: &str, cancelled: &AtomicBool| {
            let merge = inputs
                .iter()
                .fold(Merge::default(), |merge, s| merge.segment(&s.segment, s.shards));
            write_segment(folder, name, (merge, older), cancelled)
        };
        self.merging = Some(Job::start(self.new_file(), &self.folder, write)?);
        Ok(())
    }

    fn end_merge(&mut self) -> Result<(), RowsError> {
        let Some(job) = self.merging.take() else { return Ok(()) };
        let (name, segment) = job.finish()?;
        // Newer ones may have come in front.
        let start = self
            .segments
            .iter()
            .position(|s| self.merged.first() == Some(&s.name))
            .unwrap_or_default();
        let range: Range<usize> = start..start + self.merged.len();
        let shards =
            self.segments[range.clone()].iter().fold(ShardSet::NONE, |all, s| all.or(&s.shards));
        self.replace(range, Counted { name, segment: Arc::new(segment), shards });
        Ok(())
    }

    /// Puts a new segment in place of others, or none where nothing is in it.
    fn replace(&mut self, range: Range<usize>, new: Counted) {
        let (new, empty) =
            if new.segment.pages() == 0 { (None, Some(new)) } else { (Some(new), None) };
        let replaced: Vec<Counted> = self.segments.splice(range, new).chain(empty).collect();
        self.delete_unnamed(&replaced);
    }

    /// Hands over the newest value of every key that has one, by hash and key.
    ///
    /// # Errors
    /// When a segment can't be read, or whatever `take` gives.
    pub fn for_each<E: From<RowsError>>(
        &self,
        mut take: impl FnMut(u64, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let merge = Merge::default().memory(&self.memory);
        let merge = self.frozen.iter().fold(merge, |merge, frozen| merge.memory(frozen));
        let merge =
            self.segments.iter().fold(merge, |merge, s| merge.segment(&s.segment, s.shards));
        merge.run(|hash, key, value| {
            if !value.is_empty() {
                take(hash, key, value)?;
            }
            Ok(true)
        })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.spilling, self.merging, self.frozen) = (None, None, None);
        self.memory = Memory::default();
        let gone = std::mem::take(&mut self.segments);
        self.delete_unnamed(&gone);
    }

    /// Adds a key that is in neither memory nor files, or is newer than there; gives its place.
    pub fn put(&mut self, hash: u64, key: &[u8], value: &[u8]) -> u32 {
        match self.memory.find(hash, key) {
            Some(place) => {
                self.memory.set(place, value, &[]);
                place
            }
            None => self.memory.add(hash, key, Some(value)),
        }
    }

    fn new_file(&mut self) -> Arc<str> {
        let StateDir { generation, worker, .. } = &self.config.dir;
        self.files += 1;
        format!("{:010}-{worker:03}-{:06}.rows", generation.0, self.files).into()
    }

    fn delete_unnamed(&self, segments: &[Counted]) {
        for segment in segments.iter().filter(|s| !self.named.contains(&s.name)) {
            // What can't be deleted is collected at the next start, since nothing names it.
            let _gone = self.folder.disk().remove(&self.folder.join(segment.name.as_ref()));
        }
    }

    /// Bytes of memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let files: usize = self.segments.iter().map(|s| s.segment.memory_bytes()).sum();
        self.memory.bytes() + self.frozen.as_ref().map_or(0, |frozen| frozen.bytes()) + files
    }
}

/// Writes what `merge` hands over as a segment, or the beginning of it when nobody wants it any
/// more. An empty value hides older ones: there are some in shards of `older` only.
fn write_segment(
    folder: &Folder,
    name: &str,
    (merge, older): (Merge<'_>, ShardSet),
    cancelled: &AtomicBool,
) -> Result<Segment, RowsError> {
    let mut writer = SegmentWriter::create(folder, name)?;
    merge.run(|hash, key, value| {
        if !value.is_empty() || older.has(shard_of(hash)) {
            writer.push(hash, key, value)?;
        }
        Ok::<_, RowsError>(!cancelled.load(Ordering::Relaxed))
    })?;
    writer.finish()
}

#[cfg(test)]
mod tests;
