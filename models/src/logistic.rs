//! Logistic regression over standardized features: probability = sigmoid(intercept + Σ coefficient
//! · (value − mean) / scale).
//!
//! Scored column by column in blocks that stay in the first-level cache; each row's terms are
//! always added in the order of the features, so a row's score does not depend on the batch it is
//! in.

pub(crate) mod fit;

use serde::{Deserialize, Serialize};

use crate::exact;
use crate::features::FeatureMatrix;

/// Rows whose sums are built up together: 8 KiB of sums and 8 KiB of one column.
const BLOCK_ROWS: usize = 1024;

/// The fitted parameters. All vectors have one entry per feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticRegression {
    /// Mean of the feature over the training rows.
    #[serde(with = "exact::numbers")]
    pub mean: Vec<f64>,
    /// Standard deviation (population) of the feature over the training rows; 1 for a constant
    /// feature.
    #[serde(with = "exact::numbers")]
    pub scale: Vec<f64>,
    /// Change of the log-odds per standard deviation of the feature.
    #[serde(with = "exact::numbers")]
    pub coefficients: Vec<f64>,
    /// Log-odds of a row whose features are all at their means.
    #[serde(with = "exact::number")]
    pub intercept: f64,
}

impl LogisticRegression {
    /// What is wrong with these parameters for a model of `width` features, if anything.
    pub fn problem(&self, width: usize) -> Option<String> {
        for (name, length) in [
            ("mean", self.mean.len()),
            ("scale", self.scale.len()),
            ("coefficients", self.coefficients.len()),
        ] {
            if length != width {
                return Some(format!("{length} entries in `{name}` for {width} features"));
            }
        }
        self.scale.iter().position(|scale| *scale <= 0.0).map(|feature| {
            format!("scale {} of feature {feature} is not above 0", self.scale[feature])
        })
    }

    /// Writes the probability of each row to `out`, which has as many entries as the matrix has
    /// rows.
    pub(crate) fn score_into(&self, columns: &FeatureMatrix<'_>, out: &mut [f64]) {
        let weights: Vec<(f64, f64)> = self.weights().collect();
        for (block, sums) in out.chunks_mut(BLOCK_ROWS).enumerate() {
            sums.fill(self.intercept);
            let start = block * BLOCK_ROWS;
            for (feature, (mean, weight)) in weights.iter().enumerate() {
                let values = &columns.column(feature)[start..start + sums.len()];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += (value - mean) * weight;
                }
            }
            for sum in sums {
                *sum = sigmoid(*sum);
            }
        }
    }

    /// What each feature of one row adds to the log-odds, against a row at the means.
    pub(crate) fn contributions_into(
        &self,
        columns: &FeatureMatrix<'_>,
        row: usize,
        out: &mut [f64],
    ) {
        for (feature, ((mean, weight), contribution)) in self.weights().zip(out).enumerate() {
            *contribution = (columns.column(feature)[row] - mean) * weight;
        }
    }

    /// The mean and the log-odds per unit, feature by feature.
    fn weights(&self) -> impl Iterator<Item = (f64, f64)> {
        self.mean
            .iter()
            .zip(&self.scale)
            .zip(&self.coefficients)
            .map(|((mean, scale), coefficient)| (*mean, coefficient / scale))
    }
}

/// 1 / (1 + e^−x); 0 and 1 for −∞ and ∞, never NaN for a number.
fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn model() -> LogisticRegression {
        LogisticRegression {
            mean: vec![10.0, 0.5],
            scale: vec![5.0, 0.5],
            coefficients: vec![2.0, -1.0],
            intercept: -1.0,
        }
    }

    fn score(matrix: &FeatureMatrix<'_>) -> Vec<f64> {
        let mut out = vec![f64::NAN; matrix.rows()];
        model().score_into(matrix, &mut out);
        out
    }

    #[test]
    fn scores_equal_the_formula_by_hand() {
        let matrix = FeatureMatrix::from_columns(
            2,
            vec![Cow::Owned(vec![10.0, 20.0]), Cow::Owned(vec![0.5, 1.0])],
        )
        .unwrap();
        // Row 0 is at the means: log-odds -1. Row 1: -1 + 2 * 2 - 1 * 1 = 2.
        let expected = [1.0 / (1.0 + 1f64.exp()), 1.0 / (1.0 + (-2f64).exp())];
        for (score, expected) in score(&matrix).iter().zip(expected) {
            assert!((score - expected).abs() < 1e-15);
        }
        let mut contributions = [0.0; 2];
        model().contributions_into(&matrix, 1, &mut contributions);
        assert_eq!(contributions, [4.0, -1.0]);
    }

    #[test]
    fn a_block_scores_each_row_as_if_it_were_alone() {
        let rows = 2 * BLOCK_ROWS + 77;
        let a: Vec<f64> = (0..rows).map(|row| (row % 97) as f64 * 0.37).collect();
        let b: Vec<f64> = (0..rows).map(|row| (row % 13) as f64 * 0.11).collect();
        let whole =
            FeatureMatrix::from_columns(rows, vec![Cow::Borrowed(&a[..]), Cow::Borrowed(&b[..])])
                .unwrap();
        for (row, expected) in score(&whole).into_iter().enumerate() {
            let one = FeatureMatrix::from_columns(
                1,
                vec![Cow::Borrowed(&a[row..=row]), Cow::Borrowed(&b[row..=row])],
            )
            .unwrap();
            assert_eq!(score(&one)[0].to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn extreme_values_stay_between_0_and_1() {
        let matrix = FeatureMatrix::from_columns(
            2,
            vec![Cow::Owned(vec![1e308, -1e308]), Cow::Owned(vec![0.0, 0.0])],
        )
        .unwrap();
        assert_eq!(score(&matrix), [1.0, 0.0]);
    }

    #[test]
    fn parameters_of_another_width_or_a_zero_scale_are_named() {
        assert_eq!(model().problem(2), None);
        assert!(model().problem(3).unwrap().contains("2 entries in `mean` for 3 features"));
        let zero = LogisticRegression { scale: vec![1.0, 0.0], ..model() };
        assert!(zero.problem(2).unwrap().contains("feature 1"));
    }
}
