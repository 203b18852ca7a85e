//! `riskstream train`: fits a model to rows that a pipeline has served, compares it with chance,
//! and registers it.
//!
//! The protocol is the Fraud Detection Handbook's, see `riskstream_models::Split`: a week of
//! training, the days until a fraud is known, a week of test, and cards that were known to be
//! compromised left out of it.

mod rows;
mod split;

use std::io::Write;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use riskstream_models::{
    Columns, ForestParameters, LogisticParameters, Metrics, Registry, ThresholdRule, TrainError,
    TrainOutcome, TrainSpec, report_table,
};
use serde::Serialize;

use super::{CommandError, failed, load, print_json};
use crate::cli::{Algorithm, ConfigArgs, OutputFormat, TrainArgs};
use crate::plan::registry_location;
use rows::TrainingRows;

/// Cards that can be checked per day: the k of card precision, as in the Handbook.
const CARDS_PER_DAY: usize = 100;

#[derive(Serialize)]
struct Answer {
    model: String,
    version: u64,
    algorithm: &'static str,
    created_at: String,
    path: String,
    features: Vec<String>,
    threshold: f64,
    review: f64,
    decline: Option<f64>,
    outcomes: Vec<Outcome>,
}

#[derive(Serialize)]
struct Outcome {
    algorithm: &'static str,
    registered: bool,
    fit_seconds: f64,
    train: Window,
    test: Window,
    blocked_rows: usize,
    unusable_rows: usize,
    metrics: Measures,
    random: Measures,
}

/// Days `from` to `to`, the latter excluded.
#[derive(Serialize)]
struct Window {
    from: String,
    to: String,
    rows: usize,
    frauds: usize,
}

#[derive(Serialize)]
struct Measures {
    auc_roc: f64,
    average_precision: f64,
    card_precision: f64,
    card_precision_k: usize,
    f1: f64,
    precision: f64,
    recall: f64,
}

/// Trains, prints the comparison and registers.
///
/// # Errors
/// Rows, columns or days that are not there; a fit that fails; a registry that can't be written.
pub fn train(args: &TrainArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&ConfigArgs::from(&args.config))?;
    let registry = Registry::new(registry_location(&config));
    // A name that the registry would refuse is told before an hour of fitting, not after.
    registry
        .versions(&args.model)
        .map_err(|e| CommandError::Usage { message: e.to_string(), help: None })?;
    let rows = TrainingRows::open(args, &config)?;
    let columns = Columns {
        event_time: rows.time().to_owned(),
        label: args.label.clone(),
        key: args.key.clone(),
        features: rows.features(args, &config)?,
    };
    let split =
        split::split_days(args.train.as_deref(), args.test.as_deref(), args.delay, &mut || {
            rows.days()
        })?;
    let batches = rows.read(&columns, &split)?;
    let started = Instant::now();
    let mut outcomes = Vec::new();
    for algorithm in algorithms(args) {
        let spec = TrainSpec {
            name: args.model.clone(),
            algorithm,
            columns: columns.clone(),
            split,
            cards_per_day: CARDS_PER_DAY,
            thresholds: ThresholdRule::default(),
        };
        outcomes.push(
            riskstream_models::train(&spec, &batches, &|| started.elapsed())
                .map_err(train_failed)?,
        );
    }
    let best = best(&outcomes).ok_or_else(|| failed("nothing was trained"))?;
    let created_at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let registered = registry.register(&outcomes[best].model, &created_at).map_err(failed)?;
    let path = registry.folder().join(&registered.name).join(registered.version.to_string());
    match args.output.format {
        OutputFormat::Json => {
            let answer = Answer {
                model: registered.name,
                version: registered.version,
                algorithm: outcomes[best].algorithm,
                created_at,
                path: path.display().to_string(),
                features: columns.features,
                threshold: registered.threshold,
                review: registered.thresholds.review,
                decline: registered.thresholds.decline,
                outcomes: outcomes
                    .iter()
                    .enumerate()
                    .map(|(i, o)| Outcome::new(o, i == best))
                    .collect(),
            };
            print_json(&answer, out)
        }
        OutputFormat::Text => {
            write!(out, "{}", report_table(&outcomes))?;
            let algorithm = outcomes[best].algorithm;
            writeln!(
                out,
                "\nregistered: {}, version {} ({algorithm}) in {}",
                registered.name,
                registered.version,
                path.display()
            )?;
            Ok(())
        }
    }
}

fn algorithms(args: &TrainArgs) -> Vec<riskstream_models::Algorithm> {
    let logistic = riskstream_models::Algorithm::LogisticRegression(LogisticParameters::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let forest = riskstream_models::Algorithm::RandomForest(ForestParameters {
        seed: args.seed,
        threads,
        ..ForestParameters::default()
    });
    match args.algorithm {
        Algorithm::Logistic => vec![logistic],
        Algorithm::Forest => vec![forest],
        Algorithm::All => vec![logistic, forest],
    }
}

/// The outcome with the best average precision, which tells more than AUC where frauds are rare.
fn best(outcomes: &[TrainOutcome]) -> Option<usize> {
    let precision = |i: &usize| outcomes[*i].model.metrics.average_precision;
    (0..outcomes.len()).max_by(|a, b| precision(a).total_cmp(&precision(b)).then(b.cmp(a)))
}

/// Makes a usage error of what other arguments would put right.
fn train_failed(error: TrainError) -> CommandError {
    match error {
        TrainError::MissingColumn { .. }
        | TrainError::ColumnType { .. }
        | TrainError::Label { .. }
        | TrainError::EmptyWindow { .. }
        | TrainError::OneClass { .. }
        | TrainError::Spec { .. } => CommandError::Usage { message: error.to_string(), help: None },
        other @ (TrainError::Fit { .. }
        | TrainError::FittedForm { .. }
        | TrainError::Forest(_)
        | TrainError::Score(_)
        | TrainError::Arrow(_)) => failed(other),
    }
}

impl Outcome {
    fn new(outcome: &TrainOutcome, registered: bool) -> Self {
        let on = &outcome.model.trained_on;
        Self {
            algorithm: outcome.algorithm,
            registered,
            fit_seconds: outcome.fit_time.as_secs_f64(),
            train: Window {
                from: on.train_from.clone(),
                to: on.train_to.clone(),
                rows: on.train_rows,
                frauds: on.train_frauds,
            },
            test: Window {
                from: on.test_from.clone(),
                to: on.test_to.clone(),
                rows: on.test_rows,
                frauds: on.test_frauds,
            },
            blocked_rows: outcome.blocked_rows,
            unusable_rows: outcome.unusable_rows,
            metrics: Measures::new(&outcome.model.metrics),
            random: Measures::new(&outcome.baseline),
        }
    }
}

impl Measures {
    fn new(metrics: &Metrics) -> Self {
        Self {
            auc_roc: metrics.auc_roc,
            average_precision: metrics.average_precision,
            card_precision: metrics.card_precision,
            card_precision_k: metrics.card_precision_k,
            f1: metrics.f1,
            precision: metrics.precision,
            recall: metrics.recall,
        }
    }
}
