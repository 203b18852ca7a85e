//! One row at a time: what the fast loop does not cover, and rows that come behind the clock.
//!
//! A row behind the clock reads its windows as of its own time: from every edge's numbers it takes
//! off the key's rows that the edge has passed since, which a scan of the history finds; values
//! that do not retire by subtraction are found by a scan of the windows.

use super::beside::KeyBeside;
use super::extras::{Candidates, best, offer};
use super::operator::FeaturesOperator;
use super::plan::Shows;
use super::shown::Block;
use riskstream_engine::contract::OperatorError;
use riskstream_engine::history::Chunk;
use riskstream_engine::ids::KeyId;
use std::collections::HashSet;

impl FeaturesOperator {
    /// Counts the row. A row that is in the main log reaches the later edges by itself.
    pub(super) fn enter(&mut self, rows: &Chunk, row: usize, logged: bool) {
        let (plan, state) = (&self.plan, &mut self.state);
        if !logged {
            let fold =
                &mut |edge: usize, rows: &Chunk, row: usize| state.fold(plan, edge, rows, row);
            self.history.insert(rows, row, fold);
        } else if plan.undelayed && !plan.edges.is_empty() {
            state.fold(plan, 0, rows, row);
        }
    }

    /// Microseconds since the key's latest processed row that is not after `time`.
    pub(super) fn since_last(
        &mut self,
        key: KeyId,
        time: i64,
    ) -> Result<Option<i64>, OperatorError> {
        let last = self.state.extras[usize::from(key.shard().0)][key.local()].last_time;
        if last <= time {
            return Ok((last != i64::MIN).then(|| time - last));
        }
        let mut latest: Option<i64> = None;
        let see = &mut |rows: &Chunk, row: usize| latest = latest.max(Some(rows.times[row]));
        self.history.scan(key.0, self.floor(), time, see).map_err(|e| self.storage(e))?;
        Ok(latest.map(|l| time - l))
    }

    /// The windows of a row at the clock.
    pub(super) fn show(&self, key: KeyId, time: i64, since: Option<i64>, block: &mut Block) {
        let (plan, state) = (&self.plan, &self.state);
        let (shard, local) = (usize::from(key.shard().0), key.local());
        let wide_stride = state.wide_stride();
        let mut numbers = std::mem::take(&mut block.numbers);
        state.narrow_of_all(key, &mut numbers);
        let wide = &state.wide[shard][local * wide_stride..(local + 1) * wide_stride];
        self.show_differences(&numbers, wide, state.beside.by_key.get(&key.0), block);
        block.numbers = numbers;
        if !plan.has_extras() {
            return;
        }
        let extras = &state.extras[shard][local];
        for shown in &plan.shown {
            let after = plan
                .lengths
                .get(shown.window)
                .map_or(i64::MIN, |w| time.saturating_sub(plan.delay).saturating_sub(*w));
            block.extras.push(match &shown.shows {
                Shows::Extreme(i) => best(&extras.extremes[*i], after),
                Shows::Distinct(i) => Some(i128::from(extras.different[*i].values[shown.window])),
                Shows::Last(i) => {
                    Some(extras.lasts[*i]).filter(|last| last.0 > after).map(|last| last.1)
                }
                Shows::Since => since.map(i128::from),
                Shows::Count
                | Shows::CountOf(_)
                | Shows::Sum(_)
                | Shows::Mean { .. }
                | Shows::StdDev { .. } => None,
            });
        }
    }

    fn show_differences(
        &self,
        numbers: &[i64],
        wide: &[i128],
        beside: Option<&KeyBeside>,
        block: &mut Block,
    ) {
        let (lanes, wide_lanes) = (self.state.lanes.len(), self.state.wide_lanes);
        let columns = self.state.beside_columns;
        for (window, tail) in self.plan.tails.iter().enumerate() {
            for at in 0..beside.map_or(0, |_| columns) {
                let difference = beside.map(|beside| beside.difference(at, tail * columns + at));
                block
                    .beside
                    .extend(difference.map(|difference| ((block.rows, window, at), difference)));
            }
            let differences = numbers[..lanes]
                .iter()
                .zip(&numbers[tail * lanes..])
                .map(|(head, tail)| head.wrapping_sub(*tail));
            block.narrow.extend(differences);
            let differences = wide[..wide_lanes]
                .iter()
                .zip(&wide[tail * wide_lanes..])
                .map(|(head, tail)| head.wrapping_sub(*tail));
            block.wide.extend(differences);
        }
    }

    /// Fills in numbers for a row that came too late, whose features are null.
    pub(super) fn show_nothing(&self, block: &mut Block) {
        let windows = self.plan.tails.len();
        block.narrow.resize(block.narrow.len() + windows * self.state.lanes.len(), 0);
        block.wide.resize(block.wide.len() + windows * self.state.wide_lanes, 0);
        if self.plan.has_extras() {
            block.extras.resize(block.extras.len() + self.plan.shown.len(), None);
        }
    }

