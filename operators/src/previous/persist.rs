//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new keys (`keys`, `values`), all rows that are kept of each key that it touched (`rows`), and the watermark (`close`). A
//! snapshot: the same of all keys. A key's rows take the place of those restored before.

use super::operator::PreviousOperator;
use super::timeline::{Entry, Timeline};
use crate::keyed::close::{restore_close, saved_close};
use crate::keyed::columns::{integers, numbers, wrong};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const ROWS: &str = "rows";

impl PreviousOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        if !self.touched.is_empty() {
            out.push(StateBatch::new(ROWS, self.saved(&self.touched)?));
        }
        out.push(saved_close(self.watermark, self.shape(), Vec::new())?);
        Ok(out)
    }

    pub(super) fn save_all(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let horizon = self.horizon();
        self.timelines.iter_mut().for_each(|timeline| timeline.prune(horizon));
        let all: Vec<u32> = (0..self.timelines.len() as u32).collect();
        let mut out = self.keys.save_all()?;
        out.extend([StateBatch::new(ROWS, self.saved(&all)?), saved_close(self.watermark, self.shape(), Vec::new())?]);
        Ok(out)
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = self.plan.output.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        format!("{fields:?}; by {:?}; shows {:?}; order {:?}", self.plan.spec.by, self.plan.spec.columns, self.plan.order)
    }

    fn saved(&self, keys: &[u32]) -> Result<RecordBatch, ArrowError> {
        let entries = || keys.iter().flat_map(|key| self.timelines[*key as usize].entries.iter().map(move |e| (*key, e)));
        let (rows, orders, shown) = (self.rows.parser(), self.orders.parser(), self.shown.parser());
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("key".into(), Arc::new(UInt32Array::from_iter_values(entries().map(|(key, _)| self.keys.id(key))))),
            ("time".into(), Arc::new(Int64Array::from_iter_values(entries().map(|(_, e)| e.time)))),
            ("count".into(), Arc::new(Int64Array::from_iter_values(entries().map(|(_, e)| e.count)))),
        ];
        let parts = [
            ("order", self.orders.convert_rows(entries().map(|(_, e)| orders.parse(&e.order)))?),
            ("value", self.rows.convert_rows(entries().map(|(_, e)| rows.parse(&e.row)))?),
            ("shown", self.shown.convert_rows(entries().map(|(_, e)| shown.parse(&e.shown)))?),
        ];
        for (name, part) in parts {
            columns.extend(part.into_iter().enumerate().map(|(index, column)| (format!("{name}{index}"), column)));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        self.timelines.resize_with(self.keys.len(), Timeline::default);
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id, &self.shape(), "columns")?);
        saved.named(ROWS).try_for_each(|rows| self.restore_rows(rows)).map_err(|e| self.arrow(e))
    }

    fn restore_rows(&mut self, saved: &RecordBatch) -> Result<(), ArrowError> {
        let (keys, times, counts) = (numbers(saved, "key")?, integers(saved, "time")?, integers(saved, "count")?);
        let columns = |name: &str, count: usize| {
            let column = |index| saved.column_by_name(&format!("{name}{index}")).cloned().ok_or_else(|| wrong(name));
            (0..count).map(column).collect::<Result<Vec<_>, _>>()
        };
        let orders = self.orders.convert_columns(&columns("order", self.plan.order.len())?)?;
        let rows = self.rows.convert_columns(&columns("value", self.plan.row.len())?)?;
        let shown = self.shown.convert_columns(&columns("shown", self.plan.shown.len())?)?;
        let mut last = None;
        for (row, id) in keys.iter().enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*id) else { continue };
            let timeline = &mut self.timelines[key as usize];
            if last != Some(key) {
                timeline.entries.clear();
                last = Some(key);
            }
            timeline.entries.push(Entry {
                order: orders.row(row).as_ref().into(),
                row: rows.row(row).as_ref().into(),
                time: times[row],
                shown: shown.row(row).as_ref().into(),
                count: counts[row],
            });
        }
        Ok(())
    }
}
