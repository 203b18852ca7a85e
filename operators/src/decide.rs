//! Turns scores into decisions, and says why for the rows that are not approved.

use std::sync::Arc;

use arrow::array::types::Float64Type;
use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, StringBuilder,
    new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use riskstream_engine::contract::{OperatorError, Output};
use riskstream_engine::ids::Epoch;
use riskstream_models::Model;

use crate::score::{ModelCell, check_features, model_tag, repeat};
use crate::stateless::Stateless;
use crate::step_error::{StepError, append_columns};

/// The column of decisions, Utf8, never null.
pub const DECISION: &str = "decision";
/// The column of reasons, Utf8, null for approved rows.
pub const REASONS: &str = "reasons";
/// The decision of a row below the review threshold.
pub const APPROVE: &str = "approve";
/// The decision of a row from the review threshold up to the decline threshold, and of a row
/// without a score.
pub const REVIEW: &str = "review";
/// The decision of a row at or above the decline threshold.
pub const DECLINE: &str = "decline";

/// The reasons of a row that has no score.
const SCORE_MISSING: &str = r#"[{"reason":"score missing"}]"#;
/// Bytes that one row's reasons take, about.
const REASONS_BYTES: usize = 256;

/// `decide = { score, review, decline, reasons }`.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The score column, Float64.
    pub score: String,
    /// Scores from here on are reviewed. `None`: the model's own threshold.
    pub review: Option<f64>,
    /// Scores from here on are declined. `None`: the model's own threshold when `review` isn't
    /// given either, else none is declined.
    pub decline: Option<f64>,
    /// How many features at most are named as reasons; 0: none.
    pub reasons: usize,
}

/// Adds `decision` and `reasons`.
///
/// A row is declined when its score is at or above the decline threshold, else reviewed when it is
/// at or above the review threshold, else approved. A null or NaN score is reviewed. `reasons` is a
/// JSON array of `{"feature", "value", "baseline", "contribution"}`, the strongest push toward
/// fraud first.
#[derive(Debug)]
pub struct DecideOperator {
    step: String,
    input: SchemaRef,
    output: SchemaRef,
    score: usize,
    decision: Decision,
    models: Option<Arc<ModelCell>>,
}

/// The scores from which rows are reviewed and declined.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cuts {
    review: f64,
    decline: f64,
}

impl DecideOperator {
    /// A step that decides on rows of `schema`. `models` is the cell of the step that made the
    /// score: it explains, and gives thresholds that the configuration leaves out.
    ///
    /// # Errors
    /// When the score column is missing or not Float64, a threshold is not between 0 and 1 or they
    /// are in the wrong order, a model is needed but not given, or the rows lack one of its
    /// features.
    pub fn new(
        step_id: &str,
        decision: Decision,
        models: Option<Arc<ModelCell>>,
        schema: SchemaRef,
    ) -> Result<Self, StepError> {
        let score = schema
            .index_of(&decision.score)
            .map_err(|_| StepError::unknown_column(&decision.score, &schema))?;
        if schema.field(score).data_type() != &DataType::Float64 {
            return Err(StepError::WrongType {
                column: decision.score.clone(),
                found: schema.field(score).data_type().clone(),
                role: "a score is a float64, such as a `score` step adds",
            });
        }
        decision.check(models.is_some())?;
        if decision.reasons > 0 {
            for model in models.iter().flat_map(|cell| cell.all()) {
                check_features(&model, &schema)?;
            }
        }
        let fields = [
            Field::new(DECISION, DataType::Utf8, false),
            Field::new(REASONS, DataType::Utf8, true),
        ];
        let output = Arc::new(append_columns(&schema, fields)?);
        Ok(Self { step: step_id.to_owned(), input: schema, output, score, decision, models })
    }

    /// The rows that a model must be able to explain; check a new model with [`check_features`]
    /// against it before it is published.
    #[must_use]
    pub fn input_schema(&self) -> &Schema {
        &self.input
    }

    fn decide(&self, epoch: Epoch, batch: &RecordBatch) -> Result<RecordBatch, OperatorError> {
        let arrow_error =
            |source: ArrowError| OperatorError::Arrow { step: self.step.clone(), source };
        let model = self.models.as_ref().map(|cell| cell.effective_at(epoch));
        let scores = batch.column(self.score).as_primitive::<Float64Type>();
        let cuts = self.decision.cuts(model.as_deref());
        // Written so that NaN is no approval; most batches hold few other rows, and many hold none.
        let stopped: Vec<usize> =
            (0..scores.len()).filter(|&row| !approved(scores, row, cuts)).collect();

        let (decisions, reasons): (ArrayRef, ArrayRef) = if stopped.is_empty() {
            (
                repeat(APPROVE, batch.num_rows()).map_err(arrow_error)?,
                new_null_array(&DataType::Utf8, batch.num_rows()),
            )
        } else {
            let reasons = self.reasons(batch, scores, &stopped, model.as_deref())?;
            (Arc::new(decisions(scores, &stopped, cuts)), Arc::new(reasons))
        };
        let mut columns = batch.columns().to_vec();
        columns.extend([decisions, reasons]);
        RecordBatch::try_new(SchemaRef::clone(&self.output), columns).map_err(arrow_error)
    }

