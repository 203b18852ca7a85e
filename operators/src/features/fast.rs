//! The loop that most steps run in: counts and 64-bit sums of rows in time order.
//!
//! For each row, in order: every edge takes in the rows that have reached its age, the row's key
//! takes in the row, and each window's numbers are written out as head minus tail. Edges do not
//! depend on each other, so a block of rows is passed over once per edge. A pass merges the rows
//! that leave at the edge with the rows that read its numbers: each iteration takes one row of
//! either kind, without a branch on the kind that the processor could mispredict. The number of
//! lanes is a constant to the compiler.

#![expect(clippy::needless_range_loop, reason = "lanes of several arrays, counted by a constant")]

use super::state::State;
use riskstream_engine::history::{Chunk, Tail};
use riskstream_engine::ids::KeyId;
use std::hint::{black_box, select_unpredictable};
use std::ops::Range;

/// The most lanes (rows and sums) that the loop is built for.
pub(super) const LANES_MAX: usize = 4;

/// What the loop needs to know of the step.
pub(super) struct Loop<'a> {
    /// Per lane but the first, which counts rows: the kept column that is summed.
    pub(super) sums: &'a [usize],
    /// Per window, the edge at which rows leave.
    pub(super) tails: &'a [usize],
    /// Whether rows enter the first edge at once, and whether before the windows are read.
    pub(super) undelayed: bool,
    pub(super) include: bool,
}

/// A key's numbers at the edge whose vectors, one per shard, these are.
#[inline]
fn numbers_of<const L: usize>(shards: &mut [Vec<i64>], key: u32) -> &mut [i64] {
    let key = KeyId(key);
    let base = key.local() * L;
    &mut shards[usize::from(key.shard().0)][base..base + L]
}

/// The vectors of an edge.
fn edge_of(numbers: &mut [Vec<i64>], edge: usize) -> &mut [Vec<i64>] {
    &mut numbers[State::place(edge, 0)..State::place(edge + 1, 0)]
}

fn columns<'a, const L: usize>(chunk: &'a Chunk, sums: &[usize]) -> [&'a [i64]; L] {
    std::array::from_fn(|lane| match lane.checked_sub(1).and_then(|s| sums.get(s)) {
        Some(column) => chunk.columns[*column].narrow().unwrap_or(&[]),
        None => &[],
    })
}

/// Rows that look, with room for what they see: one edge's numbers per row.
struct Looking<'a, const L: usize> {
    times: &'a [i64],
    keys: &'a [u32],
    seen: Vec<[i64; L]>,
}

/// Rows of an edge's chunk that leave when they reach its age.
struct Leaving<'a, const L: usize> {
    times: &'a [i64],
    keys: &'a [u32],
    sums: [&'a [i64]; L],
}

impl<'a, const L: usize> Leaving<'a, L> {
    fn of(tail: &'a Tail, shape: &Loop<'_>) -> Self {
        match &tail.chunk {
            Some(chunk) => Self {
                times: &chunk.times,
                keys: &chunk.keys,
                sums: columns::<L>(chunk, shape.sums),
            },
            None => Self { times: &[], keys: &[], sums: [&[][..]; L] },
        }
    }

    /// Lets rows from `row` on leave as the lookers' times pass; `looking.seen` gets the edge's
    /// numbers of each looker's key. Returns the next row.
    fn pass(
        &self,
        age: i64,
        mut row: usize,
        shards: &mut [Vec<i64>],
        looking: &mut Looking<'_, L>,
    ) -> usize {
        // Equally long slices, so that one look at an index is enough for all of them.
        let (lookers, leavers) = (looking.times.len(), self.times.len());
        let (times, own, seen) =
            (&looking.times[..lookers], &looking.keys[..lookers], &mut looking.seen[..lookers]);
        let (passing, keys) = (&self.times[..leavers], &self.keys[..leavers]);
        let sums: [&[i64]; L] =
            std::array::from_fn(
                |lane| if lane == 0 { &[][..] } else { &self.sums[lane][..leavers] },
            );
        let mut looker = 0;
        while looker < lookers && row < leavers {
            let leaves = passing[row] <= times[looker].saturating_sub(age);
            let key = select_unpredictable(leaves, keys[row], own[looker]);
            // All bits, or none. Kept from the optimizer, which would turn it back into a branch
            // that is as often wrong as right.
            let mask = black_box(-i64::from(leaves));
            let numbers = numbers_of::<L>(shards, key);
            numbers[0] -= mask;
            seen[looker][0] = numbers[0];
            for lane in 1..L {
                numbers[lane] = numbers[lane].wrapping_add(sums[lane][row] & mask);
                // What is seen while rows still leave is overwritten when the looker's own turn
                // comes.
                seen[looker][lane] = numbers[lane];
            }
            row += usize::from(leaves);
            looker += usize::from(!leaves);
        }
        // Past the chunk's end nothing leaves.
        for (seen, key) in seen.iter_mut().zip(own).skip(looker) {
            seen.copy_from_slice(numbers_of::<L>(shards, *key));
        }
        row
    }

