//! The stored form of a model: one JSON document, this crate's own format.
//!
//! ```json
//! {"format_version": 1, "checksum": "0123456789abcdef",
//!  "model": {"name": "...", "kind": {"logistic_regression": {...}}, ...}}
//! ```
//!
//! `checksum` is XXH3 over the bytes of the `model` value. Floats come back bit for bit (see
//! `exact`). A change of the form raises [`FORMAT_VERSION`].

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::ModelFileError;
use crate::exact;
use crate::features::FeatureSpec;
use crate::forest::{Forest, Tree};
use crate::logistic::LogisticRegression;
use crate::metrics::Thresholds;
use crate::model::{Metrics, Model, Predictor, Probe, TrainingWindow};

/// The version of the format that is written and read.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    format_version: u32,
    checksum: String,
    #[serde(borrow)]
    model: &'a RawValue,
}

/// The fields of a model in the order of the file. Not flattened, tagged or untagged: those forms
/// buffer numbers and would round them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredModel {
    name: String,
    version: u64,
    created_at: String,
    features: Vec<FeatureSpec>,
    #[serde(with = "exact::number")]
    threshold: f64,
    thresholds: Thresholds,
    metrics: Metrics,
    trained_on: TrainingWindow,
    probes: Vec<Probe>,
    kind: StoredPredictor,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPredictor {
    LogisticRegression(LogisticRegression),
    RandomForest { trees: Vec<Tree> },
}

