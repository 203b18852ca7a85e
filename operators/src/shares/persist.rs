//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new groups (`keys`, `values`), the rows that it changed as they came
//! (`rows`), and the watermark (`close`). A snapshot: the same of all. Taking the rows in again
//! gives the groups again.

use super::operator::SharesOperator;
use crate::keyed::close::{restore_close, saved_close};
use crate::keyed::columns::{named_fields, wrong};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use std::sync::Arc;

const ROWS: &str = "rows";

impl SharesOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        if !self.touched.is_empty() {
            out.push(self.saved(true)?);
        }
        out.push(saved_close(self.watermark, Vec::new())?);
        Ok(out)
    }

    pub(super) fn save_all(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_all()?;
        out.extend([self.saved(false)?, saved_close(self.watermark, Vec::new())?]);
        Ok(out)
    }

    /// What saved state means. The shares themselves are worked out from the rows that are kept.
    pub(super) fn meaning(&self) -> Shape {
        let spec = &self.plan.spec;
        Shape::new("shares")
            .fact("columns", named_fields(&self.plan.input).join(", "))
            .fact("of", spec.of.join(", "))
            .fact("by", spec.by.join(", "))
            .fed_by(&self.feed, &self.plan.input, 0..self.plan.input.fields().len())
    }

    fn saved(&self, only_changed: bool) -> Result<StateBatch, ArrowError> {
        let parser = self.rows.parser();
        let members = self.saved_members(only_changed);
        let columns =
            self.rows.convert_rows(members.iter().map(|member| parser.parse(&member.row)))?;
        Ok(StateBatch::new(ROWS, RecordBatch::try_new(Arc::clone(&self.plan.input), columns)?))
    }

    pub(super) fn restore_saved(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id)?);
        for rows in saved.named(ROWS) {
            self.restore_rows(rows, worker, ownership).map_err(|e| self.arrow(e))?;
        }
        self.settle();
        self.prune();
        Ok(())
    }

    fn restore_rows(
        &mut self,
        rows: &RecordBatch,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), ArrowError> {
        if rows.num_columns() != self.plan.input.fields().len() {
            return Err(wrong(ROWS));
        }
        let group: Vec<ArrayRef> =
            self.plan.group.iter().map(|index| Arc::clone(rows.column(*index))).collect();
        let mut hashes = Vec::new();
        hash_keys(&group, HASH_SEED, &mut hashes)?;
        let own = (0u32..)
            .zip(&hashes)
            .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
        let own = UInt32Array::from_iter_values(own.map(|(row, _)| row));
        let rows = RecordBatch::try_new(Arc::clone(&self.plan.input), rows.columns().to_vec())?;
        self.gather(&take_record_batch(&rows, &own)?)
    }
}
