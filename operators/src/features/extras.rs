//! What does not retire by subtraction: smallest and largest values, different values, the last
//! value, the time of the last row.

use super::plan::OnInput;
use hashbrown::HashMap;
use riskstream_engine::history::Chunk;
use std::collections::VecDeque;

/// A key's values that may yet be the smallest (or largest) of a window: times ascend, and each
/// later value is larger (smaller).
pub(super) type Candidates = VecDeque<(i64, i128)>;

/// A key's different values.
#[derive(Debug, Default, Clone)]
pub(super) struct Different {
    /// Per value, how often it is in each window.
    pub(super) counts: HashMap<i128, Vec<u32>>,
    /// Per window, how many values there are.
    pub(super) values: Vec<u32>,
}

impl Different {
    pub(super) fn new(windows: usize) -> Self {
        Self { counts: HashMap::new(), values: vec![0; windows] }
    }

    fn enter(&mut self, value: i128) {
        let windows = self.values.len();
        let counts = self.counts.entry(value).or_insert_with(|| vec![0; windows]);
        for (count, values) in counts.iter_mut().zip(&mut self.values) {
            *count += 1;
            *values += u32::from(*count == 1);
        }
    }

    fn leave(&mut self, value: i128, window: usize) {
        if let Some(counts) = self.counts.get_mut(&value) {
            counts[window] -= 1;
            self.values[window] -= u32::from(counts[window] == 0);
            if counts.iter().all(|c| *c == 0) {
                self.counts.remove(&value);
            }
        }
    }
}

/// One key's structures, in the order of the plan's lists.
#[derive(Debug, Clone)]
pub(super) struct Extras {
    pub(super) extremes: Vec<Candidates>,
    pub(super) different: Vec<Different>,
    /// Time and value; `i64::MIN` before the first.
    pub(super) lasts: Vec<(i64, i128)>,
    /// The latest row's time; `i64::MIN` before the first.
    pub(super) last_time: i64,
}

impl Extras {
    pub(super) fn new(plan: &OnInput) -> Self {
        Self {
            extremes: vec![Candidates::new(); plan.extremes.len()],
            different: vec![Different::new(plan.tails.len()); plan.distincts.len()],
            lasts: vec![(i64::MIN, 0); plan.lasts.len()],
            last_time: i64::MIN,
        }
    }

    /// The row passes an edge.
    pub(super) fn fold(&mut self, plan: &OnInput, edge: usize, rows: &Chunk, row: usize) {
        if edge == 0 {
            self.enter(plan, rows, row);
            return;
        }
        if edge + 1 == plan.edges.len() {
            let time = rows.times[row];
            for candidates in &mut self.extremes {
                while candidates.front().is_some_and(|c| c.0 <= time) {
                    candidates.pop_front();
                }
            }
        }
        for (different, column) in self.different.iter_mut().zip(&plan.distincts) {
            if !rows.columns[*column].is_null(row) {
                let value = rows.columns[*column].value(row);
                for (window, _) in plan.tails.iter().enumerate().filter(|(_, tail)| **tail == edge)
                {
                    different.leave(value, window);
                }
            }
        }
    }

    fn enter(&mut self, plan: &OnInput, rows: &Chunk, row: usize) {
        let time = rows.times[row];
        for (candidates, (column, largest)) in self.extremes.iter_mut().zip(&plan.extremes) {
            if !rows.columns[*column].is_null(row) {
                offer(candidates, time, rows.columns[*column].value(row), *largest);
            }
        }
        for (different, column) in self.different.iter_mut().zip(&plan.distincts) {
            if !rows.columns[*column].is_null(row) {
                different.enter(rows.columns[*column].value(row));
            }
        }
        for (last, column) in self.lasts.iter_mut().zip(&plan.lasts) {
            if !rows.columns[*column].is_null(row) && time >= last.0 {
                *last = (time, rows.columns[*column].value(row));
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let extremes: usize = self.extremes.iter().map(|c| c.capacity() * 32).sum();
        let different: usize = self
            .different
            .iter()
            .map(|d| d.counts.capacity() * 48 + d.counts.len() * d.values.len() * 4)
            .sum();
        size_of::<Self>() + extremes + different + self.lasts.len() * 32
    }
}

/// Adds a value to the candidates; it may be earlier than some.
pub(super) fn offer(candidates: &mut Candidates, time: i64, value: i128, largest: bool) {
    let beats = |a: i128, b: i128| if largest { a >= b } else { a <= b };
    let latest = candidates.back().is_none_or(|c| c.0 <= time);
    let place = if latest { candidates.len() } else { candidates.partition_point(|c| c.0 <= time) };
    // A later candidate that is as good outlives it.
    if candidates.get(place).is_some_and(|later| beats(later.1, value)) {
        return;
    }
    let mut keep = place;
    while keep > 0 && beats(value, candidates[keep - 1].1) {
        keep -= 1;
    }
    candidates.drain(keep..place);
    candidates.insert(keep, (time, value));
}

/// The best candidate later than `after`.
pub(super) fn best(candidates: &Candidates, after: i64) -> Option<i128> {
    candidates.get(candidates.partition_point(|c| c.0 <= after)).map(|c| c.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_offered_in_any_order_give_the_extremes() {
        let rows =
            [(5, 3), (9, 1), (7, 4), (7, 2), (1, 9), (9, 1), (3, 3), (12, -5), (10, 2), (6, 3)];
        for largest in [true, false] {
            let mut candidates = Candidates::new();
            for (n, (time, value)) in rows.iter().enumerate() {
                offer(&mut candidates, *time, *value, largest);
                for after in 0..13 {
                    let seen = rows[..=n].iter().filter(|r| r.0 > after).map(|r| r.1);
                    assert_eq!(
                        best(&candidates, after),
                        if largest { seen.max() } else { seen.min() }
                    );
                }
            }
        }
    }
}