/// The model as a JSON document.
pub fn to_json(model: &Model) -> Result<Vec<u8>, ModelFileError> {
    let stored = StoredModel {
        name: model.name.clone(),
        version: model.version,
        created_at: model.created_at.clone(),
        features: model.features.clone(),
        threshold: model.threshold,
        thresholds: model.thresholds,
        metrics: model.metrics.clone(),
        trained_on: model.trained_on.clone(),
        probes: model.probes.clone(),
        kind: match &model.predictor {
            Predictor::LogisticRegression(regression) => {
                StoredPredictor::LogisticRegression(regression.clone())
            }
            Predictor::RandomForest(forest) => {
                StoredPredictor::RandomForest { trees: forest.trees().to_vec() }
            }
        },
    };
    let model = serde_json::value::to_raw_value(&stored)?;
    let envelope =
        Envelope { format_version: FORMAT_VERSION, checksum: checksum(&model), model: &model };
    let mut bytes = serde_json::to_vec(&envelope)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads and checks a JSON document: format version, checksum, that the parts fit together, and the
/// probe rows' scores.
pub fn from_json(bytes: &[u8]) -> Result<Model, ModelFileError> {
    // The version first: a newer form may not parse as this one.
    let version: VersionOnly = serde_json::from_slice(bytes)?;
    if version.format_version != FORMAT_VERSION {
        return Err(ModelFileError::FormatVersion {
            found: version.format_version,
            expected: FORMAT_VERSION,
        });
    }
    let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
    let actual = checksum(envelope.model);
    if envelope.checksum != actual {
        return Err(ModelFileError::Checksum { found: envelope.checksum, actual });
    }
    let stored: StoredModel = serde_json::from_str(envelope.model.get())?;
    let predictor = match stored.kind {
        StoredPredictor::LogisticRegression(regression) => {
            Predictor::LogisticRegression(regression)
        }
        StoredPredictor::RandomForest { trees } => {
            Predictor::RandomForest(Forest::new(trees, stored.features.len())?)
        }
    };
    let model = Model {
        name: stored.name,
        version: stored.version,
        created_at: stored.created_at,
        features: stored.features,
        predictor,
        threshold: stored.threshold,
        thresholds: stored.thresholds,
        metrics: stored.metrics,
        trained_on: stored.trained_on,
        probes: stored.probes,
    };
    model.verify()?;
    Ok(model)
}

fn checksum(model: &RawValue) -> String {
    format!("{:016x}", xxh3_64(model.get().as_bytes()))
}

/// Small models for tests.
#[cfg(test)]
pub(crate) mod samples {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, RecordBatch};

    use super::*;
    use crate::features::FeatureKind;

    pub(crate) fn batch(rows: &[[f64; 2]]) -> RecordBatch {
        let column = |index: usize| {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row[index]))) as ArrayRef
        };
        RecordBatch::try_from_iter(vec![("amount", column(0)), ("risk", column(1))]).unwrap()
    }

    fn model(predictor: Predictor) -> Model {
        let feature = |name: &str, fill| FeatureSpec {
            name: name.to_owned(),
            kind: FeatureKind::Float,
            fill,
        };
        let mut model = Model {
            name: "sample".to_owned(),
            version: 0,
            created_at: String::new(),
            features: vec![feature("amount", 10.0), feature("risk", 0.5)],
            predictor,
            threshold: 0.1 + 0.2,
            thresholds: Thresholds { review: 1.0 / 3.0, decline: None },
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
        };
        let rows = [[20.0, 0.9], [1.1, 0.3], [10.0, 0.5]];
        let scores = model.score_batch(&batch(&rows)).unwrap().score;
        model.probes = rows
            .iter()
            .zip(scores.values())
            .map(|(row, score)| Probe { values: row.to_vec(), score: *score })
            .collect();
        model
    }

    pub(crate) fn logistic() -> Model {
        model(Predictor::LogisticRegression(LogisticRegression {
            mean: vec![10.0, 0.5],
            scale: vec![5.0, 0.5],
            coefficients: vec![2.0, -1.0],
            intercept: -1.0,
        }))
    }

    pub(crate) fn forest() -> Model {
        let tree = Tree {
            feature: vec![0, 0, 1, 0, 0],
            threshold: vec![15.0 + 1.0 / 3.0, 0.0, 0.6, 0.0, 0.0],
            child: vec![1, 0, 3, 0, 0],
            value: vec![0.325, 0.1, 0.55, 0.2, 0.9],
        };
        model(Predictor::RandomForest(Forest::new(vec![tree], 2).unwrap()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample with its JSON changed inside `model`, and the checksum made right again.
    fn edited(model: &Model, from: &str, to: &str) -> Result<Model, ModelFileError> {
        let text = String::from_utf8(to_json(model).unwrap()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        let text = text.replace(from, to);
        match from_json(text.as_bytes()) {
            Err(ModelFileError::Checksum { found, actual }) => {
                from_json(text.replace(&found, &actual).as_bytes())
            }
            other => other,
        }
    }

    #[test]
    fn both_kinds_come_back_equal() {
        for model in [samples::logistic(), samples::forest()] {
            let json = to_json(&model).unwrap();
            let back = from_json(&json).unwrap();
            assert_eq!(back, model);
            assert_eq!(to_json(&back).unwrap(), json);
        }
    }

    #[test]
    fn a_changed_digit_a_cut_file_and_another_version_are_refused() {
        let json = to_json(&samples::logistic()).unwrap();
        let text = String::from_utf8(json.clone()).unwrap();
        let changed = text.replace("\"intercept\":-1.0", "\"intercept\":-1.5");
        assert!(matches!(from_json(changed.as_bytes()), Err(ModelFileError::Checksum { .. })));
        for cut in 0..json.len() - 1 {
            assert!(from_json(&json[..cut]).is_err());
        }
        let newer = text.replace("\"format_version\":1", "\"format_version\":2");
        let error = from_json(newer.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("format version 2"), "{error}");
    }

    #[test]
    fn probe_rows_catch_parameters_that_score_differently() {
        let error =
            edited(&samples::logistic(), "\"intercept\":-1.0", "\"intercept\":-1.5").unwrap_err();
        assert!(matches!(error, ModelFileError::Probe { row: 0, .. }), "{error}");
        let error = edited(&samples::forest(), "0.9]}]", "0.8]}]").unwrap_err();
        assert!(matches!(error, ModelFileError::Probe { row: 0, .. }), "{error}");
    }

    #[test]
    fn parts_that_do_not_fit_together_are_refused() {
        let error =
            edited(&samples::logistic(), "\"mean\":[10.0,0.5]", "\"mean\":[10.0]").unwrap_err();
        assert!(error.to_string().contains("1 entries in `mean`"), "{error}");
        let error = edited(&samples::forest(), "\"child\":[1,0,3,0,0]", "\"child\":[0,0,3,0,9]")
            .unwrap_err();
        assert!(matches!(error, ModelFileError::Forest(_)), "{error}");
        let error =
            edited(&samples::logistic(), "\"decline\":null", "\"decline\":0.1").unwrap_err();
        assert!(error.to_string().contains("decline threshold"), "{error}");
        let error = edited(&samples::logistic(), "\"created_at\"", "\"created\"").unwrap_err();
        assert!(matches!(error, ModelFileError::Json(_)), "{error}");
    }
}
