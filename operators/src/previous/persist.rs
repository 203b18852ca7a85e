//! What the step saves, and how it takes it back: what is kept of keys' rows, and the watermark
//! (`close`).

use super::operator::PreviousOperator;
use crate::keyed::close::{CLOSE, restore_close, saved_close};
use crate::keyed::columns::{integers, named_fields};
use arrow::array::{ArrayRef, Int64Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

/// What is at or before it is given up; in the close.
const HORIZON: &str = "horizon";

impl PreviousOperator {
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
        let shows: Vec<String> =
            plan.spec.columns.iter().map(|(name, from)| format!("{name} = {from}")).collect();
        Shape::new("previous")
            .fact("by", plan.spec.by.join(", "))
            .fact("columns", named_fields(&plan.output).join(", "))
            .fact("previous", shows.join(", "))
            .fact("event time", &plan.spec.event_time)
            .fact("order of rows", plan.order_types.join(", "))
            .fact("rows", if plan.diff.is_some() { "added and taken back" } else { "added" })
            .fed_by(&self.feed, &self.input, [&plan.by[..], &plan.row, &plan.order].concat())
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