    /// The windows of a row behind the clock.
    pub(super) fn show_late(
        &mut self,
        key: KeyId,
        time: i64,
        since: Option<i64>,
        block: &mut Block,
    ) -> Result<(), OperatorError> {
        let (shard, local) = (usize::from(key.shard().0), key.local());
        let wide_stride = self.state.wide_stride();
        let mut numbers = std::mem::take(&mut block.numbers);
        self.state.narrow_of_all(key, &mut numbers);
        let mut wide =
            self.state.wide[shard][local * wide_stride..(local + 1) * wide_stride].to_vec();
        let mut beside = self.state.beside.by_key.get(&key.0).cloned();
        let clock = self.history.clock();
        for (edge, age) in self.plan.edges.iter().enumerate() {
            let lanes = &self.state.lanes;
            let numbers = &mut numbers[edge * lanes.len()..(edge + 1) * lanes.len()];
            let (wide_columns, wide_lanes) = (&self.state.wide_columns, self.state.wide_lanes);
            let (edges, beside_columns) = (self.state.edges, self.state.beside_columns);
            let wide = &mut wide[edge * wide_lanes..(edge + 1) * wide_lanes];
            let beside = &mut beside;
            let take_off = &mut |rows: &Chunk, row: usize| {
                for (sum, lane) in numbers.iter_mut().zip(lanes) {
                    *sum = sum.wrapping_sub(lane.of(&rows.columns, row));
                }
                for (at, column) in wide_columns.iter().enumerate() {
                    let kept = rows.columns[column.column].value(row);
                    match column.unit.fixed(kept) {
                        Some(value) => column.add(value, wide, true),
                        None => {
                            let own =
                                beside.get_or_insert_with(|| KeyBeside::new(edges, beside_columns));
                            own.add(edge * beside_columns + at, column, kept, true);
                        }
                    }
                }
            };
            let (after, upto) = (time.saturating_sub(*age), clock.saturating_sub(*age));
            let scanned = self.history.scan(key.0, after, upto, take_off);
            scanned.map_err(|e| OperatorError::Storage {
                step: self.plan.step.clone(),
                action: e.action,
                object: e.object,
                reason: e.reason,
            })?;
        }
        self.show_differences(&numbers, &wide, beside.as_ref(), block);
        block.numbers = numbers;
        if self.plan.has_extras() {
            self.show_late_extras(key, time, since, block)?;
        }
        Ok(())
    }

    fn show_late_extras(
        &mut self,
        key: KeyId,
        time: i64,
        since: Option<i64>,
        block: &mut Block,
    ) -> Result<(), OperatorError> {
        // Per kept column: time and value of the key's rows in the longest window.
        let mut seen: Vec<Vec<(i64, i128)>> = vec![Vec::new(); self.plan.kept.len()];
        if !self.plan.edges.is_empty() {
            let see = &mut |rows: &Chunk, row: usize| {
                for (seen, column) in seen.iter_mut().zip(&rows.columns) {
                    if !column.is_null(row) {
                        seen.push((rows.times[row], column.value(row)));
                    }
                }
            };
            let (after, upto) =
                (time.saturating_sub(self.plan.reach()), time.saturating_sub(self.plan.delay));
            self.history.scan(key.0, after, upto, see).map_err(|e| self.storage(e))?;
        }
        for shown in &self.plan.shown {
            let after = self
                .plan
                .lengths
                .get(shown.window)
                .map_or(i64::MIN, |w| time.saturating_sub(self.plan.delay).saturating_sub(*w));
            let within = |column: usize| seen[column].iter().filter(move |v| v.0 > after);
            block.extras.push(match &shown.shows {
                Shows::Extreme(i) => {
                    let (column, largest) = self.plan.extremes[*i];
                    let mut candidates = Candidates::new();
                    within(column)
                        .for_each(|(time, value)| offer(&mut candidates, *time, *value, largest));
                    best(&candidates, after)
                }
                Shows::Distinct(i) => {
                    let values: HashSet<i128> =
                        within(self.plan.distincts[*i]).map(|v| v.1).collect();
                    Some(values.len() as i128)
                }
                // Of equal times the one that was processed last: the scan meets it last.
                Shows::Last(i) => within(self.plan.lasts[*i]).max_by_key(|v| v.0).map(|v| v.1),
                Shows::Since => since.map(i128::from),
                Shows::Count
                | Shows::CountOf(_)
                | Shows::Sum(_)
                | Shows::Mean { .. }
                | Shows::StdDev { .. } => None,
            });
        }
        Ok(())
    }
}
