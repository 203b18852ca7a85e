//! What the step saves, and how it takes it back: what is kept of records, and the watermark (`close`).

use super::operator::ChangelogOperator;
use crate::keyed::close::{restore_close, saved_close};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::ids::Ownership;

impl ChangelogOperator {
    pub(super) fn save_changes(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.kept.save_changes()?;
        out.push(saved_close(self.watermark, self.shape(), Vec::new())?);
        Ok(out)
    }

    pub(super) fn save_all(&mut self) -> Result<Vec<StateBatch>, OperatorError> {
        let mut out = self.kept.save_all()?;
        out.push(saved_close(self.watermark, self.shape(), Vec::new()).map_err(|e| self.arrow(e))?);
        Ok(out)
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = self.plan.output.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        let order = &self.plan.order_types;
        format!(
            "{fields:?}; by {:?}; ever {:?}; deleted {:?}; order {order:?}",
            self.plan.spec.key, self.plan.spec.ever, self.plan.spec.deleted
        )
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id, &self.shape(), "columns or conditions")?);
        self.kept.restore(saved, worker, ownership)
    }
}
