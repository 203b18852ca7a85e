//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new keys (`keys`, `values`), what there is of each record that it touched (`records`), and the watermark (`close`). A snapshot:
//! the same of all records. A record takes the place of what was restored before; one that has nothing left is a row with a `diff` of 0.

use super::operator::{Change, SampleOperator, fold};
use crate::keyed::close::{restore_close, saved_close};
use crate::keyed::columns::{integers, numbers, wrong};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const RECORDS: &str = "records";

impl SampleOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        let touched: Vec<u32> = std::mem::take(&mut self.touched).into_iter().collect();
        if !touched.is_empty() {
            out.push(StateBatch::new(RECORDS, self.saved(&touched)?));
        }
        out.push(saved_close(self.watermark, self.shape(), Vec::new())?);
        Ok(out)
    }

    pub(super) fn save_all(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let all: Vec<u32> = (0..self.records.len() as u32).filter(|key| !self.records[*key as usize].is_empty()).collect();
        let mut out = self.keys.save_all()?;
        out.extend([StateBatch::new(RECORDS, self.saved(&all)?), saved_close(self.watermark, self.shape(), Vec::new())?]);
        Ok(out)
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = riskstream_engine::contract::Operator::output_schema(self)
            .fields()
            .iter()
            .map(|f| format!("{} {}", f.name(), f.data_type()))
            .collect();
        format!("{fields:?}; by {:?}; every {:?}", self.spec.by, self.spec.every)
    }

    fn saved(&self, keys: &[u32]) -> Result<RecordBatch, ArrowError> {
        // A record without changes is one row that says so, so that it takes the place of what was saved before.
        let nothing = self.nothing()?;
        let of = |key: &u32| {
            let record = &self.records[*key as usize];
            let gone = record.is_empty().then_some((*key, 0, 0, &*nothing));
            record.iter().map(|c| (*key, c.time, c.diff, &*c.row)).chain(gone).collect::<Vec<_>>()
        };
        let changes: Vec<(u32, i64, i64, &[u8])> = keys.iter().flat_map(of).collect();
        let parser = self.rows.parser();
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("key".into(), Arc::new(UInt32Array::from_iter_values(changes.iter().map(|c| self.keys.id(c.0))))),
            ("time".into(), Arc::new(Int64Array::from_iter_values(changes.iter().map(|c| c.1)))),
            ("diff".into(), Arc::new(Int64Array::from_iter_values(changes.iter().map(|c| c.2)))),
        ];
        let row = self.rows.convert_rows(changes.iter().map(|c| parser.parse(c.3)))?;
        columns.extend(row.into_iter().enumerate().map(|(index, column)| (format!("value{index}"), column)));
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
    }

    /// A row of nulls.
    fn nothing(&self) -> Result<Box<[u8]>, ArrowError> {
        let schema = riskstream_engine::contract::Operator::output_schema(self);
        let nulls: Vec<ArrayRef> = schema.fields().iter().take(self.row.len()).map(|f| new_null_array(f.data_type(), 1)).collect();
        Ok(self.rows.convert_columns(&nulls)?.row(0).as_ref().into())
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        self.watermark = self.watermark.max(restore_close(saved, &self.spec.step_id, &self.shape(), "columns or its period")?);
        self.records.resize_with(self.keys.len(), Vec::new);
        saved.named(RECORDS).try_for_each(|rows| self.restore_records(rows)).map_err(|e| self.arrow(e))?;
        let sampled = self.sampled();
        for (key, record) in (0u32..).zip(&mut self.records) {
            fold(record, sampled);
            for change in record.iter().filter(|change| change.time >= sampled) {
                self.ahead.entry(change.time).or_default().insert(key);
            }
        }
        Ok(())
    }

    fn restore_records(&mut self, saved: &RecordBatch) -> Result<(), ArrowError> {
        let (keys, times, diffs) = (numbers(saved, "key")?, integers(saved, "time")?, integers(saved, "diff")?);
        let column = |index| saved.column_by_name(&format!("value{index}")).cloned().ok_or_else(|| wrong("value"));
        let rows = self.rows.convert_columns(&(0..self.row.len()).map(column).collect::<Result<Vec<_>, _>>()?)?;
        let mut last = None;
        for (row, id) in keys.iter().enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*id) else { continue };
            let record = &mut self.records[key as usize];
            if last != Some(key) {
                record.clear();
                last = Some(key);
            }
            if diffs[row] != 0 {
                record.push(Change { time: times[row], row: rows.row(row).as_ref().into(), diff: diffs[row] });
            }
        }
        Ok(())
    }
}
