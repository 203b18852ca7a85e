//! What is added up per key: at every edge, the number of rows and the sums so far. A window is the
//! difference of two edges.
//!
//! ```text
//!   edge 0:  [key 0: rows, sum, ..][key 1: rows, sum, ..] ..
//!   edge 1:  [key 0: rows, sum, ..][key 1: rows, sum, ..] ..
//! ```
//! There is a Vec per edge and shard, indexed by the key's number in the shard: rows are passed
//! over once per edge, so what a pass needs lies together.
//!
//! 64-bit sums wrap around, and a difference of two wrapped sums is right as long as the window's
//! own sum fits 64 bits. Before every batch the largest value seen times the number of rows held is
//! compared with what fits; when it might not, the column is *promoted*: its sums go on in 128
//! bits, and where these might not do in parts ([`super::wide`]), started from the differences,
//! which were right until then. So no sum is ever wrong, and sums that fit stay fast. Floats that
//! are no whole number of steps are added up in exact sums ([`super::beside`]). Null counts get a
//! lane when a column's first null comes.

use super::beside::Beside;
use super::extras::Extras;
use super::idle::Idle;
use super::plan::OnInput;
use super::wide::{Lanes, SQUARE_PARTS, SUM_PARTS, WideColumn, parts_of, parts_of_squares};
use crate::keyed::dictionary::shrink_vec;
use crate::keyed::sums::Unit;
use riskstream_engine::history::{Chunk, Column, Values, Width};
use riskstream_engine::ids::{KeyId, SHARDS};

/// What a 64-bit lane adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SumLane {
    Rows,
    Sum(usize),
    Nulls(usize),
}

/// Where a column's sum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SumPlace {
    /// A 64-bit lane.
    Narrow(usize),
    /// A wide column.
    Wide(usize),
}

/// What of a wide column is promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promoted {
    /// The sum: from 64 bits to 128, or from those to parts.
    Sum,
    /// The sum of squares, to parts.
    Squares,
}

/// The numbers of all keys of one worker.
#[derive(Debug)]
pub(super) struct State {
    pub(super) edges: usize,
    pub(super) lanes: Vec<SumLane>,
    /// In the order in which columns came to have wide numbers.
    pub(super) wide_columns: Vec<WideColumn>,
    /// Wide numbers of a key at an edge.
    pub(super) wide_lanes: usize,
    pub(super) beside: Beside,
    /// Number of wide columns that may have exact sums ([`super::beside`]): those that were wide
    /// from the beginning.
    pub(super) beside_columns: usize,
    /// Per edge and shard (at [`State::place`]): key, lane.
    pub(super) narrow: Vec<Vec<i64>>,
    /// Per shard: key, edge, wide lane.
    pub(super) wide: Vec<Vec<i128>>,
    pub(super) extras: Vec<Vec<Extras>>,
    /// Keys per shard.
    pub(super) keys: Vec<usize>,
    /// Per shard: since when each key has had no new row, where keys are forgotten at all.
    pub(super) idle: Vec<Vec<Idle>>,
    /// Per kept column: the largest magnitude seen, of what is added up in 64 or 128 bits.
    pub(super) magnitude: Vec<u128>,
}

impl State {
    pub(super) fn new(plan: &OnInput) -> Self {
        let mut state = Self {
            edges: plan.edges.len(),
            lanes: if plan.edges.is_empty() { Vec::new() } else { vec![SumLane::Rows] },
            wide_columns: Vec::new(),
            wide_lanes: 0,
            beside: Beside::default(),
            beside_columns: 0,
            narrow: vec![Vec::new(); plan.edges.len() * SHARDS],
            wide: vec![Vec::new(); SHARDS],
            extras: (0..SHARDS).map(|_| Vec::new()).collect(),
            keys: vec![0; SHARDS],
            idle: vec![Vec::new(); SHARDS],
            magnitude: vec![0; plan.kept.len()],
        };
        for column in &plan.sums {
            let unit = plan.unit(*column);
            let is_narrow =
                unit == Unit::Whole && plan.kept[*column].encoding.width() == Width::Narrow;
            if is_narrow {
                state.lanes.push(SumLane::Sum(*column));
            }
            let has_squares = plan.squares.contains(column);
            if is_narrow && !has_squares {
                continue;
            }
            let lanes = |parts| Lanes { first: 0, parts };
            // The square of a float has too many steps for one number.
            let squares = lanes(if unit == Unit::Float { SQUARE_PARTS } else { 1 });
            let wide = WideColumn {
                column: *column,
                unit,
                sum: (!is_narrow).then(|| lanes(1)),
                squares: has_squares.then_some(squares),
            };
            state.wide_columns.push(wide);
        }
        state.wide_lanes = place(&mut state.wide_columns);
        state.beside_columns = state.wide_columns.len();
        state
    }

