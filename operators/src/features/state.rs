//! What is added up per key: at every edge, the number of rows and the sums so far. A window is the difference of two edges.
//!
//! ```text
//!   edge 0:  [key 0: rows, sum, ..][key 1: rows, sum, ..] ..       a Vec per edge and shard, indexed by the key's number in the shard
//!   edge 1:  [key 0: rows, sum, ..][key 1: rows, sum, ..] ..       (rows are passed over once per edge: what a pass needs lies together)
//! ```
//! 64-bit sums wrap around, and a difference of two wrapped sums is right as long as the window's own sum fits 64 bits. Before every batch the
//! largest value seen times the number of rows held is compared with what fits; when it might not, the column is *promoted*: its sums
//! go on in 128 bits, started from the differences, which were right until then. So no sum is ever wrong, and sums that fit stay fast.
//! Null counts get a lane when a column's first null comes.

use super::extras::Extras;
use super::plan::Plan;
use riskstream_engine::history::{Chunk, Column, Values};
use riskstream_engine::ids::{KeyId, SHARDS};

/// What a 64-bit lane adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Rows,
    Sum(usize),
    Nulls(usize),
}

/// What a 128-bit lane adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WideLane {
    Sum(usize),
    Squares(usize),
}

/// Where a column's sum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SumPlace {
    Narrow(usize),
    Wide(usize),
}

/// The numbers of all keys of one worker.
#[derive(Debug)]
pub(super) struct State {
    pub(super) edges: usize,
    pub(super) lanes: Vec<Lane>,
    pub(super) wide_lanes: Vec<WideLane>,
    /// Per edge and shard (at [`State::place`]): key, lane.
    pub(super) narrow: Vec<Vec<i64>>,
    /// Per shard: key, edge, lane.
    pub(super) wide: Vec<Vec<i128>>,
    pub(super) extras: Vec<Vec<Extras>>,
    /// Keys per shard.
    pub(super) keys: Vec<usize>,
    /// Per kept column: the largest magnitude seen.
    pub(super) magnitude: Vec<u128>,
}

