//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new keys (`keys`, `values`), all versions that are kept of each record that it touched (`versions`), and the watermark
//! (`close`). A snapshot: the same of all records. A record's versions take the place of those restored before.

use super::operator::ChangelogOperator;
use super::versions::{Record, Version};
use crate::keyed::close::{restore_close, saved_close};
use crate::keyed::columns::{integers, numbers, wrong};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const VERSIONS: &str = "versions";

impl ChangelogOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        if !self.touched.is_empty() {
            out.push(StateBatch::new(VERSIONS, self.saved(&self.touched)?));
        }
        out.push(saved_close(self.watermark, self.shape(), Vec::new())?);
        Ok(out)
    }

    pub(super) fn save_all(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let horizon = self.horizon();
        self.records.iter_mut().for_each(|record| record.prune(horizon));
        let held = (0..self.records.len() as u32).filter(|key| !self.records[*key as usize].is_forgotten(horizon));
        let held: Vec<u32> = held.collect();
        let mut out = self.keys.save_all()?;
        out.extend([StateBatch::new(VERSIONS, self.saved(&held)?), saved_close(self.watermark, self.shape(), Vec::new())?]);
        Ok(out)
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = self.plan.output.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        format!("{fields:?}; by {:?}; ever {:?}; deleted {:?}", self.plan.spec.key, self.plan.spec.ever, self.plan.spec.deleted)
    }

    fn saved(&self, keys: &[u32]) -> Result<RecordBatch, ArrowError> {
        let versions = || keys.iter().flat_map(|key| self.records[*key as usize].versions.iter().map(move |v| (*key, v)));
        let (rows, orders) = (self.rows.parser(), self.orders.parser());
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("key".into(), Arc::new(UInt32Array::from_iter_values(versions().map(|(key, _)| self.keys.id(key))))),
            (
                "held_before".into(),
                Arc::new(Int64Array::from_iter_values(versions().map(|(key, _)| self.records[key as usize].held_before as i64))),
            ),
            ("flags".into(), Arc::new(Int64Array::from_iter_values(versions().map(|(_, v)| v.flags as i64)))),
            ("time".into(), Arc::new(Int64Array::from_iter_values(versions().map(|(_, v)| v.time)))),
            ("is_deleted".into(), Arc::new(BooleanArray::from_iter(versions().map(|(_, v)| Some(v.is_deleted))))),
        ];
        let order = self.orders.convert_rows(versions().map(|(_, v)| orders.parse(&v.order)))?;
        columns.extend(order.into_iter().enumerate().map(|(index, column)| (format!("order{index}"), column)));
        let row = self.rows.convert_rows(versions().map(|(_, v)| rows.parse(&v.row)))?;
        columns.extend(row.into_iter().enumerate().map(|(index, column)| (format!("value{index}"), column)));
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        self.records.resize_with(self.keys.len(), Record::default);
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id, &self.shape(), "columns or conditions")?);
        // A key's versions are all in one batch of an epoch: a later batch's take their place.
        saved.named(VERSIONS).try_for_each(|rows| self.restore_versions(rows)).map_err(|e| self.arrow(e))
    }

    fn restore_versions(&mut self, saved: &RecordBatch) -> Result<(), ArrowError> {
        let (keys, held) = (numbers(saved, "key")?, integers(saved, "held_before")?);
        let (flags, times) = (integers(saved, "flags")?, integers(saved, "time")?);
        let deleted = saved.column_by_name("is_deleted").and_then(|c| c.as_boolean_opt()).ok_or_else(|| wrong("is_deleted"))?;
        let columns = |name: &str, count: usize| {
            let column = |index| saved.column_by_name(&format!("{name}{index}")).cloned().ok_or_else(|| wrong(name));
            (0..count).map(column).collect::<Result<Vec<_>, _>>()
        };
        let orders = self.orders.convert_columns(&columns("order", self.plan.order.len())?)?;
        let rows = self.rows.convert_columns(&columns("value", self.plan.record.len())?)?;
        let mut last = None;
        for (row, id) in keys.iter().enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*id) else { continue };
            let record = &mut self.records[key as usize];
            if last != Some(key) {
                *record = Record { held_before: held[row] as u64, versions: Vec::new() };
                last = Some(key);
            }
            record.versions.push(Version {
                order: orders.row(row).as_ref().into(),
                time: times[row],
                row: rows.row(row).as_ref().into(),
                is_deleted: deleted.value(row),
                flags: flags[row] as u64,
            });
        }
        Ok(())
    }
}
