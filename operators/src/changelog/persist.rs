//! What the step saves, and how it takes it back: what is kept of records, and the watermark
//! (`close`).

use super::operator::ChangelogOperator;
use crate::keyed::close::{CLOSE, restore_close, saved_close};
use crate::keyed::columns::{columns_of, integers, named_fields};
use arrow::array::{ArrayRef, Int64Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

/// What is at or before it is given up; in the close.
const HORIZON: &str = "horizon";

impl ChangelogOperator {
    pub(super) fn save_changes(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.kept.save_changes()?;
        out.push(self.saved_close()?);
        Ok(out)
    }

    pub(super) fn save_all(&mut self) -> Result<Vec<StateBatch>, OperatorError> {
        let mut out = self.kept.save_all()?;
        out.push(self.saved_close().map_err(|e| self.arrow(e))?);
        Ok(out)
    }

    fn saved_close(&self) -> Result<StateBatch, ArrowError> {
        let horizon: ArrayRef = Arc::new(Int64Array::from(vec![self.horizon()]));
        saved_close(self.watermark, vec![(HORIZON, horizon)])
    }

    /// What saved state means.
    pub(super) fn meaning(&self) -> Shape {
        let plan = &self.plan;
        let ever: Vec<String> =
            plan.spec.ever.iter().map(|(name, sql)| format!("{name} = {sql}")).collect();
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

    pub(super) fn restore_saved(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id)?);
        for close in saved.named(CLOSE) {
            let horizons = integers(close, HORIZON).map_err(|e| self.arrow(e))?;
            self.given_up =
                horizons.iter().fold(self.given_up, |latest, horizon| latest.max(*horizon));
        }
        self.kept.restore(saved, worker, ownership)
    }
}