impl State {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut state = Self {
            edges: plan.edges.len(),
            lanes: if plan.edges.is_empty() { Vec::new() } else { vec![Lane::Rows] },
            wide_lanes: Vec::new(),
            narrow: vec![Vec::new(); plan.edges.len() * SHARDS],
            wide: vec![Vec::new(); SHARDS],
            extras: (0..SHARDS).map(|_| Vec::new()).collect(),
            keys: vec![0; SHARDS],
            magnitude: vec![0; plan.kept.len()],
        };
        for column in &plan.sums {
            match plan.kept[*column].encoding.width() {
                riskstream_engine::history::Width::Narrow => state.lanes.push(Lane::Sum(*column)),
                riskstream_engine::history::Width::Wide => state.wide_lanes.push(WideLane::Sum(*column)),
            }
        }
        state.wide_lanes.extend(plan.squares.iter().map(|c| WideLane::Squares(*c)));
        state
    }

    /// Makes room for the keys that the dictionary has numbered.
    pub(super) fn grow(&mut self, plan: &Plan, counts: &[u32]) {
        let (lanes, wide_stride) = (self.lanes.len(), self.wide_stride());
        for (shard, count) in counts.iter().enumerate() {
            let count = *count as usize;
            if self.keys[shard] < count {
                self.keys[shard] = count;
                for edge in 0..self.edges {
                    self.narrow[Self::place(edge, shard)].resize(count * lanes, 0);
                }
                self.wide[shard].resize(count * wide_stride, 0);
                if plan.has_extras() {
                    self.extras[shard].resize_with(count, || Extras::new(plan));
                }
            }
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
        &self.narrow[Self::place(edge, usize::from(key.shard().0))][key.local() * lanes..(key.local() + 1) * lanes]
    }

    /// A key's numbers at all edges, one after the other.
    pub(super) fn narrow_of_all(&self, key: KeyId, numbers: &mut Vec<i64>) {
        numbers.clear();
        for edge in 0..self.edges {
            numbers.extend_from_slice(self.narrow_of(key, edge));
        }
    }

    pub(super) fn wide_stride(&self) -> usize {
        self.edges * self.wide_lanes.len()
    }

    /// Where a kept column's sum is now: 128 bits when it was promoted.
    pub(super) fn sum_place(&self, column: usize) -> SumPlace {
        match self.wide_lanes.iter().position(|l| *l == WideLane::Sum(column)) {
            Some(lane) => SumPlace::Wide(lane),
            None => SumPlace::Narrow(self.lanes.iter().position(|l| *l == Lane::Sum(column)).unwrap_or(0)),
        }
    }

    pub(super) fn nulls_lane(&self, column: usize) -> Option<usize> {
        self.lanes.iter().position(|l| *l == Lane::Nulls(column))
    }

    pub(super) fn squares_lane(&self, column: usize) -> Option<usize> {
        self.wide_lanes.iter().position(|l| *l == WideLane::Squares(column))
    }

    /// Adds the row to an edge of its key.
    #[inline]
    pub(super) fn fold(&mut self, plan: &Plan, edge: usize, rows: &Chunk, row: usize) {
        let key = KeyId(rows.keys[row]);
        let shard = usize::from(key.shard().0);
        let local = key.local();
        let lanes = self.lanes.len();
        let numbers = &mut self.narrow[Self::place(edge, shard)][local * lanes..(local + 1) * lanes];
        for (sum, lane) in numbers.iter_mut().zip(&self.lanes) {
            *sum = sum.wrapping_add(lane.of(&rows.columns, row));
        }
        if !self.wide_lanes.is_empty() {
            let lanes = self.wide_lanes.len();
            let base = (local * self.edges + edge) * lanes;
            for (sum, lane) in self.wide[shard][base..base + lanes].iter_mut().zip(&self.wide_lanes) {
                *sum = sum.wrapping_add(lane.of(&rows.columns, row));
            }
        }
        if plan.has_extras() {
            self.extras[shard][local].fold(plan, edge, rows, row);
        }
    }

    /// Prepares for rows with these columns, `held` rows being in reach of the windows at most.
    ///
    /// # Errors
    /// When 128 bits might not hold a sum: a sentence.
    pub(super) fn prepare(&mut self, plan: &Plan, columns: &[Column], held: usize) -> Result<(), String> {
        if self.edges == 0 {
            return Ok(());
        }
        for (index, column) in columns.iter().enumerate() {
            if column.nulls.contains(&true) && self.nulls_lane(index).is_none() {
                self.add_lane(Lane::Nulls(index));
            }
            if !plan.sums.contains(&index) {
                continue;
            }
            let largest = match &column.values {
                Values::Narrow(v) => u128::from(v.iter().fold(0, |m: u64, v| m.max(v.unsigned_abs()))),
                Values::Wide(v) => v.iter().fold(0, |m: u128, v| m.max(v.unsigned_abs())),
            };
            self.magnitude[index] = self.magnitude[index].max(largest);
            let bound = self.magnitude[index].saturating_mul(held as u128 + 1);
            if matches!(self.sum_place(index), SumPlace::Narrow(_)) && bound > i64::MAX as u128 {
                self.promote(index);
            }
            let squares = if self.squares_lane(index).is_some() { bound.saturating_mul(self.magnitude[index]) } else { bound };
            if squares > i128::MAX as u128 {
                let name = plan.output_schema.field(plan.kept[index].input).name();
                return Err(format!(
                    "sums of column {name} might exceed 128 bits; filter out values as large as {}",
                    self.magnitude[index]
                ));
            }
        }
        Ok(())
    }

    /// Adds a lane that is 0 for every row so far.
    pub(super) fn add_lane(&mut self, lane: Lane) {
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

    /// Moves a column's sums to 128 bits. The last edge's becomes 0; only differences count.
    pub(super) fn promote(&mut self, column: usize) {
        let Some(from) = self.lanes.iter().position(|l| *l == Lane::Sum(column)) else { return };
        let old = self.wide_lanes.len();
        self.wide_lanes.push(WideLane::Sum(column));
        let (lanes, edges) = (self.lanes.len(), self.edges);
        for (shard, wide) in self.wide.iter_mut().enumerate() {
            let mut wider = Vec::with_capacity(self.keys[shard] * edges * (old + 1));
            for key in 0..self.keys[shard] {
                let sum = |edge| self.narrow[Self::place(edge, shard)][key * lanes + from];
                let last = sum(edges - 1);
                for edge in 0..edges {
                    wider.extend_from_slice(&wide[(key * edges + edge) * old..(key * edges + edge + 1) * old]);
                    wider.push(i128::from(sum(edge).wrapping_sub(last)));
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
        narrow + wide + extras
    }
}

impl Lane {
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

impl WideLane {
    #[inline]
    pub(super) fn of(self, columns: &[Column], row: usize) -> i128 {
        match self {
            Self::Sum(c) => columns[c].value(row),
            Self::Squares(c) => {
                let v = columns[c].value(row);
                v.wrapping_mul(v)
            }
        }
    }
}
