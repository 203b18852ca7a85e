//! Totals of many keys: whole numbers, so that they are put together in any order with the same result.

use riskstream_engine::history::Column;

/// How values of a lane are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Min,
    Max,
}

/// One number per key besides its counts: of which kept column, and how it is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) column: usize,
    pub(super) op: Op,
}

/// What there is per key: counts (rows, then per kept column its values that are not null), then wide lanes.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) counts: usize,
    pub(super) wides: Vec<Lane>,
}

impl Layout {
    /// The place of a lane, which is added if it is new.
    pub(super) fn lane(&mut self, lane: Lane) -> usize {
        self.wides.iter().position(|l| *l == lane).unwrap_or_else(|| {
            self.wides.push(lane);
            self.wides.len() - 1
        })
    }
}

/// Totals, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) counts: Vec<i64>,
    pub(super) wides: Vec<i128>,
}

impl Totals {
    pub(super) fn slots(&self, layout: &Layout) -> usize {
        self.counts.len() / layout.counts
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.wides.clear();
    }

    /// A new slot, of no rows.
    pub(super) fn push(&mut self, layout: &Layout) -> usize {
        let slot = self.slots(layout);
        self.counts.resize(self.counts.len() + layout.counts, 0);
        self.wides.resize(self.wides.len() + layout.wides.len(), 0);
        slot
    }

    /// Makes a slot one of no rows.
    pub(super) fn reset(&mut self, layout: &Layout, slot: usize) {
        self.counts[slot * layout.counts..(slot + 1) * layout.counts].fill(0);
        self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()].fill(0);
    }

    /// A new slot that is a copy of `from`'s.
    pub(super) fn push_copy(&mut self, layout: &Layout, from: &Self, slot: usize) -> usize {
        let new = self.slots(layout);
        self.counts.extend_from_slice(from.counts_of(layout, slot));
        self.wides.extend_from_slice(from.wides_of(layout, slot));
        new
    }

    pub(super) fn counts_of(&self, layout: &Layout, slot: usize) -> &[i64] {
        &self.counts[slot * layout.counts..(slot + 1) * layout.counts]
    }

    pub(super) fn wides_of(&self, layout: &Layout, slot: usize) -> &[i128] {
        &self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()]
    }

    /// Adds a row to a slot, `times` times.
    #[inline]
    pub(super) fn add(&mut self, layout: &Layout, slot: usize, (columns, row, times): (&[Column], usize, i64)) {
        let counts = &mut self.counts[slot * layout.counts..(slot + 1) * layout.counts];
        let wides = &mut self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()];
        for (lane, wide) in layout.wides.iter().zip(wides) {
            let column = &columns[lane.column];
            if column.is_null(row) {
                continue;
            }
            let value = column.value(row);
            *wide = match lane.op {
                Op::Add => wide.wrapping_add(value.wrapping_mul(i128::from(times))),
                other => joined(other, (*wide, counts[lane.column + 1]), (value, 1)),
            };
        }
        counts[0] += times;
        for (count, column) in counts[1..].iter_mut().zip(columns) {
            *count += if column.is_null(row) { 0 } else { times };
        }
    }

    /// Adds a slot of `from` to a slot.
    #[inline]
    pub(super) fn merge(&mut self, layout: &Layout, slot: usize, from: &Self, other: usize) {
        let counts = &mut self.counts[slot * layout.counts..(slot + 1) * layout.counts];
        let wides = &mut self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()];
        let other_counts = from.counts_of(layout, other);
        for ((lane, wide), value) in layout.wides.iter().zip(wides).zip(from.wides_of(layout, other)) {
            *wide = joined(lane.op, (*wide, counts[lane.column + 1]), (*value, other_counts[lane.column + 1]));
        }
        for (count, other) in counts.iter_mut().zip(other_counts) {
            *count += other;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.counts.capacity() * 8 + self.wides.capacity() * 16
    }
}

/// Two values, each with the number of values that it stands for.
#[inline]
fn joined(op: Op, (a, a_count): (i128, i64), (b, b_count): (i128, i64)) -> i128 {
    match op {
        Op::Add => a.wrapping_add(b),
        _ if a_count == 0 => b,
        _ if b_count == 0 => a,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
    }
}
