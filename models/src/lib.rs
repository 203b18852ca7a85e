//! Models that score rows: fitted, evaluated, explained, and kept in a registry folder.
//!
//! ```text
//! labeled rows ─▶ train ─▶ Model ─▶ Registry ─▶ Model ─▶ score_batch, reasons
//!                 (split by days,   (one model.json per version,
//!                  fit, evaluate)    checked when it is loaded)
//! ```
//!
//! Invariants:
//! - A [`Model`] is immutable and holds all that scoring needs; scoring reads no clock, no file and
//!   no random number.
//! - The score is a probability-like number in 0 to 1; higher means more like fraud. The same row
//!   gets the same score alone, in a batch, and in a batch of another size.
//! - The stored form is this crate's own. smartcore only fits: no file is written or read in its
//!   format.
//! - Time comes in through parameters. The registry is the only thing here that touches files.
//!
//! Not here: thresholds of a running pipeline, alerts, and who is told what; see the operators.

mod dataset;
mod error;
mod exact;
mod features;
mod forest;
mod logistic;
mod metrics;
mod model;
mod model_file;
mod protocol;
mod reasons;
mod registry;
mod report;
mod train;

pub use dataset::Columns;
pub use error::{ForestError, ModelFileError, RegistryError, ScoreError, TrainError};
pub use features::{FeatureKind, FeatureMatrix, FeatureSpec};
pub use forest::fit::ForestParameters;
pub use forest::{Forest, Tree};
pub use logistic::LogisticRegression;
pub use logistic::fit::LogisticParameters;
pub use metrics::{
    BestF1, CardPrecision, ThresholdRule, Thresholds, auc_roc, average_precision, best_f1,
    card_precision_top_k,
};
pub use model::{Metrics, Model, Predictor, Probe, Scored, Scorer, TrainingWindow};
pub use model_file::{FORMAT_VERSION, from_json, to_json};
pub use protocol::{Split, SplitRows, split_rows};
pub use reasons::Reason;
pub use registry::{Registry, Usable};
pub use report::report_table;
pub use train::{Algorithm, TrainOutcome, TrainSpec, train};
