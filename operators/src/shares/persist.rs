//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new groups (`keys`, `values`), the rows that it changed as they came (`rows`), and the watermark (`close`). A snapshot: the same
//! of all. Taking the rows in again gives the groups again.

use super::operator::SharesOperator;
use crate::keyed::columns::{batch, integers, wrong};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use std::sync::Arc;

const ROWS: &str = "rows";
const CLOSE: &str = "close";

impl SharesOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        if !self.touched.is_empty() {
            out.push(self.saved(true)?);
        }
        out.push(self.saved_close()?);
        Ok(out)
    }

    pub(super) fn save_all(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_all()?;
        out.extend([self.saved(false)?, self.saved_close()?]);
        Ok(out)
    }

    fn saved_close(&self) -> Result<StateBatch, ArrowError> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("watermark", Arc::new(Int64Array::from(vec![self.watermark]))),
            ("shape", Arc::new(StringArray::from(vec![self.shape()]))),
        ];
        Ok(StateBatch::new(CLOSE, batch(columns)?))
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = self.plan.input.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        format!("{fields:?}; of {:?}; by {:?}", self.plan.spec.of, self.plan.spec.by)
    }

    fn saved(&self, only_changed: bool) -> Result<StateBatch, ArrowError> {
        let parser = self.rows.parser();
        let members = self.saved_members(only_changed);
        let columns = self.rows.convert_rows(members.iter().map(|member| parser.parse(&member.row)))?;
        Ok(StateBatch::new(ROWS, RecordBatch::try_new(Arc::clone(&self.plan.input), columns)?))
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        for close in saved.named(CLOSE) {
            self.check_shape(close)?;
            let watermarks = integers(close, "watermark").map_err(|e| self.arrow(e))?;
            self.watermark = watermarks.iter().fold(self.watermark, |latest, w| latest.max(*w));
        }
        for rows in saved.named(ROWS) {
            self.restore_rows(rows, worker, ownership).map_err(|e| self.arrow(e))?;
        }
        self.settle();
        self.prune();
        Ok(())
    }

    fn restore_rows(&mut self, rows: &RecordBatch, worker: usize, ownership: Ownership) -> Result<(), ArrowError> {
        if rows.num_columns() != self.plan.input.fields().len() {
            return Err(wrong(ROWS));
        }
        let group: Vec<ArrayRef> = self.plan.group.iter().map(|index| Arc::clone(rows.column(*index))).collect();
        let mut hashes = Vec::new();
        hash_keys(&group, HASH_SEED, &mut hashes)?;
        let own = (0u32..).zip(&hashes).filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
        let own = UInt32Array::from_iter_values(own.map(|(row, _)| row));
        let rows = RecordBatch::try_new(Arc::clone(&self.plan.input), rows.columns().to_vec())?;
        self.gather(&take_record_batch(&rows, &own)?)
    }

    fn check_shape(&self, close: &RecordBatch) -> Result<(), OperatorError> {
        let shape = close.column_by_name("shape").and_then(|c| c.as_string_opt::<i32>()).filter(|c| c.iter().len() > 0);
        match shape.map(|c| c.value(0)) {
            Some(shape) if shape == self.shape() => Ok(()),
            Some(_) => Err(OperatorError::State {
                step: self.plan.spec.step_id.clone(),
                reason: "the step's columns have changed since; give the changed step another id, or the old ones back".into(),
            }),
            None => Err(self.arrow(wrong("shape"))),
        }
    }
}
