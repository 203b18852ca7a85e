//! The side: rows that came behind the clock, or are not settled yet, sorted by time, in memory.

use super::{Chunk, Width};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

/// Rows sorted by (time, order of arrival), in a slab.
#[derive(Debug, Default)]
pub(super) struct Side {
    order: BTreeMap<(i64, u64), usize>,
    /// The same places by key first.
    by_key: BTreeMap<(u32, i64, u64), usize>,
    rows: Chunk,
    free: Vec<usize>,
    arrivals: u64,
}

impl Side {
    pub(super) fn new(layout: &[Width]) -> Self {
        Self { rows: Chunk::empty(layout), ..Self::default() }
    }

    pub(super) fn insert(&mut self, rows: &Chunk, row: usize) {
        let place = match self.free.pop() {
            Some(place) => {
                self.rows.set(place, rows, row);
                place
            }
            None => {
                self.rows.extend(rows, row, row + 1);
                self.rows.len() - 1
            }
        };
        self.order.insert((rows.times[row], self.arrivals), place);
        self.by_key.insert((rows.keys[row], rows.times[row], self.arrivals), place);
        self.arrivals += 1;
    }

    /// Rows with time in (`after`, `upto`], in order.
    pub(super) fn range(&self, after: i64, upto: i64) -> impl Iterator<Item = (&Chunk, usize)> {
        let range = (after < upto).then(|| self.order.range((Excluded((after, u64::MAX)), Included((upto, u64::MAX)))));
        range.into_iter().flatten().map(|(_, place)| (&self.rows, *place))
    }

    /// The key's rows with time in (`after`, `upto`], in order.
    pub(super) fn range_of(&self, key: u32, after: i64, upto: i64) -> impl Iterator<Item = (&Chunk, usize)> {
        let range = (after < upto).then(|| self.by_key.range((Excluded((key, after, u64::MAX)), Included((key, upto, u64::MAX)))));
        range.into_iter().flatten().map(|(_, place)| (&self.rows, *place))
    }

    /// The earliest time later than `after`.
    pub(super) fn next_after(&self, after: i64) -> i64 {
        self.order.range((Excluded((after, u64::MAX)), Included((i64::MAX, u64::MAX)))).next().map_or(i64::MAX, |((t, _), _)| *t)
    }

    /// Removes the rows with time in (`after`, `upto`] and returns them in order.
    pub(super) fn take(&mut self, after: i64, upto: i64, layout: &[Width]) -> Chunk {
        let mut out = Chunk::empty(layout);
        if after >= upto {
            return out;
        }
        let range = (Excluded((after, u64::MAX)), Included((upto, u64::MAX)));
        let keys: Vec<(i64, u64)> = self.order.range(range).map(|(k, _)| *k).collect();
        for key in keys {
            if let Some(place) = self.order.remove(&key) {
                out.extend(&self.rows, place, place + 1);
                self.by_key.remove(&(self.rows.keys[place], key.0, key.1));
                self.free.push(place);
            }
        }
        if self.order.is_empty() {
            self.rows = Chunk::empty(layout);
            self.free.clear();
        }
        out
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn all(&self, layout: &[Width]) -> Chunk {
        let mut out = Chunk::empty(layout);
        for place in self.order.values() {
            out.extend(&self.rows, *place, place + 1);
        }
        out
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.order.len() * 104
    }
}
