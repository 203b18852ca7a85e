//! A model: what it reads, how it scores, how well it did, and where it comes from.

use arrow::array::{Float64Array, RecordBatch};
use serde::{Deserialize, Serialize};

use crate::error::{ModelFileError, ScoreError};
use crate::exact;
use crate::features::{FeatureMatrix, FeatureSpec};
use crate::forest::Forest;
use crate::logistic::LogisticRegression;
use crate::metrics::Thresholds;

/// How far a probe row's score may be from the stored one: the exponential function differs in its
/// last bits between machines.
const PROBE_TOLERANCE: f64 = 1e-9;

/// Something that turns feature columns into scores between 0 and 1. Pure: the same row always gets
/// the same score.
pub trait Scorer {
    /// The features, in the order of the matrix's columns.
    fn features(&self) -> &[FeatureSpec];

    /// Replaces the content of `out` by one score per row.
    fn score(&self, columns: &FeatureMatrix<'_>, out: &mut Vec<f64>) -> Result<(), ScoreError>;
}

/// The fitted part of a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictor {
    /// A logistic regression over standardized features.
    LogisticRegression(LogisticRegression),
    /// A random forest.
    RandomForest(Forest),
}

impl Predictor {
    /// The name as it is stored and shown: `logistic_regression` or `random_forest`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LogisticRegression(_) => "logistic_regression",
            Self::RandomForest(_) => "random_forest",
        }
    }
}

/// How well a model did on rows that it had not seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Area under the ROC curve.
    #[serde(with = "exact::number")]
    pub auc_roc: f64,
    /// Average precision.
    #[serde(with = "exact::number")]
    pub average_precision: f64,
    /// Card precision at `card_precision_k`, mean over the test days.
    #[serde(with = "exact::number")]
    pub card_precision: f64,
    /// Cards that can be checked per day.
    pub card_precision_k: usize,
    /// Best F1, reached at the model's threshold.
    #[serde(with = "exact::number")]
    pub f1: f64,
    /// Share of frauds among the rows at or above the threshold.
    #[serde(with = "exact::number")]
    pub precision: f64,
    /// Share of the frauds that are at or above the threshold.
    #[serde(with = "exact::number")]
    pub recall: f64,
}

/// What a model was trained and tested on. Dates are UTC, `YYYY-MM-DD`; the last one of a pair is
/// excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingWindow {
    /// First day of training.
    pub train_from: String,
    /// First day after training.
    pub train_to: String,
    /// Labeled rows in the training window.
    pub train_rows: usize,
    /// Frauds among them.
    pub train_frauds: usize,
    /// First day of test.
    pub test_from: String,
    /// First day after test.
    pub test_to: String,
    /// Labeled rows in the test window, without blocked cards.
    pub test_rows: usize,
    /// Frauds among them.
    pub test_frauds: usize,
    /// XXH3 over the names, the values and the labels of the training rows, 16 hexadecimal digits.
    pub fingerprint: String,
}

/// A row with the score that it got when the model was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// One value per feature, in order.
    #[serde(with = "exact::numbers")]
    pub values: Vec<f64>,
    /// The score.
    #[serde(with = "exact::number")]
    pub score: f64,
}

/// A model that can score. Immutable: share it behind an `Arc` and swap the `Arc` for a newer
/// version.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The name in the registry.
    pub name: String,
    /// The version in the registry, from 1; 0 until it is registered.
    pub version: u64,
    /// When it was registered, as its registrar said; empty until then.
    pub created_at: String,
    /// What it reads, in order.
    pub features: Vec<FeatureSpec>,
    /// How it scores.
    pub predictor: Predictor,
    /// The score from which a row counts as fraud, by the best F1 on the test rows.
    pub threshold: f64,
    /// Suggested cuts for review and decline.
    pub thresholds: Thresholds,
    /// How well it did on the test rows.
    pub metrics: Metrics,
    /// Where it comes from.
    pub trained_on: TrainingWindow,
    /// Rows to check it with when it is loaded.
    pub probes: Vec<Probe>,
}

/// The scores of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// One score per row, from 0 to 1, never null.
    pub score: Float64Array,
    /// How many feature values were missing and replaced by their training means.
    pub missing: usize,
}

impl Scorer for Model {
    fn features(&self) -> &[FeatureSpec] {
        &self.features
    }

    fn score(&self, columns: &FeatureMatrix<'_>, out: &mut Vec<f64>) -> Result<(), ScoreError> {
        if columns.width() != self.features.len() {
            return Err(ScoreError::Shape {
                expected: self.features.len(),
                found: columns.width(),
            });
        }
        out.clear();
        out.resize(columns.rows(), 0.0);
        match &self.predictor {
            Predictor::LogisticRegression(regression) => regression.score_into(columns, out),
            Predictor::RandomForest(forest) => forest.score_into(columns, out),
        }
        Ok(())
    }
}

impl Model {
    /// Scores all rows of a batch. The features are found by name; other columns are ignored.
    pub fn score_batch(&self, batch: &RecordBatch) -> Result<Scored, ScoreError> {
        let columns = FeatureMatrix::from_batch(batch, &self.features)?;
        let mut score = Vec::new();
        self.score(&columns, &mut score)?;
        Ok(Scored { score: Float64Array::from(score), missing: columns.missing() })
    }

    /// Checks that the parts fit together and that the probe rows still get their scores.
    pub(crate) fn verify(&self) -> Result<(), ModelFileError> {
        let inconsistent = |problem: String| Err(ModelFileError::Inconsistent { problem });
        let width = self.features.len();
        if width == 0 {
            return inconsistent("it has no features".to_owned());
        }
        match &self.predictor {
            Predictor::LogisticRegression(regression) => {
                if let Some(problem) = regression.problem(width) {
                    return inconsistent(problem);
                }
            }
            Predictor::RandomForest(forest) if forest.width() != width => {
                return inconsistent(format!(
                    "a forest over {} features for {width} features",
                    forest.width()
                ));
            }
            Predictor::RandomForest(_) => {}
        }
        if self.thresholds.decline.is_some_and(|decline| decline < self.thresholds.review) {
            return inconsistent("the decline threshold is below the review threshold".to_owned());
        }
        if let Some(row) = self.probes.iter().position(|probe| probe.values.len() != width) {
            return inconsistent(format!(
                "probe row {row} has {} values for {width} features",
                self.probes[row].values.len()
            ));
        }
        for (row, (probe, actual)) in self.probes.iter().zip(self.score_probes()).enumerate() {
            let difference = (probe.score - actual).abs();
            if difference.is_nan() || difference > PROBE_TOLERANCE {
                return Err(ModelFileError::Probe { row, expected: probe.score, actual });
            }
        }
        Ok(())
    }

    fn score_probes(&self) -> Vec<f64> {
        let columns = (0..self.features.len())
            .map(|feature| {
                self.probes.iter().map(|probe| probe.values[feature]).collect::<Vec<f64>>().into()
            })
            .collect();
        let mut scores = Vec::new();
        if let Some(matrix) = FeatureMatrix::from_columns(self.probes.len(), columns) {
            // The widths agree: the caller has checked them.
            let _ = self.score(&matrix, &mut scores);
        }
        scores
    }
}
