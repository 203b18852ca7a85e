//! Small models to test steps with.

use riskstream_models::{
    FeatureKind, FeatureSpec, LogisticRegression, Metrics, Model, Predictor, Thresholds,
    TrainingWindow,
};

/// A logistic regression: log-odds = intercept + (amount - 10) / 5 + (risk - 0.5) / 0.5; review
/// from 0.5, decline from 0.9.
pub(crate) fn model(version: u64, intercept: f64) -> Model {
    let feature =
        |name: &str, fill| FeatureSpec { name: name.to_owned(), kind: FeatureKind::Float, fill };
    Model {
        name: "fraud".to_owned(),
        version,
        created_at: String::new(),
        features: vec![feature("amount", 10.0), feature("risk", 0.5)],
        predictor: Predictor::LogisticRegression(LogisticRegression {
            mean: vec![10.0, 0.5],
            scale: vec![5.0, 0.5],
            coefficients: vec![1.0, 1.0],
            intercept,
        }),
        threshold: 0.5,
        thresholds: Thresholds { review: 0.5, decline: Some(0.9) },
        metrics: Metrics {
            auc_roc: 0.9,
            average_precision: 0.7,
            card_precision: 0.3,
            card_precision_k: 100,
            f1: 0.6,
            precision: 0.5,
            recall: 0.75,
        },
        trained_on: TrainingWindow {
            train_from: "2020-01-01".to_owned(),
            train_to: "2020-01-08".to_owned(),
            train_rows: 10,
            train_frauds: 2,
            test_from: "2020-01-15".to_owned(),
            test_to: "2020-01-22".to_owned(),
            test_rows: 10,
            test_frauds: 3,
            fingerprint: "00000000000000ff".to_owned(),
        },
        probes: Vec::new(),
    }
}