    /// Makes room for the keys that the dictionary has numbered.
    pub(super) fn grow(&mut self, plan: &OnInput, counts: &[u32]) {
        let (lanes, wide_stride) = (self.lanes.len(), self.wide_stride());
        for (shard, count) in counts.iter().enumerate() {
            let count = *count as usize;
            if self.keys[shard] < count {
                self.keys[shard] = count;
                for edge in 0..self.edges {
                    self.narrow[Self::place(edge, shard)].resize(count * lanes, 0);
                }
                self.wide[shard].resize(count * wide_stride, 0);
                if plan.forgets() {
                    self.idle[shard].resize(count, Idle::default());
                }
                if plan.has_extras() {
                    self.extras[shard].resize_with(count, || Extras::new(plan));
                }
            }
        }
    }

    /// Gives the room back of keys after those that the dictionary has numbered.
    pub(super) fn shrink(&mut self, counts: &[u32]) {
        let (lanes, wide_stride) = (self.lanes.len(), self.wide_stride());
        for (shard, count) in counts.iter().enumerate() {
            let count = *count as usize;
            self.keys[shard] = self.keys[shard].min(count);
            for edge in 0..self.edges {
                truncate(&mut self.narrow[Self::place(edge, shard)], count * lanes);
            }
            truncate(&mut self.wide[shard], count * wide_stride);
            truncate(&mut self.idle[shard], count);
            truncate(&mut self.extras[shard], count);
        }
    }

    /// Where the numbers of a shard's keys at an edge are.
    #[inline]
    pub(super) fn place(edge: usize, shard: usize) -> usize {
        edge * SHARDS + shard
    }

    /// A key's numbers at an edge.
    #[inline]
    pub(super) fn narrow_of(&self, key: KeyId, edge: usize) -> &[i64] {
        let lanes = self.lanes.len();
        &self.narrow[Self::place(edge, usize::from(key.shard().0))]
            [key.local() * lanes..(key.local() + 1) * lanes]
    }

    /// A key's numbers at all edges, one after the other.
    pub(super) fn narrow_of_all(&self, key: KeyId, numbers: &mut Vec<i64>) {
        numbers.clear();
        for edge in 0..self.edges {
            numbers.extend_from_slice(self.narrow_of(key, edge));
        }
    }

    pub(super) fn wide_stride(&self) -> usize {
        self.edges * self.wide_lanes
    }

    /// Where a kept column's sum is now: in 128 bits when it was promoted.
    pub(super) fn sum_place(&self, column: usize) -> SumPlace {
        match self.wide_columns.iter().position(|wide| wide.column == column && wide.sum.is_some())
        {
            Some(wide) => SumPlace::Wide(wide),
            None => SumPlace::Narrow(
                self.lanes.iter().position(|l| *l == SumLane::Sum(column)).unwrap_or(0),
            ),
        }
    }

    /// The wide column that a kept column is.
    pub(super) fn wide_column(&self, column: usize) -> Option<usize> {
        self.wide_columns.iter().position(|wide| wide.column == column)
    }

    pub(super) fn nulls_lane(&self, column: usize) -> Option<usize> {
        self.lanes.iter().position(|l| *l == SumLane::Nulls(column))
    }

