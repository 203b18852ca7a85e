//! Training: split by days, fit, evaluate on the test days, choose thresholds, keep probe rows.
//!
//! The thresholds are chosen on the test days, because a forest's scores of its own training rows
//! say nothing; the reported precision and recall at the threshold are therefore a little
//! optimistic. AUC, average precision and card precision use no threshold.

use std::time::Duration;

use arrow::array::RecordBatch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::Xxh3;

use crate::dataset::{Columns, Dataset};
use crate::error::TrainError;
use crate::features::{FeatureMatrix, FeatureSpec};
use crate::forest::fit::ForestParameters;
use crate::logistic::fit::LogisticParameters;
use crate::metrics::{
    ThresholdRule, Thresholds, auc_roc, average_precision, best_f1, card_precision_top_k,
};
use crate::model::{Metrics, Model, Predictor, Probe, Scorer, TrainingWindow};
use crate::protocol::{Split, SplitRows, split_rows};
use crate::{forest, logistic};

/// Probe rows kept in a model.
const PROBES: usize = 16;
/// The seed of the random baseline; any would do, but a table should not change from run to run.
const BASELINE_SEED: u64 = 0;

/// Which algorithm to fit, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algorithm {
    /// Logistic regression over standardized features.
    LogisticRegression(LogisticParameters),
    /// Random forest.
    RandomForest(ForestParameters),
}

impl Algorithm {
    /// The name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LogisticRegression(_) => "logistic regression",
            Self::RandomForest(_) => "random forest",
        }
    }
}

/// What to train, on what.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSpec {
    /// The model's name in the registry.
    pub name: String,
    /// What to fit.
    pub algorithm: Algorithm,
    /// Where things are in the rows.
    pub columns: Columns,
    /// Which days are for what.
    pub split: Split,
    /// Cards that can be checked per day: the k of card precision.
    pub cards_per_day: usize,
    /// How the thresholds are chosen.
    pub thresholds: ThresholdRule,
}

/// A trained model and how it compares.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOutcome {
    /// The model, with its metrics; not registered yet.
    pub model: Model,
    /// The same measures for random scores on the same test rows.
    pub baseline: Metrics,
    /// The algorithm's name for people.
    pub algorithm: &'static str,
    /// How long fitting took, by the caller's stopwatch; preparing and evaluating not included.
    pub fit_time: Duration,
    /// Test rows left out because their card was known to be compromised.
    pub blocked_rows: usize,
    /// Rows left out because the event time, the key or the label was missing.
    pub unusable_rows: usize,
}

/// Trains one model. `elapsed` is the caller's stopwatch (time since any fixed moment); this crate
/// reads no clock.
///
/// The result depends on the specification and the rows, in their order, only.
pub fn train(
    spec: &TrainSpec,
    rows: &[RecordBatch],
    elapsed: &dyn Fn() -> Duration,
) -> Result<TrainOutcome, TrainError> {
    check_spec(spec)?;
    let mut dataset = Dataset::collect(rows, &spec.columns, &spec.split)?;
    let split = split_rows(&dataset.days, &dataset.cards, &dataset.labels, &spec.split);
    check_window(
        "training",
        &split.train,
        &dataset.labels,
        &spec.split,
        0,
        spec.split.train_end(),
    )?;
    check_window(
        "test",
        &split.test,
        &dataset.labels,
        &spec.split,
        spec.split.test_start(),
        spec.split.test_end(),
    )?;

    let features = fill_missing(&mut dataset, &split.train, &spec.columns.features);
    let train_columns: Vec<Vec<f64>> =
        dataset.columns.iter().map(|column| pick(column, &split.train)).collect();
    let train_labels = pick(&dataset.labels, &split.train);
    let fingerprint = fingerprint(&spec.columns.features, &train_columns, &train_labels);

    let before = elapsed();
    let predictor = match &spec.algorithm {
        Algorithm::LogisticRegression(parameters) => Predictor::LogisticRegression(
            logistic::fit::fit(&train_columns, &train_labels, *parameters)?,
        ),
        Algorithm::RandomForest(parameters) => {
            Predictor::RandomForest(forest::fit::fit(&train_columns, &train_labels, parameters)?)
        }
    };
    let fit_time = elapsed().saturating_sub(before);
    drop(train_columns);

    let test = TestRows::new(&dataset, &split, spec);
    let mut model = Model {
        name: spec.name.clone(),
        version: 0,
        created_at: String::new(),
        features,
        predictor,
        // Replaced below, once the model has scored the test rows.
        threshold: 0.5,
        thresholds: Thresholds { review: 0.5, decline: None },
        metrics: Metrics::default(),
        trained_on: TrainingWindow {
            train_from: spec.split.date(0).to_string(),
            train_to: spec.split.date(spec.split.train_end()).to_string(),
            train_rows: train_labels.len(),
            train_frauds: count(&train_labels),
            test_from: spec.split.date(spec.split.test_start()).to_string(),
            test_to: spec.split.date(spec.split.test_end()).to_string(),
            test_rows: test.labels.len(),
            test_frauds: count(&test.labels),
            fingerprint,
        },
        probes: Vec::new(),
    };
    let columns = dataset.columns.iter().map(|column| pick(column, &split.test).into()).collect();
    let matrix = FeatureMatrix::from_columns(split.test.len(), columns)
        .expect("each column is picked by the same rows");
    let mut scores = Vec::new();
    model.score(&matrix, &mut scores)?;

    let (metrics, threshold) = test.measure(&scores)?;
    model.metrics = metrics;
    model.threshold = threshold;
    if let Some(thresholds) =
        Thresholds::choose(&scores, &test.labels, spec.split.test_days, &spec.thresholds)
    {
        model.thresholds = thresholds;
    }
    model.probes = choose_probes(&matrix, &scores);

    let mut random = ChaCha8Rng::seed_from_u64(BASELINE_SEED);
    let random_scores: Vec<f64> = test.labels.iter().map(|_| random.random()).collect();
    let (baseline, _) = test.measure(&random_scores)?;
    Ok(TrainOutcome {
        model,
        baseline,
        algorithm: spec.algorithm.name(),
        fit_time,
        blocked_rows: split.blocked,
        unusable_rows: dataset.unusable,
    })
}

