//! The side: rows that came behind the clock, or are not settled yet, sorted by time, in memory.

use super::{Chunk, Width};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Included};

/// Empty lists of keys that are kept for reuse, and the capacity of each, at most: together a few
/// megabytes.
const SPARES: usize = 16_384;
const SPARE_ROWS: usize = 16;

/// A row of a key: its time, the order of its arrival, and its place.
type RowOfKey = (i64, u64, usize);

/// Rows sorted by (time, order of arrival), in a slab.
///
/// Most rows are inserted near the end of their key's list and leave at its start. At both ends a
/// row is found with one or two reads of memory, however long the list is.
#[derive(Debug, Default)]
pub(super) struct Side {
    order: BTreeMap<(i64, u64), usize>,
    /// The same rows by key; of a key, sorted.
    by_key: HashMap<u32, VecDeque<RowOfKey>>,
    /// Lists that are empty again, for the next keys.
    spare: Vec<VecDeque<RowOfKey>>,
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
        let time = rows.times[row];
        self.order.insert((time, self.arrivals), place);
        let of_key = self
            .by_key
            .entry(rows.keys[row])
            .or_insert_with(|| self.spare.pop().unwrap_or_default());
        if of_key.back().is_none_or(|last| last.0 <= time) {
            of_key.push_back((time, self.arrivals, place));
        } else {
            of_key.insert(of_key.partition_point(|r| r.0 <= time), (time, self.arrivals, place));
        }
        self.arrivals += 1;
    }

    /// Rows with time in (`after`, `upto`], in order.
    pub(super) fn range(&self, after: i64, upto: i64) -> impl Iterator<Item = (&Chunk, usize)> {
        let range = (after < upto)
            .then(|| self.order.range((Excluded((after, u64::MAX)), Included((upto, u64::MAX)))));
        range.into_iter().flatten().map(|(_, place)| (&self.rows, *place))
    }

    /// The key's rows with time in (`after`, `upto`], in order.
    pub(super) fn range_of<'a>(
        &'a self,
        key: u32,
        after: i64,
        upto: i64,
    ) -> impl Iterator<Item = (&'a Chunk, usize)> {
        let is_early = self.order.first_key_value().is_none_or(|((first, _), _)| *first > upto);
        let of_key = if is_early || after >= upto { None } else { self.by_key.get(&key) };
        // A look-up of a time shortly before the clock mostly finds nothing.
        let of_key = of_key.filter(|rows| rows.back().is_some_and(|last| last.0 > after));
        let place =
            move |rows: &VecDeque<RowOfKey>, time: i64| rows.partition_point(|r| r.0 <= time);
        let within =
            move |rows: &'a VecDeque<RowOfKey>| rows.range(place(rows, after)..place(rows, upto));
        of_key.into_iter().flat_map(within).map(|(_, _, place)| (&self.rows, *place))
    }

    /// The earliest time later than `after`.
    pub(super) fn next_after(&self, after: i64) -> i64 {
        self.order
            .range((Excluded((after, u64::MAX)), Included((i64::MAX, u64::MAX))))
            .next()
            .map_or(i64::MAX, |((t, _), _)| *t)
    }

    /// Removes the rows with time in (`after`, `upto`] and returns them in order.
    pub(super) fn take(&mut self, after: i64, upto: i64, layout: &[Width]) -> Chunk {
        let mut out = Chunk::empty(layout);
        if after >= upto {
            return out;
        }
        let range = (Excluded((after, u64::MAX)), Included((upto, u64::MAX)));
        let taken: Vec<((i64, u64), usize)> = self.order.extract_if(range, |_, _| true).collect();
        for (at, place) in taken {
            out.extend(&self.rows, place, place + 1);
            self.remove_of_key(self.rows.keys[place], at);
            self.free.push(place);
        }
        if self.order.is_empty() {
            self.rows = Chunk::empty(layout);
            self.free.clear();
        }
        out
    }

    fn remove_of_key(&mut self, key: u32, at: (i64, u64)) {
        let Entry::Occupied(mut entry) = self.by_key.entry(key) else { return };
        let rows = entry.get_mut();
        if rows.front().is_some_and(|first| (first.0, first.1) == at) {
            rows.pop_front();
        } else if let Ok(index) = rows.binary_search_by_key(&at, |r| (r.0, r.1)) {
            rows.remove(index);
        }
        if rows.is_empty() {
            let list = entry.remove();
            if list.capacity() <= SPARE_ROWS && self.spare.len() < SPARES {
                self.spare.push(list);
            }
        }
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
        // A row's places in the order and among its key's, and a key's in the table; both have room
        // to spare.
        let spare = self.spare.len() * SPARE_ROWS * size_of::<RowOfKey>();
        self.rows.bytes() + self.order.len() * 80 + self.by_key.capacity() * 48 + spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Column, Values};

    fn rows(of: &[(i64, u32)]) -> Chunk {
        let values = Values::Narrow((0..of.len() as i64).collect());
        Chunk {
            times: of.iter().map(|r| r.0).collect(),
            keys: of.iter().map(|r| r.1).collect(),
            columns: vec![Column { values, nulls: Vec::new() }],
        }
    }

    /// What a plain list of (time, key, value), in order of arrival, says.
    fn within(
        list: &[(i64, u32, i64)],
        key: Option<u32>,
        after: i64,
        upto: i64,
    ) -> Vec<(i64, u32, i64)> {
        let mut found: Vec<_> = list
            .iter()
            .filter(|r| key.is_none_or(|k| k == r.1) && r.0 > after && r.0 <= upto)
            .copied()
            .collect();
        found.sort_by_key(|r| r.0);
        found
    }

    fn shown<'a>(found: impl Iterator<Item = (&'a Chunk, usize)>) -> Vec<(i64, u32, i64)> {
        found
            .map(|(rows, row)| (rows.times[row], rows.keys[row], rows.columns[0].value(row) as i64))
            .collect()
    }

    #[test]
    fn rows_are_found_by_time_and_key_as_in_a_list() {
        let layout = [Width::Narrow];
        let (mut side, mut list) = (Side::new(&layout), Vec::new());
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for round in 0..3000_i64 {
            let (time, key) = (round / 4 - next(30) as i64, next(9) as u32);
            let value = round;
            let mut one = rows(&[(time, key)]);
            one.columns[0].values = Values::Narrow(vec![value]);
            side.insert(&one, 0);
            list.push((time, key, value));
            let (after, upto) = (round / 4 - next(60) as i64, round / 4 - next(20) as i64);
            assert_eq!(shown(side.range(after, upto)), within(&list, None, after, upto));
            for key in 0..10 {
                assert_eq!(
                    shown(side.range_of(key, after, upto)),
                    within(&list, Some(key), after, upto)
                );
            }
            if round % 5 == 4 {
                // From the start, as a settling does, and now and then from the middle.
                let after = if round % 3 == 0 { i64::MIN } else { upto - 3 };
                let taken = side.take(after, upto - 1, &layout);
                assert_eq!(
                    shown((0..taken.len()).map(|row| (&taken, row))),
                    within(&list, None, after, upto - 1)
                );
                list.retain(|r| r.0 <= after || r.0 > upto - 1);
            }
            assert_eq!((side.len(), side.is_empty()), (list.len(), list.is_empty()));
            assert_eq!(
                side.next_after(after),
                list.iter().map(|r| r.0).filter(|t| *t > after).min().unwrap_or(i64::MAX)
            );
        }
        side.take(i64::MIN, i64::MAX, &layout);
        assert!(side.by_key.is_empty() && side.order.is_empty() && side.free.is_empty());
    }
}