    /// Adds the row to an edge of its key.
    #[inline]
    pub(super) fn fold(&mut self, plan: &OnInput, edge: usize, rows: &Chunk, row: usize) {
        let key = KeyId(rows.keys[row]);
        let shard = usize::from(key.shard().0);
        let local = key.local();
        let lanes = self.lanes.len();
        let numbers =
            &mut self.narrow[Self::place(edge, shard)][local * lanes..(local + 1) * lanes];
        for (sum, lane) in numbers.iter_mut().zip(&self.lanes) {
            *sum = sum.wrapping_add(lane.of(&rows.columns, row));
        }
        if self.wide_lanes > 0 {
            let base = (local * self.edges + edge) * self.wide_lanes;
            let numbers = &mut self.wide[shard][base..base + self.wide_lanes];
            for (at, wide) in self.wide_columns.iter().enumerate() {
                let kept = rows.columns[wide.column].value(row);
                match wide.unit.fixed(kept) {
                    Some(value) => wide.add(value, numbers, false),
                    None => self.beside.fold(
                        key.0,
                        (edge, self.edges),
                        (at, &self.wide_columns[..self.beside_columns]),
                        kept,
                    ),
                }
            }
        }
        if plan.has_extras() {
            self.extras[shard][local].fold(plan, edge, rows, row);
        }
    }

    /// Prepares for rows with these columns, `held` rows being in reach of the windows at most.
    pub(super) fn prepare(&mut self, plan: &OnInput, columns: &[Column], held: usize) {
        if self.edges == 0 {
            return;
        }
        for (index, column) in columns.iter().enumerate() {
            if column.nulls.contains(&true) && self.nulls_lane(index).is_none() {
                self.add_lane(SumLane::Nulls(index));
            }
            if !plan.sums.contains(&index) {
                continue;
            }
            let largest = match (&column.values, plan.unit(index)) {
                (Values::Narrow(v), Unit::Whole) => {
                    u128::from(v.iter().fold(0, |m: u64, v| m.max(v.unsigned_abs())))
                }
                (Values::Narrow(v), unit) => v
                    .iter()
                    .filter_map(|v| unit.fixed(i128::from(*v)))
                    .fold(0, |m: u128, v| m.max(v.unsigned_abs())),
                (Values::Wide(v), _) => v.iter().fold(0, |m: u128, v| m.max(v.unsigned_abs())),
            };
            self.magnitude[index] = self.magnitude[index].max(largest);
            let bound = self.magnitude[index].saturating_mul(held as u128 + 1);
            if matches!(self.sum_place(index), SumPlace::Narrow(_)) && bound > i64::MAX as u128 {
                self.promote(index, Promoted::Sum);
            }
            let Some(wide) = self.wide_column(index).map(|at| self.wide_columns[at]) else {
                continue;
            };
            if wide.sum.is_some_and(|sum| sum.parts == 1) && bound > i128::MAX as u128 {
                self.promote(index, Promoted::Sum);
            }
            let squares = bound.saturating_mul(self.magnitude[index]);
            if wide.squares.is_some_and(|squares| squares.parts == 1) && squares > i128::MAX as u128
            {
                self.promote(index, Promoted::Squares);
            }
        }
    }

    /// Adds a lane that is 0 for every row so far.
    pub(super) fn add_lane(&mut self, lane: SumLane) {
        let old = self.lanes.len();
        self.lanes.push(lane);
        for numbers in &mut self.narrow {
            let mut wider = Vec::with_capacity(numbers.len() / old.max(1) * (old + 1));
            for key in numbers.chunks_exact(old.max(1)) {
                wider.extend_from_slice(key);
                wider.push(0);
            }
            *numbers = wider;
        }
    }

