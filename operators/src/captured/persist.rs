//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: the last row of each key that it touched (`rows`), the latest truncation,
//! and whether the epoch had one (`close`). A snapshot: the rows in memory, and the files with the
//! others (`files`).

use super::operator::CapturedOperator;
use super::rows::{NONE, Sequence};
use crate::keyed::close::CLOSE;
use crate::keyed::columns::{batch, named_fields, wrong};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use riskstream_engine::rows::SaveError;
use std::sync::Arc;

/// Whether an epoch had a truncation, in its close.
const FORGOT: &str = "forgot";

impl CapturedOperator {
    pub(super) fn save_changes(&mut self) -> Result<Vec<StateBatch>, ArrowError> {
        self.touched.sort_unstable();
        self.touched.dedup();
        let mut out = self.rows.kept.save(&self.touched)?;
        out.push(self.saved_close()?);
        Ok(out)
    }

    pub(super) fn save_all(&mut self) -> Result<Vec<StateBatch>, SaveError> {
        let mut out = self.rows.kept.save_all()?;
        out.push(self.saved_close()?);
        Ok(out)
    }

    fn saved_close(&self) -> Result<StateBatch, ArrowError> {
        let truncated: Vec<i64> =
            self.truncated.iter().flat_map(|s| [s.commit, s.position, s.offset]).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "truncated",
                Arc::new(Int64Array::from_iter((0..3).map(|at| truncated.get(at).copied()))),
            ),
            (FORGOT, Arc::new(BooleanArray::from(vec![self.forgot; 3]))),
        ];
        Ok(StateBatch::new(CLOSE, batch(columns)?))
    }

    /// What saved state means.
    pub(super) fn meaning(&self) -> Shape {
        let plan = &self.plan;
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, of)| format!("{name} = {of}")).collect::<Vec<_>>().join(", ")
        };
        Shape::new("captured changes")
            .fact("key", plan.spec.key.join(", "))
            .fact("columns", named_fields(&plan.output).join(", "))
            .fact("ever", pairs(&plan.spec.ever))
            .fact("previous", pairs(&plan.spec.previous))
            .fact("event time", &plan.spec.event_time)
            .fed_by(
                &self.feed,
                &self.input,
                plan.key.iter().chain(&plan.record).copied().chain([plan.time]),
            )
    }

    pub(super) fn restore_saved(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.rows.kept.own(ShardSet::owned(worker, ownership));
        let snapshot = saved.snapshot.iter().map(|(_, batches)| batches);
        for batches in snapshot.chain(saved.changes.iter().map(|(_, batches)| batches)) {
            let mut forgot = false;
            for close in batches.iter().filter(|b| b.name == CLOSE) {
                forgot |= self.restore_close(&close.rows).map_err(|e| self.arrow(e))?;
            }
            if forgot {
                self.rows.kept.clear();
            }
            batches
                .iter()
                .try_for_each(|saved| self.rows.kept.restore(saved))
                .map_err(|e| self.saving(e))?;
        }
        Ok(())
    }

    /// Takes the latest truncation back; true when it was in this epoch.
    fn restore_close(&mut self, close: &RecordBatch) -> Result<bool, ArrowError> {
        let truncated =
            close.column_by_name("truncated").and_then(|c| c.as_primitive_opt::<Int64Type>());
        let truncated = truncated.filter(|t| t.len() == 3).ok_or_else(|| wrong("truncated"))?;
        if truncated.null_count() == 0 {
            let last = Sequence {
                commit: truncated.value(0),
                position: truncated.value(1),
                offset: truncated.value(2),
            };
            if self.truncated.is_none_or(|known| last.is_after(known)) {
                self.truncated = Some(last);
            }
        }
        let forgot = close
            .column_by_name(FORGOT)
            .and_then(|c| c.as_boolean_opt())
            .ok_or_else(|| wrong(FORGOT))?;
        Ok(forgot.value(0))
    }
}

// A sequence that was never told is saved as the least number, which no database gives.
const _: () = assert!(NONE == i64::MIN);
