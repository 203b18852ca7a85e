//! Taking state back into a step whose features or windows have changed: from the rows that the
//! history holds.
//!
//! A row of the history is time, key and kept columns; each column is known by what it is made of.
//! The rows of a step of another form are read once, in time order, and counted anew. A column that
//! was not kept is null in rows from before, and what was pruned is gone: a feature shows nothing
//! where its window reaches into either.

use super::operator::FeaturesOperator;
use super::persist::{LATEST, META, SEGMENTS, SIDE, SINCE, SavedLog, TAIL, log_of, segments_from};
use super::plan::{Plan, Shows};
use super::spec::Order;
use crate::keyed::columns::{integers, numbers, piece_id, wrong};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::nullif;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, StateBatch};
use riskstream_engine::history::{Chunk, Column, SavedChunk, ShardSet, Values, Width};
use riskstream_engine::ids::{Epoch, EventTime, KeyId};
use std::collections::{BTreeMap, VecDeque};

/// Since when features are complete. Times are `i64::MIN` where they always are.
#[derive(Debug, Clone, Default)]
pub(super) struct Since {
    /// By the id of a history's column, the newest row that does not have it.
    columns: BTreeMap<String, i64>,
    /// By the id of what is shown, from when on windows are complete.
    parts: BTreeMap<String, i64>,
    /// Per shown column of the plan.
    shown: Vec<i64>,
}

impl Since {
    /// Of a step that begins empty.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut since = Self::default();
        since.settle(plan, i64::MIN);
        since
    }

    /// Rows up to this time went by unseen.
    pub(super) fn begin_after(&mut self, seen: i64) {
        self.shown.fill(seen);
        self.parts.values_mut().for_each(|since| *since = seen);
    }

    /// As it is saved.
    pub(super) fn told(&self) -> String {
        let told = |kind: &str, times: &BTreeMap<String, i64>| {
            times.iter().map(|(id, time)| format!("{kind}{id}={time}")).collect::<Vec<_>>()
        };
        [told("c", &self.columns), told("p", &self.parts)].concat().join(" ")
    }

    /// Of what is shown, what is not complete everywhere: as it is saved with every epoch.
    pub(super) fn told_later(&self) -> String {
        let later = self.parts.iter().filter(|(_, since)| **since != i64::MIN);
        later.map(|(id, since)| format!("p{id}={since}")).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn take(&mut self, told: &str) {
        for (name, time) in told.split(' ').filter_map(|entry| entry.split_once('=')) {
            let Ok(time) = time.parse::<i64>() else { continue };
            let (times, id) = match name.split_at_checked(1) {
                Some(("c", id)) => (&mut self.columns, id),
                Some(("p", id)) => (&mut self.parts, id),
                Some(_) | None => continue,
            };
            let known = times.entry(id.to_owned()).or_insert(i64::MIN);
            *known = time.max(*known);
        }
    }

    /// The newest row that does not have a column.
    fn missing(&mut self, id: &str, newest: i64) {
        let known = self.columns.entry(id.to_owned()).or_insert(i64::MIN);
        *known = newest.max(*known);
    }

    /// Settles from when on each shown column is complete, where all rows up to `pruned` are gone
    /// that parts which were not there would need.
    pub(super) fn settle(&mut self, plan: &Plan, pruned: i64) {
        let ids: Vec<String> = plan.pieces().iter().map(|piece| piece_id(piece)).collect();
        let columns = plan.history_columns();
        let of = |shows: &Shows| {
            let column = match shows {
                Shows::Count | Shows::Since => return i64::MIN,
                Shows::CountOf(column)
                | Shows::Sum(column)
                | Shows::Mean { column, .. }
                | Shows::StdDev { column, .. } => *column,
                Shows::Extreme(index) => plan.extremes[*index].0,
                Shows::Distinct(index) => plan.distincts[*index],
                Shows::Last(index) => plan.lasts[*index],
            };
            self.columns.get(&columns[column].0).copied().unwrap_or(i64::MIN)
        };
        let parts = &self.parts;
        let shown = plan.shown.iter().zip(&ids);
        self.shown = shown
            .map(|(shown, id)| parts.get(id).copied().unwrap_or(pruned).max(of(&shown.shows)))
            .collect();
        self.parts = ids.into_iter().zip(self.shown.iter().copied()).collect();
        self.columns.retain(|id, _| columns.iter().any(|(column, _)| column == id));
    }

    /// Hides what is not known: of rows at `times`, windows that reach back to where the column is
    /// not complete, or to what is `gone`.
    pub(super) fn hide(
        &self,
        plan: &Plan,
        times: &[i64],
        gone: i64,
        columns: Vec<ArrayRef>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let hidden = |(column, (shown, since)): (ArrayRef, (&super::plan::Shown, &i64))| {
            let since = gone.max(*since);
            if since == i64::MIN || shown.shows == Shows::Since {
                return Ok(column);
            }
            let reach = plan.delay.saturating_add(plan.lengths[shown.window]);
            let is_unknown: BooleanArray =
                times.iter().map(|time| Some(time.saturating_sub(reach) < since)).collect();
            nullif(&column, &is_unknown)
        };
        columns.into_iter().zip(plan.shown.iter().zip(&self.shown)).map(hidden).collect()
    }

    /// Whether anything may be unknown.
    pub(super) fn is_later(&self) -> bool {
        self.shown.iter().any(|since| *since != i64::MIN)
    }
}

