//! What the step saves, and how it takes it back: what is kept of records, and the watermark (`close`).

use super::operator::ChangelogOperator;
use crate::keyed::close::{restore_close, saved_close};
use crate::keyed::columns::{columns_of, named_fields};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
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

    /// What saved state means.
    pub(super) fn meaning(&self) -> Shape {
        let plan = &self.plan;
        let ever: Vec<String> = plan.spec.ever.iter().map(|(name, sql)| format!("{name} = {sql}")).collect();
        Shape::new("changelog")
            .fact("key", plan.spec.key.join(", "))
            .fact("columns", named_fields(&plan.output).join(", "))
            .fact("ever", ever.join(", "))
            .fact("deleted", plan.spec.deleted.clone().unwrap_or_default())
            .fact("event time", &plan.spec.event_time)
            .fact("order of versions", plan.order_types.join(", "))
            .fed_by(&self.feed, &self.input, self.read())
    }

    /// The columns that what is kept is made of.
    fn read(&self) -> Vec<usize> {
        let plan = &self.plan;
        let conditions = plan.spec.ever.iter().map(|(_, sql)| sql).chain(&plan.spec.deleted);
        let mut read = [&plan.key[..], &plan.record, &plan.order].concat();
        read.extend(conditions.flat_map(|sql| columns_of(sql, &self.input)));
        read
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
