//! Totals of many keys: whole numbers, so that they are put together in any order with the same
//! result.

use crate::keyed::exact::Exact;
use crate::keyed::sums::Unit;
use hashbrown::HashMap;
use riskstream_engine::history::{Chunk, Column};

/// How values of a lane are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add(Unit),
    Min,
    Max,
}

/// One number per key besides its counts: of which kept column, and how it is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowLane {
    pub(super) column: usize,
    pub(super) op: Op,
}

/// What there is per key: counts (rows, then per kept column its values that are not null), then
/// wide lanes.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) counts: usize,
    pub(super) wides: Vec<WindowLane>,
}

impl Layout {
    /// The place of a lane, which is added if it is new.
    pub(super) fn lane(&mut self, lane: WindowLane) -> usize {
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
    wides: Vec<i128>,
    /// By slot and lane: what a sum has beside its 128 bits. The sum is both together.
    beside: HashMap<(u32, u32), Exact>,
}

impl Totals {
    pub(super) fn slots(&self, layout: &Layout) -> usize {
        self.counts.len() / layout.counts
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.wides.clear();
        self.beside.clear();
    }

    /// A new slot, of no rows.
    pub(super) fn push(&mut self, layout: &Layout) -> usize {
        let slot = self.slots(layout);
        self.counts.resize(self.counts.len() + layout.counts, 0);
        self.wides.resize(self.wides.len() + layout.wides.len(), 0);
        slot
    }

    /// A new slot of these totals.
    pub(super) fn push_of(
        &mut self,
        layout: &Layout,
        counts: impl Iterator<Item = i64>,
        wides: impl Iterator<Item = i128>,
    ) -> usize {
        let slot = self.slots(layout);
        self.counts.extend(counts);
        self.wides.extend(wides);
        slot
    }

    /// Makes a slot one of no rows.
    pub(super) fn reset(&mut self, layout: &Layout, slot: usize) {
        self.counts[slot * layout.counts..(slot + 1) * layout.counts].fill(0);
        self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()].fill(0);
        self.forget_beside(layout, slot);
    }

    fn forget_beside(&mut self, layout: &Layout, slot: usize) {
        if !self.beside.is_empty() {
            (0..layout.wides.len())
                .for_each(|lane| _ = self.beside.remove(&(slot as u32, lane as u32)));
        }
    }

    /// A new slot that is a copy of `from`'s.
    pub(super) fn push_copy(&mut self, layout: &Layout, from: &Self, slot: usize) -> usize {
        let new = self.slots(layout);
        self.counts.extend_from_slice(from.counts_of(layout, slot));
        self.wides.extend_from_slice(from.wides_of(layout, slot));
        if from.is_beside() {
            for (lane, sum) in from.beside_of(layout, slot) {
                self.beside.insert((new as u32, lane), sum.clone());
            }
        }
        new
    }

    /// Puts saved totals in place of a slot's.
    pub(super) fn restore(
        &mut self,
        layout: &Layout,
        slot: usize,
        (counts, wides): (impl Iterator<Item = i64>, impl Iterator<Item = i128>),
        beside: Vec<(u32, Exact)>,
    ) {
        self.counts[slot * layout.counts..(slot + 1) * layout.counts]
            .iter_mut()
            .zip(counts)
            .for_each(|(to, from)| *to = from);
        let lanes = layout.wides.len();
        self.wides[slot * lanes..(slot + 1) * lanes]
            .iter_mut()
            .zip(wides)
            .for_each(|(to, from)| *to = from);
        self.forget_beside(layout, slot);
        self.beside.extend(beside.into_iter().map(|(lane, sum)| ((slot as u32, lane), sum)));
    }

    pub(super) fn counts_of(&self, layout: &Layout, slot: usize) -> &[i64] {
        &self.counts[slot * layout.counts..(slot + 1) * layout.counts]
    }