/// The columns of saved rows, by what they are made of.
#[derive(Debug, Default)]
pub(super) struct SavedColumns(Vec<(String, Width)>);

impl SavedColumns {
    /// As they are saved: an id each, `+` before a wide one's.
    pub(super) fn told(columns: &[(String, Width)]) -> String {
        let told = |(id, width): &(String, Width)| {
            format!("{}{id}", if *width == Width::Wide { "+" } else { "" })
        };
        columns.iter().map(told).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn parse(told: &str) -> Self {
        let column = |entry: &str| match entry.strip_prefix('+') {
            Some(id) => (id.to_owned(), Width::Wide),
            None => (entry.to_owned(), Width::Narrow),
        };
        Self(told.split(' ').filter(|entry| !entry.is_empty()).map(column).collect())
    }

    pub(super) fn layout(&self) -> Vec<Width> {
        self.0.iter().map(|(_, width)| *width).collect()
    }
}

/// The text of a saved batch's only row.
pub(super) fn text<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a str, ArrowError> {
    let column =
        rows.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).filter(|c| !c.is_empty());
    column.map(|column| column.value(0)).ok_or_else(|| wrong(name))
}

/// A column of nulls.
fn nothing(width: Width, rows: usize) -> Column {
    let values = match width {
        Width::Narrow => Values::Narrow(vec![0; rows]),
        Width::Wide => Values::Wide(vec![0; rows]),
    };
    Column { values, nulls: vec![true; rows] }
}

/// A log of a snapshot that is read from its start.
struct Reading {
    chunks: VecDeque<SavedChunk>,
    rest: Option<Chunk>,
    /// What was read of it and not taken.
    open: Chunk,
}

impl FeaturesOperator {
    /// Rows with the columns that the step keeps now.
    pub(super) fn conform(&mut self, rows: Chunk, saved: &SavedColumns) -> Chunk {
        let wanted = self.plan.history_columns();
        if saved.0 == wanted {
            return rows;
        }
        let (count, newest) = (rows.len(), rows.times.iter().copied().max());
        let mut held: Vec<Option<Column>> = rows.columns.into_iter().map(Some).collect();
        let mut columns = Vec::with_capacity(wanted.len());
        for (id, width) in wanted {
            let found = saved
                .0
                .iter()
                .position(|(known, _)| *known == id)
                .and_then(|at| held.get_mut(at)?.take());
            if found.is_none()
                && let Some(newest) = newest
            {
                self.since.missing(&id, newest);
            }
            columns.push(found.unwrap_or_else(|| nothing(width, count)));
        }
        Chunk { times: rows.times, keys: rows.keys, columns }
    }

    /// Takes back since when a snapshot's features are complete.
    pub(super) fn restore_since(&mut self, batches: &[StateBatch]) -> Result<(), OperatorError> {
        self.since = Since::default();
        for meta in batches.iter().filter(|b| b.name == META) {
            self.since.take(text(&meta.rows, SINCE).map_err(|e| self.arrow(e))?);
            let pruned = integers(&meta.rows, "pruned").map_err(|e| self.arrow(e))?;
            self.history.restore_pruned(pruned.iter().copied().max().unwrap_or(i64::MIN));
        }
        self.pruned_before = self.history.pruned();
        for meta in batches.iter().filter(|b| b.name == META) {
            self.take_forgotten(&meta.rows).map_err(|e| self.arrow(e))?;
        }
        Ok(())
    }

