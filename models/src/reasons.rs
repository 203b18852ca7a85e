//! Why a row scored as it did: the features that pushed its score up the most.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use serde::Serialize;

use crate::error::ScoreError;
use crate::features::FeatureMatrix;
use crate::model::{Model, Predictor};

/// One feature's part in one row's score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason<'m> {
    /// The feature's name.
    pub feature: &'m str,
    /// The row's value; the training mean if it was missing.
    pub value: f64,
    /// The feature's mean over the training rows, to compare the value with.
    pub baseline: f64,
    /// How much it pushed the score up, above 0. Logistic regression: log-odds against a row with
    /// the training mean, coefficient · (value − mean) / scale. Forest: probability, the changes of
    /// the node means along the paths at splits on this feature.
    pub contribution: f64,
}

impl Model {
    /// For each of the given rows, in that order, at most `top` features that pushed the score up,
    /// the strongest first (ties in the order of the features). Only those rows are read, so this
    /// costs nothing for rows that are approved.
    pub fn reasons(
        &self,
        batch: &RecordBatch,
        rows: &[usize],
        top: usize,
    ) -> Result<Vec<Vec<Reason<'_>>>, ScoreError> {
        let columns = FeatureMatrix::from_rows(batch, &self.features, rows)?;
        let mut contributions = vec![0.0; self.features.len()];
        let mut order: Vec<usize> = Vec::with_capacity(self.features.len());
        let mut all = Vec::with_capacity(rows.len());
        for row in 0..rows.len() {
            match &self.predictor {
                Predictor::LogisticRegression(regression) => {
                    regression.contributions_into(&columns, row, &mut contributions)
                }
                Predictor::RandomForest(forest) => {
                    forest.contributions_into(&columns, row, &mut contributions)
                }
            }
            order.clear();
            order.extend((0..contributions.len()).filter(|feature| contributions[*feature] > 0.0));
            order.sort_by(|a, b| {
                contributions[*b].partial_cmp(&contributions[*a]).unwrap_or(Ordering::Equal)
            });
            let reasons = order.iter().take(top).map(|feature| Reason {
                feature: &self.features[*feature].name,
                value: columns.column(*feature)[row],
                contribution: contributions[*feature],
                baseline: self.features[*feature].fill,
            });
            all.push(reasons.collect());
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use crate::model_file::samples;

    #[test]
    fn the_strongest_pushes_come_first_with_value_and_baseline() {
        let model = samples::logistic();
        let batch = samples::batch(&[[20.0, 0.0], [10.0, 0.5], [0.0, 1.0]]);
        let reasons = model.reasons(&batch, &[0, 2, 1], 2).unwrap();
        // Row 0: amount (20 - 10) / 5 * 2 = 4 up, risk (0 - 0.5) / 0.5 * -1 = 1 up.
        let row: Vec<(&str, f64, f64, f64)> =
            reasons[0].iter().map(|r| (r.feature, r.value, r.contribution, r.baseline)).collect();
        assert_eq!(row, [("amount", 20.0, 4.0, 10.0), ("risk", 0.0, 1.0, 0.5)]);
        // Row 2 is pushed down by both; row 1 is at the means.
        assert!(reasons[1].is_empty() && reasons[2].is_empty());
        assert_eq!(model.reasons(&batch, &[0], 1).unwrap()[0].len(), 1);
    }

    #[test]
    fn a_forests_reasons_follow_the_path() {
        let model = samples::forest();
        let reasons = model.reasons(&samples::batch(&[[20.0, 0.9]]), &[0], 5).unwrap();
        let row: Vec<&str> = reasons[0].iter().map(|reason| reason.feature).collect();
        assert_eq!(row, ["risk", "amount"]);
        assert!((reasons[0][0].contribution - 0.35).abs() < 1e-15);
    }
}
