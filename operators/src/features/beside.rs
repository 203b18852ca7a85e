//! Exact sums beside the sums of 128 bits: they add up the floats that are no whole number of steps
//! ([`crate::keyed::sums`]). Few keys have such values, so the exact sums are in a map by key.

use super::wide::WideColumn;
use crate::keyed::encode::float;
use crate::keyed::exact::Exact;
use hashbrown::HashMap;

/// One key's exact sums: by edge and wide column, the sum and the sum of squares.
#[derive(Debug, Clone)]
pub(super) struct KeyBeside {
    pub(super) sums: Vec<[Exact; 2]>,
}

/// The exact sums of all keys that have any.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) by_key: HashMap<u32, KeyBeside>,
}

impl KeyBeside {
    pub(super) fn new(edges: usize, columns: usize) -> Self {
        Self { sums: vec![<[Exact; 2]>::default(); edges * columns] }
    }

    /// Adds a kept number at a place, or takes it off.
    pub(super) fn add(
        &mut self,
        place: usize,
        column: &WideColumn,
        kept: i128,
        is_taken_off: bool,
    ) {
        let (value, times) = (float(kept as i64), if is_taken_off { -1 } else { 1 });
        let [sum, squares] = &mut self.sums[place];
        sum.add_float(value, times);
        if column.squares.is_some() {
            squares.add_square(value, times);
        }
    }

    /// The sums of the rows between two edges, of one column.
    pub(super) fn difference(&self, head: usize, tail: usize) -> [Exact; 2] {
        let mut difference = self.sums[head].clone();
        difference.iter_mut().zip(&self.sums[tail]).for_each(|(head, tail)| head.merge(tail, true));
        difference
    }

    /// Whether the sums are equal at all edges: no window holds any of the key's values.
    fn is_settled(&self, columns: usize) -> bool {
        let first = &self.sums[..columns];
        self.sums
            .chunks(columns)
            .skip(1)
            .flatten()
            .flatten()
            .zip(first.iter().cycle().flatten())
            .all(|(a, b)| a.is_equal(b))
    }
}

impl Beside {
    /// Adds a kept number of a key at an edge; a key of whose values none is in any window is
    /// forgotten.
    #[cold]
    pub(super) fn fold(
        &mut self,
        key: u32,
        (edge, edges): (usize, usize),
        (at, columns): (usize, &[WideColumn]),
        kept: i128,
    ) {
        let own = self.by_key.entry(key).or_insert_with(|| KeyBeside::new(edges, columns.len()));
        own.add(edge * columns.len() + at, &columns[at], kept, false);
        if own.is_settled(columns.len()) {
            self.by_key.remove(&key);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let key = |own: &KeyBeside| own.sums.iter().flatten().map(Exact::bytes).sum::<usize>();
        self.by_key.values().map(key).sum::<usize>() + self.by_key.capacity() * 40
    }
}
