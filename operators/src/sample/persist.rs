//! What the step saves, and how it takes it back: what there is of records, and the watermark and
//! the earliest change (`close`).

use super::operator::SampleOperator;
use crate::keyed::close::{CLOSE, restore_close, saved_close};
use crate::keyed::columns::{integers, named_fields};
use arrow::array::{ArrayRef, Int64Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, SavedState, Shape, StateBatch};
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const EARLIEST: &str = "earliest";

impl SampleOperator {
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
        let earliest: ArrayRef = Arc::new(Int64Array::from(vec![self.earliest]));
        saved_close(self.watermark, vec![(EARLIEST, earliest)])
    }

    /// What saved state means.
    pub(super) fn meaning(&self) -> Shape {
        Shape::new("sample")
            .fact("by", self.spec.by.join(", "))
            .fact("columns", named_fields(&self.output).join(", "))
            .fact("event time", &self.spec.event_time)
            .fact("every", self.spec.every.to_string())
            .fed_by(
                &self.feed,
                &self.input,
                self.by.iter().chain(&self.row).copied().chain([self.time]),
            )
    }

    pub(super) fn restore_saved(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.watermark = self.watermark.max(restore_close(saved, &self.spec.step_id)?);
        for close in saved.named(CLOSE) {
            // Of all workers: what is too early costs a look, what is too late a sample.
            let earliest = integers(close, EARLIEST).map_err(|e| self.arrow(e))?;
            self.earliest = earliest.iter().fold(self.earliest, |least, time| least.min(*time));
        }
        self.kept.restore(saved, worker, ownership)
    }
}