    /// Gives a column's sums more room. The last edge's become 0; only differences count.
    pub(super) fn promote(&mut self, column: usize, what: Promoted) {
        let from = self.lanes.iter().position(|l| *l == SumLane::Sum(column));
        let (old, old_lanes) = (self.wide_columns.clone(), self.wide_lanes);
        let at = self.wide_column(column).unwrap_or_else(|| {
            self.wide_columns.push(WideColumn {
                column,
                unit: Unit::Whole,
                sum: None,
                squares: None,
            });
            old.len()
        });
        let wide = &mut self.wide_columns[at];
        match what {
            Promoted::Sum => {
                wide.sum =
                    Some(Lanes { first: 0, parts: if wide.sum.is_some() { SUM_PARTS } else { 1 } })
            }
            Promoted::Squares => wide.squares = Some(Lanes { first: 0, parts: SQUARE_PARTS }),
        }
        self.wide_lanes = place(&mut self.wide_columns);
        let (lanes, edges) = (self.lanes.len(), self.edges);
        for (shard, wide) in self.wide.iter_mut().enumerate() {
            let mut wider = Vec::with_capacity(self.keys[shard] * edges * self.wide_lanes);
            for key in 0..self.keys[shard] {
                let own = &wide[key * edges * old_lanes..(key + 1) * edges * old_lanes];
                let at_edge = |edge: usize, lanes: Lanes| {
                    &own[edge * old_lanes + lanes.first
                        ..edge * old_lanes + lanes.first + lanes.parts]
                };
                let since_last = |edge: usize, lanes: Lanes| {
                    at_edge(edge, lanes)[0].wrapping_sub(at_edge(edges - 1, lanes)[0])
                };
                let narrow = |edge: usize, lane: usize| {
                    self.narrow[Self::place(edge, shard)][key * lanes + lane]
                };
                for edge in 0..edges {
                    for (number, new) in self.wide_columns.iter().enumerate() {
                        let before = old.get(number);
                        match (before.and_then(|old| old.sum), new.sum) {
                            (_, None) => {}
                            (Some(before), Some(now)) if before.parts == now.parts => {
                                wider.extend_from_slice(at_edge(edge, before))
                            }
                            (Some(before), Some(_)) => {
                                wider.extend(parts_of(since_last(edge, before)))
                            }
                            (None, Some(_)) => {
                                let lane = from.unwrap_or(0);
                                wider.push(i128::from(
                                    narrow(edge, lane).wrapping_sub(narrow(edges - 1, lane)),
                                ));
                            }
                        }
                        match (before.and_then(|old| old.squares), new.squares) {
                            (Some(before), Some(now)) if before.parts == now.parts => {
                                wider.extend_from_slice(at_edge(edge, before))
                            }
                            (Some(before), Some(_)) => {
                                wider.extend(parts_of_squares(since_last(edge, before)))
                            }
                            (None, _) | (_, None) => {}
                        }
                    }
                }
            }
            *wide = wider;
        }
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let narrow: usize = self.narrow.iter().map(|n| n.capacity() * 8).sum();
        let wide: usize = self.wide.iter().map(|n| n.capacity() * 16).sum();
        let extras: usize = self.extras.iter().flatten().map(Extras::bytes).sum();
        let idle: usize = self.idle.iter().map(|idle| idle.capacity() * size_of::<Idle>()).sum();
        narrow + wide + extras + idle + self.beside.bytes()
    }
}

fn truncate<T>(items: &mut Vec<T>, len: usize) {
    items.truncate(len);
    shrink_vec(items);
}

impl SumLane {
    #[inline]
    pub(super) fn of(self, columns: &[Column], row: usize) -> i64 {
        match self {
            Self::Rows => 1,
            Self::Sum(c) => match &columns[c].values {
                Values::Narrow(v) => v[row],
                Values::Wide(v) => v[row] as i64,
            },
            Self::Nulls(c) => i64::from(columns[c].is_null(row)),
        }
    }
}

/// Puts the columns' lanes next to one another; gives their number.
fn place(columns: &mut [WideColumn]) -> usize {
    let mut next = 0;
    for lanes in columns.iter_mut().flat_map(|wide| [&mut wide.sum, &mut wide.squares]).flatten() {
        lanes.first = next;
        next += lanes.parts;
    }
    next
}
