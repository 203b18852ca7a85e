//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new keys (`keys`, `values`), the last row of each key that it touched (`rows`), and the latest truncation (`close`). A snapshot: the same of
//! all keys. A key whose row is gone is kept as such: an old change that is repeated must not bring it back.

use super::operator::CapturedOperator;
use super::rows::{NONE, Sequence};
use crate::keyed::close::{CLOSE, check_shape};
use crate::keyed::columns::{batch, integers, numbers, wrong};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const ROWS: &str = "rows";
/// Rows of one batch of saved state; its bytes must be fewer than 2 GiB.
const BATCH_ROWS: usize = 1 << 18;

impl CapturedOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        self.touched.sort_unstable();
        self.touched.dedup();
        let mut out = self.keys.save_new()?;
        out.extend(self.saved(&self.touched)?);
        out.push(self.saved_close()?);
        Ok(out)
    }

    pub(super) fn save_all(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let keys: Vec<u32> = (0..self.rows.len() as u32).filter(|key| self.rows.sequence(*key).is_some()).collect();
        let mut out = self.keys.save_all()?;
        out.extend(self.saved(&keys)?);
        out.push(self.saved_close()?);
        Ok(out)
    }

    fn saved(&self, keys: &[u32]) -> Result<Vec<StateBatch>, ArrowError> {
        let save = |keys: &[u32]| {
            let sequences = || keys.iter().filter_map(|key| self.rows.sequence(*key));
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("key", Arc::new(UInt32Array::from_iter_values(keys.iter().map(|key| self.keys.id(*key))))),
                ("commit", Arc::new(Int64Array::from_iter_values(sequences().map(|s| s.commit)))),
                ("position", Arc::new(Int64Array::from_iter_values(sequences().map(|s| s.position)))),
                ("offset", Arc::new(Int64Array::from_iter_values(sequences().map(|s| s.offset)))),
                ("flags", Arc::new(Int64Array::from_iter_values(keys.iter().map(|key| self.rows.flags(*key) as i64)))),
                ("row", Arc::new(BinaryArray::from_iter(keys.iter().map(|key| self.rows.row(*key))))),
            ];
            let columns = columns.into_iter().map(|(name, column)| (name, column, true));
            Ok(StateBatch::new(ROWS, RecordBatch::try_from_iter_with_nullable(columns)?))
        };
        keys.chunks(BATCH_ROWS).map(save).collect()
    }

    fn saved_close(&self) -> Result<StateBatch, ArrowError> {
        let truncated: Vec<i64> = self.truncated.iter().flat_map(|s| [s.commit, s.position, s.offset]).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("truncated", Arc::new(Int64Array::from_iter((0..3).map(|at| truncated.get(at).copied())))),
            ("shape", Arc::new(StringArray::from(vec![self.shape(); 3]))),
        ];
        Ok(StateBatch::new(CLOSE, batch(columns)?))
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = self.plan.output.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        format!("{fields:?}; by {:?}; ever {:?}; previous {:?}", self.plan.spec.key, self.plan.spec.ever, self.plan.spec.previous)
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        self.rows.grow(self.keys.len(), !self.plan.ever.is_empty());
        for close in saved.named(CLOSE) {
            check_shape(close, &self.plan.spec.step_id, &self.shape(), "columns or conditions")?;
            let truncated = close.column_by_name("truncated").and_then(|c| c.as_primitive_opt::<arrow::datatypes::Int64Type>());
            let truncated = truncated.filter(|t| t.len() == 3).ok_or_else(|| self.arrow(wrong("truncated")))?;
            if truncated.null_count() == 0 {
                let last = Sequence { commit: truncated.value(0), position: truncated.value(1), offset: truncated.value(2) };
                if self.truncated.is_none_or(|known| last.is_after(known)) {
                    self.truncated = Some(last);
                }
            }
        }
        saved.named(ROWS).try_for_each(|rows| self.restore_rows(rows)).map_err(|e| self.arrow(e))
    }

    fn restore_rows(&mut self, saved: &RecordBatch) -> Result<(), ArrowError> {
        let (keys, flags) = (numbers(saved, "key")?, integers(saved, "flags")?);
        let (commits, positions, offsets) = (integers(saved, "commit")?, integers(saved, "position")?, integers(saved, "offset")?);
        let rows = saved.column_by_name("row").and_then(|c| c.as_binary_opt::<i32>()).ok_or_else(|| wrong("row"))?;
        for (at, id) in keys.iter().enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*id) else { continue };
            let sequence = Sequence { commit: commits[at], position: positions[at], offset: offsets[at] };
            self.rows.set(key, rows.is_valid(at).then(|| rows.value(at)), flags[at] as u64, sequence);
        }
        Ok(())
    }
}

// A sequence that was never told is saved as the least number, which no database gives.
const _: () = assert!(NONE == i64::MIN);