    pub(super) fn wides_of(&self, layout: &Layout, slot: usize) -> &[i128] {
        &self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()]
    }

    /// Whether any sum has something beside its 128 bits.
    pub(super) fn is_beside(&self) -> bool {
        !self.beside.is_empty()
    }

    /// What the sum of a slot's lane has beside its 128 bits.
    pub(super) fn beside(&self, slot: usize, lane: usize) -> Option<&Exact> {
        if self.beside.is_empty() { None } else { self.beside.get(&(slot as u32, lane as u32)) }
    }

    /// What a slot's sums have beside their 128 bits, by lane.
    pub(super) fn beside_of(
        &self,
        layout: &Layout,
        slot: usize,
    ) -> impl Iterator<Item = (u32, &Exact)> {
        (0..layout.wides.len())
            .filter_map(move |lane| Some((lane as u32, self.beside(slot, lane)?)))
    }

    /// Adds a row to a slot, `times` times.
    #[inline]
    pub(super) fn add(
        &mut self,
        layout: &Layout,
        slot: usize,
        (columns, row, times): (&[Column], usize, i64),
    ) {
        let counts = &mut self.counts[slot * layout.counts..(slot + 1) * layout.counts];
        let wides = &mut self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()];
        for (number, (lane, wide)) in layout.wides.iter().zip(wides).enumerate() {
            let column = &columns[lane.column];
            if column.is_null(row) {
                continue;
            }
            let value = column.value(row);
            *wide = match lane.op {
                Op::Add(unit) => match unit
                    .fixed(value)
                    .and_then(|fixed| times_of(fixed, times))
                    .and_then(|v| wide.checked_add(v))
                {
                    Some(sum) => sum,
                    None => {
                        add_beside(&mut self.beside, (slot, number), |sum| {
                            unit.add_exactly(sum, value, times)
                        });
                        continue;
                    }
                },
                Op::Min => joined(i128::min, (*wide, counts[lane.column + 1]), (value, 1)),
                Op::Max => joined(i128::max, (*wide, counts[lane.column + 1]), (value, 1)),
            };
        }
        counts[0] = counts[0].saturating_add(times);
        for (count, column) in counts[1..].iter_mut().zip(columns) {
            *count = count.saturating_add(if column.is_null(row) { 0 } else { times });
        }
    }

    /// Adds the rows from `from` on to the slots `slots`, a row to each, as often as `times` says,
    /// or once.
    pub(super) fn add_rows(
        &mut self,
        layout: &Layout,
        slots: &[u32],
        (rows, from, times): (&Chunk, usize, Option<&[i64]>),
    ) {
        // The least and the greatest of a key depend on its count before the row: a row at a time.
        if layout.wides.iter().any(|lane| !matches!(lane.op, Op::Add(_))) {
            for (row, slot) in (from..).zip(slots) {
                self.add(
                    layout,
                    *slot as usize,
                    (&rows.columns, row, times.map_or(1, |times| times[row])),
                );
            }
            return;
        }
        for (number, lane) in layout.wides.iter().enumerate() {
            if let Op::Add(unit) = lane.op {
                let column = &rows.columns[lane.column];
                match (unit, column.narrow(), times) {
                    (Unit::Whole, Some(values), None) => {
                        self.add_column((layout, number), slots, (column, from, times), |row| {
                            Some(i128::from(values[row]))
                        });
                    }
                    // The product of two numbers of 64 bits fits.
                    (Unit::Whole, Some(values), Some(times)) => {
                        let product =
                            |row: usize| Some(i128::from(values[row]) * i128::from(times[row]));
                        self.add_column(
                            (layout, number),
                            slots,
                            (column, from, Some(times)),
                            product,
                        );
                    }
                    (Unit::Whole | Unit::Float, _, _) => {
                        let value = |row| {
                            times_of(
                                unit.fixed(column.value(row))?,
                                times.map_or(1, |times| times[row]),
                            )
                        };
                        self.add_column((layout, number), slots, (column, from, times), value);
                    }
                }
            }
        }
        let counted =
            |number: usize, row: usize| number == 0 || !rows.columns[number - 1].is_null(row);
        for number in 0..layout.counts {
            for (row, slot) in (from..).zip(slots) {
                if counted(number, row) {
                    let count = &mut self.counts[*slot as usize * layout.counts + number];
                    *count = count.saturating_add(times.map_or(1, |times| times[row]));
                }
            }
        }
    }

    /// Adds the values of a lane that is a sum; `fixed` says what a row's is in 128 bits.
    fn add_column(
        &mut self,
        (layout, number): (&Layout, usize),
        slots: &[u32],
        (column, from, times): (&Column, usize, Option<&[i64]>),
        fixed: impl Fn(usize) -> Option<i128>,
    ) {
        let (lanes, Op::Add(unit)) = (layout.wides.len(), layout.wides[number].op) else { return };
        for (row, slot) in (from..).zip(slots) {
            if column.is_null(row) {
                continue;
            }
            let wide = &mut self.wides[*slot as usize * lanes + number];
            match fixed(row).and_then(|value| wide.checked_add(value)) {
                Some(sum) => *wide = sum,
                None => add_beside(&mut self.beside, (*slot as usize, number), |sum| {
                    unit.add_exactly(sum, column.value(row), times.map_or(1, |times| times[row]));
                }),
            }
        }
    }

    /// Adds a slot of `from` to a slot.
    #[inline]
    pub(super) fn merge(&mut self, layout: &Layout, slot: usize, from: &Self, other: usize) {
        let counts = &mut self.counts[slot * layout.counts..(slot + 1) * layout.counts];
        let wides = &mut self.wides[slot * layout.wides.len()..(slot + 1) * layout.wides.len()];
        let other_counts = from.counts_of(layout, other);
        for (number, ((lane, wide), value)) in
            layout.wides.iter().zip(wides).zip(from.wides_of(layout, other)).enumerate()
        {
            let of = (*value, other_counts[lane.column + 1]);
            *wide = match lane.op {
                Op::Add(unit) => match wide.checked_add(*value) {
                    Some(sum) => sum,
                    None => {
                        add_beside(&mut self.beside, (slot, number), |sum| {
                            sum.add(value.unsigned_abs(), unit.exponent(), *value < 0)
                        });
                        continue;
                    }
                },
                Op::Min => joined(i128::min, (*wide, counts[lane.column + 1]), of),
                Op::Max => joined(i128::max, (*wide, counts[lane.column + 1]), of),
            };
        }
        for (count, other) in counts.iter_mut().zip(other_counts) {
            *count = count.saturating_add(*other);
        }
        if from.is_beside() {
            for (lane, other) in from.beside_of(layout, other) {
                add_beside(&mut self.beside, (slot, lane as usize), |sum| sum.merge(other, false));
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let beside: usize = self.beside.values().map(|sum| sum.bytes() + 16).sum();
        self.counts.capacity() * 8 + self.wides.capacity() * 16 + beside
    }
}

/// What is beside a sum changes; nothing is not kept.
#[cold]
fn add_beside(
    beside: &mut HashMap<(u32, u32), Exact>,
    (slot, lane): (usize, usize),
    add: impl FnOnce(&mut Exact),
) {
    let place = (slot as u32, lane as u32);
    let sum = beside.entry(place).or_default();
    add(sum);
    if sum.is_zero() {
        beside.remove(&place);
    }
}

/// A value so many times, if 128 bits hold that.
#[inline]
fn times_of(value: i128, times: i64) -> Option<i128> {
    match (times, i64::try_from(value)) {
        (1, _) => Some(value),
        // The product of two numbers of 64 bits fits.
        (_, Ok(narrow)) => Some(i128::from(narrow) * i128::from(times)),
        _ => value.checked_mul(i128::from(times)),
    }
}

/// Two values, each with the number of values that it stands for.
#[inline]
fn joined(
    best: impl Fn(i128, i128) -> i128,
    (a, a_count): (i128, i64),
    (b, b_count): (i128, i64),
) -> i128 {
    if a_count == 0 {
        b
    } else if b_count == 0 {
        a
    } else {
        best(a, b)
    }
}