/// The test rows without their features.
struct TestRows<'a> {
    days: Vec<i64>,
    cards: Vec<u32>,
    labels: Vec<bool>,
    spec: &'a TrainSpec,
}

impl<'a> TestRows<'a> {
    fn new(dataset: &Dataset, split: &SplitRows, spec: &'a TrainSpec) -> Self {
        Self {
            days: pick(&dataset.days, &split.test),
            cards: pick(&dataset.cards, &split.test),
            labels: pick(&dataset.labels, &split.test),
            spec,
        }
    }

    /// All measures, and the threshold of the best F1.
    fn measure(&self, scores: &[f64]) -> Result<(Metrics, f64), TrainError> {
        let k = self.spec.cards_per_day;
        let measured = (
            auc_roc(scores, &self.labels),
            average_precision(scores, &self.labels),
            card_precision_top_k(&self.days, &self.cards, scores, &self.labels, k),
            best_f1(scores, &self.labels),
        );
        let (Some(auc_roc), Some(average_precision), Some(card_precision), Some(best)) = measured
        else {
            // check_window has made sure of both classes, so this is a caller's k of 0, which
            // check_spec refuses.
            return Err(TrainError::Spec { problem: "the test rows can't be measured".to_owned() });
        };
        let metrics = Metrics {
            auc_roc,
            average_precision,
            card_precision: card_precision.mean,
            card_precision_k: k,
            f1: best.f1,
            precision: best.precision,
            recall: best.recall,
        };
        Ok((metrics, best.threshold))
    }
}

fn check_spec(spec: &TrainSpec) -> Result<(), TrainError> {
    let features = &spec.columns.features;
    let repeated =
        features.iter().enumerate().find(|(index, name)| features[..*index].contains(name));
    let problem = if features.is_empty() {
        "no features are named; name at least one column".to_owned()
    } else if let Some((_, name)) = repeated {
        format!("feature `{name}` is named twice")
    } else if features.contains(&spec.columns.label) {
        format!(
            "the label `{}` is also a feature: the model would only copy it",
            spec.columns.label
        )
    } else if spec.split.train_days == 0 || spec.split.test_days == 0 {
        "the training and test windows need at least one day each".to_owned()
    } else if spec.cards_per_day == 0 {
        "cards per day (the k of card precision) must be at least 1".to_owned()
    } else if !(spec.thresholds.reviews_per_day >= 0.0
        && (0.0..=1.0).contains(&spec.thresholds.decline_precision))
    {
        "reviews per day must be at least 0 and the decline precision between 0 and 1".to_owned()
    } else {
        return Ok(());
    };
    Err(TrainError::Spec { problem })
}

fn check_window(
    window: &'static str,
    rows: &[usize],
    labels: &[bool],
    split: &Split,
    from: i64,
    to: i64,
) -> Result<(), TrainError> {
    let Some(first) = rows.first() else {
        return Err(TrainError::EmptyWindow {
            window,
            from: split.date(from).to_string(),
            to: split.date(to).to_string(),
        });
    };
    if rows.iter().all(|row| labels[*row] == labels[*first]) {
        return Err(TrainError::OneClass {
            window,
            rows: rows.len(),
            label: u8::from(labels[*first]),
        });
    }
    Ok(())
}

/// Replaces missing values by the mean of the training rows, and describes the features.
fn fill_missing(dataset: &mut Dataset, train: &[usize], names: &[String]) -> Vec<FeatureSpec> {
    let mut features = Vec::with_capacity(names.len());
    for ((name, kind), column) in names.iter().zip(&dataset.kinds).zip(&mut dataset.columns) {
        let present = || train.iter().map(|row| column[*row]).filter(|value| !value.is_nan());
        let fill = present().sum::<f64>() / present().count().max(1) as f64;
        for value in column.iter_mut().filter(|value| value.is_nan()) {
            *value = fill;
        }
        features.push(FeatureSpec { name: name.clone(), kind: *kind, fill });
    }
    features
}

fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|row| values[*row]).collect()
}

fn count(labels: &[bool]) -> usize {
    labels.iter().filter(|label| **label).count()
}

fn fingerprint(names: &[String], columns: &[Vec<f64>], labels: &[bool]) -> String {
    let mut hash = Xxh3::new();
    for (name, column) in names.iter().zip(columns) {
        hash.update(name.as_bytes());
        hash.update(&[0]);
        for value in column {
            hash.update(&value.to_bits().to_le_bytes());
        }
    }
    for label in labels {
        hash.update(&[u8::from(*label)]);
    }
    format!("{:016x}", hash.digest())
}

/// The rows with the highest scores, where a mistake would matter most, and rows spread evenly over
/// the others.
fn choose_probes(matrix: &FeatureMatrix<'_>, scores: &[f64]) -> Vec<Probe> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let top = order.len().min(PROBES / 2);
    let step = (order.len() - top).div_ceil(PROBES - PROBES / 2).max(1);
    let chosen = order[..top].iter().chain(order[top..].iter().step_by(step));
    chosen
        .map(|row| Probe {
            values: (0..matrix.width()).map(|feature| matrix.column(feature)[*row]).collect(),
            score: scores[*row],
        })
        .collect()
}

#[cfg(test)]
mod tests;
