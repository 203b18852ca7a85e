//! Taking state back into a step whose features or windows have changed: from the rows that the
//! history holds.
//!
//! A row of the history is time, key and kept columns; each column is known by what it is made of.
//! The rows of a step of another form are read once, in time order, and counted anew. A column that
//! was not kept is null in rows from before, and what was pruned is gone: a feature shows nothing
//! where its window reaches into either.

use super::operator::FeaturesOperator;
use super::persist::{LATEST, META, SEGMENTS, SIDE, SINCE, SavedLog, TAIL, log_of, segments_from};
use super::since::{SavedColumns, Since, text};
use super::spec::Order;
use crate::keyed::columns::{integers, numbers, wrong};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, StateBatch};
use riskstream_engine::history::{Chunk, Column, SavedChunk, ShardSet, Values, Width};
use riskstream_engine::ids::{Epoch, EventTime, KeyId};
use std::collections::{BTreeMap, VecDeque};

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
            self.since.restore(text(&meta.rows, SINCE).map_err(|e| self.arrow(e))?);
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
            // Rows up to `forgotten_before` may be of forgotten keys, whose numbers other keys may
            // have now: they are skipped, and features whose windows reach that far back are null.
            let gone = rows.times.partition_point(|time| *time <= self.forgotten_before);
            let settled = rows.times.partition_point(|time| *time <= watermark).max(gone);
            let (mut before, mut after) =
                (Chunk::empty(self.history.layout()), Chunk::empty(self.history.layout()));
            before.extend(&rows, gone, settled);
            after.extend(&rows, settled, rows.len());
            self.prepare(&before);
            self.process(&before, None)?;
            // In arrival order, only rows up to the watermark are in the main log: later rows are
            // processed as they were at first.
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

    /// The next rows of all logs, up to the time that every log has been read to; `None` at the end
    /// of all logs.
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
