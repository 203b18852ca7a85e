//! Rows of several places in one order, of each key the newest.

use super::RowsError;
use super::memory::Memory;
use super::page::Page;
use super::segment::Segment;
use crate::history::ShardSet;
use crate::key::shard_of;
use std::cmp::Ordering;

/// Where one of the merged places stands.
#[derive(Debug)]
enum Cursor<'a> {
    Memory { memory: &'a Memory, order: Vec<u32>, at: usize },
    Segment { segment: &'a Segment, shards: ShardSet, next_page: usize, page: Page, at: usize },
}

impl Cursor<'_> {
    fn entry(&self) -> Option<(u64, &[u8], &[u8])> {
        match self {
            Self::Memory { memory, order, at } => {
                let place = *order.get(*at)?;
                Some((memory.hash(place), memory.key(place), memory.value(place)?))
            }
            Self::Segment { page, at, .. } => (*at < page.len()).then(|| page.entry(*at)),
        }
    }

    fn advance(&mut self) -> Result<(), RowsError> {
        match self {
            Self::Memory { at, .. } => *at += 1,
            Self::Segment { at, .. } => *at += 1,
        }
        self.skip()
    }

    /// To the next entry of the shards that count.
    fn skip(&mut self) -> Result<(), RowsError> {
        let Self::Segment { segment, shards, next_page, page, at } = self else { return Ok(()) };
        loop {
            while *at < page.len() {
                if shards.has(shard_of(page.entry(*at).0)) {
                    return Ok(());
                }
                *at += 1;
            }
            if *next_page == segment.pages() {
                return Ok(());
            }
            *page = segment.read(*next_page, std::mem::take(page))?;
            (*next_page, *at) = (*next_page + 1, 0);
        }
    }
}

/// Hands over what several places hold, by hash and key.
#[derive(Debug, Default)]
pub(super) struct Merge<'a> {
    /// Newest first.
    cursors: Vec<Cursor<'a>>,
}

impl<'a> Merge<'a> {
    /// Adds a place that is older than those before.
    pub(super) fn memory(mut self, memory: &'a Memory) -> Self {
        self.cursors.push(Cursor::Memory { memory, order: memory.sorted(), at: 0 });
        self
    }

    /// Adds a place that is older than those before; only rows of `shards` count.
    pub(super) fn segment(mut self, segment: &'a Segment, shards: ShardSet) -> Self {
        self.cursors.push(Cursor::Segment {
            segment,
            shards,
            next_page: 0,
            page: Page::default(),
            at: 0,
        });
        self
    }

    /// Calls `take` with each key's hash, bytes and newest value, until it says that this is
    /// enough.
    pub(super) fn run<E: From<RowsError>>(
        mut self,
        mut take: impl FnMut(u64, &[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        self.cursors.iter_mut().try_for_each(Cursor::skip)?;
        let mut same: Vec<usize> = Vec::new();
        loop {
            let mut least: Option<(u64, &[u8], &[u8])> = None;
            for (number, cursor) in self.cursors.iter().enumerate() {
                let Some(entry) = cursor.entry() else { continue };
                let order = least
                    .map_or(Ordering::Less, |least| (entry.0, entry.1).cmp(&(least.0, least.1)));
                if order == Ordering::Less {
                    least = Some(entry);
                    same.clear();
                }
                if order != Ordering::Greater {
                    same.push(number);
                }
            }
            let Some((hash, key, value)) = least else { return Ok(()) };
            if !take(hash, key, value)? {
                return Ok(());
            }
            for number in same.drain(..) {
                self.cursors[number].advance()?;
            }
        }
    }
}