    /// Lets every row from `row` on leave that has reached the age at `time`; returns the next row.
    fn finish(&self, age: i64, mut row: usize, shards: &mut [Vec<i64>], time: i64) -> usize {
        while self.times.get(row).is_some_and(|passing| *passing <= time.saturating_sub(age)) {
            let numbers = numbers_of::<L>(shards, self.keys[row]);
            numbers[0] += 1;
            for lane in 1..L {
                numbers[lane] = numbers[lane].wrapping_add(self.sums[lane][row]);
            }
            row += 1;
        }
        row
    }
}

/// How many of the rows at `times` can be passed over before one at or after `due`, or before an
/// edge needs its next chunk.
fn passable(times: &[i64], tails: &[Tail], due: i64) -> usize {
    let mut count = times.partition_point(|t| *t < due);
    for tail in tails.iter().filter(|t| t.more) {
        let last = tail.chunk.as_ref().and_then(|c| c.times.last().copied()).unwrap_or(i64::MIN);
        count = count.min(times[..count].partition_point(|t| t.saturating_sub(tail.age) < last));
    }
    count
}

/// Processes rows of `rows` from `range.start` on, until a row at or after `due` or the range's
/// end, or until an edge has used up its chunk; returns the first row that was not processed. Each
/// row's numbers go to `out` (windows × lanes per row; `out` starts at the range's first row).
pub(super) fn run<const L: usize>(
    shape: &Loop<'_>,
    numbers: &mut [Vec<i64>],
    rows: &Chunk,
    range: Range<usize>,
    tails: &mut [Tail],
    due: i64,
    out: &mut [i64],
) -> usize {
    let count = passable(&rows.times[range.clone()], tails, due);
    if count == 0 {
        // An edge has to use up its chunk before the first row can look.
        for tail in tails.iter_mut() {
            tail.row = Leaving::<L>::of(tail, shape).finish(
                tail.age,
                tail.row,
                edge_of(numbers, tail.edge),
                rows.times[range.start],
            );
        }
        return range.start;
    }
    let done = range.start + count;
    let own = range.start..done;
    let mut looking = Looking {
        times: &rows.times[own.clone()],
        keys: &rows.keys[own.clone()],
        seen: vec![[0; L]; count],
    };
    let width = shape.tails.len() * L;
    if shape.undelayed {
        enter::<L>(shape, rows, own, edge_of(numbers, 0), &mut looking.seen);
        heads(&looking.seen, width, out);
    }
    for tail in tails.iter_mut() {
        tail.row = Leaving::<L>::of(tail, shape).pass(
            tail.age,
            tail.row,
            edge_of(numbers, tail.edge),
            &mut looking,
        );
        if tail.edge == 0 {
            heads(&looking.seen, width, out);
        }
        for window in shape
            .tails
            .iter()
            .enumerate()
            .filter(|(_, edge)| **edge == tail.edge)
            .map(|(window, _)| window)
        {
            for (shown, seen) in out.chunks_exact_mut(width).zip(&looking.seen) {
                for (shown, seen) in shown[window * L..(window + 1) * L].iter_mut().zip(seen) {
                    *shown = shown.wrapping_sub(*seen);
                }
            }
        }
    }
    done
}

/// Every window begins with the first edge's numbers.
fn heads<const L: usize>(seen: &[[i64; L]], width: usize, out: &mut [i64]) {
    for (shown, seen) in out.chunks_exact_mut(width).zip(seen) {
        for shown in shown.chunks_exact_mut(L) {
            shown.copy_from_slice(seen);
        }
    }
}

/// Adds each row to the first edge; `seen` gets the edge's numbers with or without the row itself,
/// as `include` says.
fn enter<const L: usize>(
    shape: &Loop<'_>,
    rows: &Chunk,
    own: Range<usize>,
    shards: &mut [Vec<i64>],
    seen: &mut [[i64; L]],
) {
    let sums = columns::<L>(rows, shape.sums);
    for (row, seen) in own.zip(seen) {
        let numbers = numbers_of::<L>(shards, rows.keys[row]);
        if !shape.include {
            seen.copy_from_slice(numbers);
        }
        numbers[0] += 1;
        for lane in 1..L {
            numbers[lane] = numbers[lane].wrapping_add(sums[lane][row]);
        }
        if shape.include {
            seen.copy_from_slice(numbers);
        }
    }
}
