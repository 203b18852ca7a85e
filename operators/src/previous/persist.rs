//! What the step saves, and how it takes it back: what is kept of keys' rows, and the watermark (`close`).

use super::operator::PreviousOperator;
use crate::keyed::close::{restore_close, saved_close};
use crate::keyed::columns::named_fields;
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
use riskstream_engine::ids::Ownership;

impl PreviousOperator {
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
        let shows: Vec<String> = plan.spec.columns.iter().map(|(name, from)| format!("{name} = {from}")).collect();
        Shape::new("previous")
            .fact("by", plan.spec.by.join(", "))
            .fact("columns", named_fields(&plan.output).join(", "))
            .fact("previous", shows.join(", "))
            .fact("event time", &plan.spec.event_time)
            .fact("order of rows", plan.order_types.join(", "))
            .fact("rows", if plan.diff.is_some() { "added and taken back" } else { "added" })
            .fed_by(&self.feed, &self.input, [&plan.by[..], &plan.row, &plan.order].concat())
    }

    /// What saved state depends on.
    fn shape(&self) -> String {
        let fields: Vec<String> = self.plan.output.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        format!("{fields:?}; by {:?}; shows {:?}; order {:?}", self.plan.spec.by, self.plan.spec.columns, self.plan.order_types)
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id, &self.shape(), "columns")?);
        self.kept.restore(saved, worker, ownership)
    }
}