    /// Counts the rows of a snapshot of another form anew.
    pub(super) fn rebuild(
        &mut self,
        epoch: Epoch,
        batches: &[StateBatch],
        shards: &ShardSet,
    ) -> Result<(), OperatorError> {
        let (mut clock, mut watermark) = (i64::MIN, i64::MIN);
        let mut saved = SavedColumns::default();
        for meta in batches.iter().filter(|b| b.name == META) {
            let largest = |name| {
                integers(&meta.rows, name)
                    .map(|times| times.iter().copied().max().unwrap_or(i64::MIN))
            };
            clock = clock.max(largest("clock").map_err(|e| self.arrow(e))?);
            watermark = watermark.max(largest("watermark").map_err(|e| self.arrow(e))?);
            saved = SavedColumns::parse(
                text(&meta.rows, super::persist::COLUMNS).map_err(|e| self.arrow(e))?,
            );
        }
        let mut logs =
            self.saved_logs(batches, shards, &saved.layout()).map_err(|e| self.arrow(e))?;
        let order = std::mem::replace(&mut self.order, Order::EventTime);
        while let Some(rows) = self.next_rows(&mut logs, &saved)? {
            let rows = self.conform(rows, &saved).sorted();
            // Rows of forgotten keys are among these, whose numbers mean nothing now; windows that
            // reach so far back show nothing.
            let gone = rows.times.partition_point(|time| *time <= self.forgotten_before);
            let settled = rows.times.partition_point(|time| *time <= watermark).max(gone);
            let (mut before, mut after) =
                (Chunk::empty(self.history.layout()), Chunk::empty(self.history.layout()));
            before.extend(&rows, gone, settled);
            after.extend(&rows, settled, rows.len());
            self.prepare(&before);
            self.process(&before, None)?;
            // What the watermark has not reached is not settled where rows are taken as they come.
            self.order = order;
            self.prepare(&after);
            self.process(&after, None)?;
            self.order = Order::EventTime;
            self.history.enforce_budget(epoch).map_err(|e| self.storage(e))?;
        }
        self.order = order;
        let (plan, state) = (&self.plan, &mut self.state);
        let fold = &mut |edge: usize, rows: &Chunk, row: usize| state.fold(plan, edge, rows, row);
        self.history.advance(clock, fold).map_err(|e| self.storage(e))?;
        self.restore_latest(batches, shards).map_err(|e| self.arrow(e))?;
        self.close(EventTime(watermark))?;
        self.snapshot_files = [self.history.files(), self.history.files()];
        Ok(())
    }

    /// The logs of a snapshot, and its side as one more.
    fn saved_logs(
        &self,
        batches: &[StateBatch],
        shards: &ShardSet,
        layout: &[Width],
    ) -> Result<Vec<Reading>, ArrowError> {
        let mut logs: BTreeMap<(i64, i64), SavedLog> = BTreeMap::new();
        let mut side = Chunk::empty(layout);
        for StateBatch { name, rows } in batches {
            match name.as_str() {
                SEGMENTS => log_of(&mut logs, rows, layout)?.0.extend(segments_from(rows, shards)?),
                TAIL | SIDE => {
                    let mut some = Chunk::from_batch(rows, layout)?;
                    some.retain_keys(|k| shards.has_key(k));
                    let to = if name == SIDE {
                        &mut side
                    } else {
                        &mut log_of(&mut logs, rows, layout)?.1
                    };
                    to.extend(&some, 0, some.len());
                }
                _ => {}
            }
        }
        let reading = |(chunks, rest, _): SavedLog| Reading {
            chunks: chunks.into(),
            rest: Some(rest),
            open: Chunk::empty(layout),
        };
        let side = Reading {
            chunks: VecDeque::new(),
            rest: Some(side.sorted()),
            open: Chunk::empty(layout),
        };
        Ok(logs.into_values().map(reading).chain([side]).collect())
    }

    /// Rows of all logs up to where all of them have been read; none when they have been read to
    /// their ends.
    fn next_rows(
        &self,
        logs: &mut [Reading],
        saved: &SavedColumns,
    ) -> Result<Option<Chunk>, OperatorError> {
        let layout = saved.layout();
        for log in &mut *logs {
            while log.open.is_empty() {
                let next = match log.chunks.pop_front() {
                    Some(chunk) => {
                        self.history.read_saved(&chunk, &layout).map_err(|e| self.storage(e))?
                    }
                    None => match log.rest.take() {
                        Some(rest) => rest,
                        None => break,
                    },
                };
                log.open = next;
            }
        }
        let Some(upto) = logs.iter().filter_map(|log| log.open.times.last().copied()).min() else {
            return Ok(None);
        };
        let mut rows = Chunk::empty(&layout);
        for log in logs {
            let taken = log.open.times.partition_point(|time| *time <= upto);
            rows.extend(&log.open, 0, taken);
            let mut left = Chunk::empty(&layout);
            left.extend(&log.open, taken, log.open.len());
            log.open = left;
        }
        Ok(Some(rows))
    }

    /// Each key's latest row, which may be older than what the history holds.
    fn restore_latest(
        &mut self,
        batches: &[StateBatch],
        shards: &ShardSet,
    ) -> Result<(), ArrowError> {
        if !self.plan.since {
            return Ok(());
        }
        for rows in batches.iter().filter(|b| b.name == LATEST).map(|b| &b.rows) {
            for (key, time) in numbers(rows, "key")?
                .iter()
                .zip(integers(rows, "number")?)
                .filter(|(key, _)| shards.has_key(**key))
            {
                let key = KeyId(*key);
                let extras = self.state.extras[usize::from(key.shard().0)]
                    .get_mut(key.local())
                    .ok_or_else(|| wrong("key"))?;
                extras.last_time = extras.last_time.max(*time);
            }
        }
        Ok(())
    }
}