    fn reasons(
        &self,
        batch: &RecordBatch,
        scores: &Float64Array,
        stopped: &[usize],
        model: Option<&Model>,
    ) -> Result<StringArray, OperatorError> {
        let scored: Vec<usize> =
            stopped.iter().copied().filter(|row| has_score(scores, *row)).collect();
        let explained = match model.filter(|_| self.decision.reasons > 0 && !scored.is_empty()) {
            Some(model) => model.reasons(batch, &scored, self.decision.reasons).map_err(|e| {
                OperatorError::Compute {
                    step: self.step.clone(),
                    reason: format!("model {} can't explain the rows: {e}", model_tag(model)),
                }
            })?,
            None => Vec::new(),
        };
        let mut explained = explained.into_iter();
        let mut column =
            StringBuilder::with_capacity(batch.num_rows(), stopped.len() * REASONS_BYTES);
        let mut json = Vec::with_capacity(REASONS_BYTES);
        for &row in stopped {
            column.append_nulls(row - column.len());
            if !has_score(scores, row) {
                column.append_value(SCORE_MISSING);
                continue;
            }
            let Some(reasons) = explained.next() else {
                column.append_null();
                continue;
            };
            json.clear();
            // Numbers that JSON lacks (no model gives any) become null.
            serde_json::to_writer(&mut json, &reasons).map_err(|e| OperatorError::Compute {
                step: self.step.clone(),
                reason: format!("reasons of row {row}: {e}"),
            })?;
            column.append_value(String::from_utf8_lossy(&json));
        }
        column.append_nulls(batch.num_rows() - column.len());
        Ok(column.finish())
    }
}

impl Decision {
    fn check(&self, has_model: bool) -> Result<(), StepError> {
        let wrong = |problem: String| Err(StepError::Thresholds { problem });
        for (name, cut) in [("review", self.review), ("decline", self.decline)] {
            if let Some(cut) = cut.filter(|cut| !(0.0..=1.0).contains(cut)) {
                return wrong(format!("`{name}` is {cut}, but a score is between 0 and 1"));
            }
        }
        match (self.review, self.decline) {
            (Some(review), Some(decline)) if decline < review => wrong(format!(
                "`decline` ({decline}) is below `review` ({review}), so nothing would be reviewed; \
                 swap them"
            )),
            (None, _) if !has_model => wrong(format!(
                "`review` is not given, and no model made `{}` that could give it; set `review`",
                self.score
            )),
            _ if self.reasons > 0 && !has_model => wrong(format!(
                "no model made `{}`, so there is none to give reasons; set `reasons = 0`",
                self.score
            )),
            _ => Ok(()),
        }
    }

    /// The thresholds that hold with `model`: what the configuration gives, else the model's.
    fn cuts(&self, model: Option<&Model>) -> Cuts {
        let own = model.map(|model| model.thresholds);
        let decline = match (self.review, self.decline) {
            (_, Some(decline)) => decline,
            (Some(_), None) => f64::INFINITY,
            (None, None) => own.and_then(|own| own.decline).unwrap_or(f64::INFINITY),
        };
        // `check` made sure that one of them is there; without any, everything is reviewed.
        let review = self.review.or(own.map(|own| own.review)).unwrap_or(f64::NEG_INFINITY);
        // A configured decline threshold may lie below the model's review threshold: it is the
        // stricter word.
        Cuts { review: review.min(decline), decline }
    }
}

fn has_score(scores: &Float64Array, row: usize) -> bool {
    scores.is_valid(row) && !scores.value(row).is_nan()
}

fn approved(scores: &Float64Array, row: usize, cuts: Cuts) -> bool {
    scores.value(row) < cuts.review && scores.is_valid(row)
}

fn decisions(scores: &Float64Array, stopped: &[usize], cuts: Cuts) -> StringArray {
    let mut column = StringBuilder::with_capacity(scores.len(), scores.len() * APPROVE.len());
    let mut stopped = stopped.iter().peekable();
    for row in 0..scores.len() {
        if stopped.next_if(|next| **next == row).is_none() {
            column.append_value(APPROVE);
        } else if has_score(scores, row) && scores.value(row) >= cuts.decline {
            column.append_value(DECLINE);
        } else {
            column.append_value(REVIEW);
        }
    }
    column.finish()
}

impl Stateless for DecideOperator {
    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.output)
    }

    fn on_batch(
        &mut self,
        epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        out.push(self.decide(epoch, &batch)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
