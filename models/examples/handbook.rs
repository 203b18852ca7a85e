//! Trains both models by the protocol of the Fraud Detection Handbook and prints the table, and how
//! fast they score.
//!
//! ```text
//! cargo run --release -p riskstream-models --example handbook -- \
//!     TRANSACTIONS.parquet FEATURES.parquet
//! ```
//!
//! Both files have the same rows in the same order, each with a column `transaction_id`. The first
//! needs `tx_datetime`, `customer_id`, `tx_amount` and `tx_fraud`, the second the 14 features named
//! below: what `riskstream` computes from the first.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use arrow::array::types::Int64Type;
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_models::{
    Algorithm, Columns, ForestParameters, LogisticParameters, Model, Split, ThresholdRule,
    TrainSpec, report_table, train,
};

const FEATURES: [&str; 15] = [
    "tx_amount",
    "tx_during_weekend",
    "tx_during_night",
    "customer_id_nb_tx_1day_window",
    "customer_id_avg_amount_1day_window",
    "customer_id_nb_tx_7day_window",
    "customer_id_avg_amount_7day_window",
    "customer_id_nb_tx_30day_window",
    "customer_id_avg_amount_30day_window",
    "terminal_id_nb_tx_1day_window",
    "terminal_id_risk_1day_window",
    "terminal_id_nb_tx_7day_window",
    "terminal_id_risk_7day_window",
    "terminal_id_nb_tx_30day_window",
    "terminal_id_risk_30day_window",
];

/// Rows per batch when the speed of scoring is measured, about what a pipeline's epoch holds.
const SCORED_ROWS: usize = 8192;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ensure!(arguments.len() == 2, "usage: handbook TRANSACTIONS.parquet FEATURES.parquet");
    let rows = join(read(&arguments[0])?, read(&arguments[1])?)?;

    let started = Instant::now();
    let elapsed = || started.elapsed();
    let logistic = train(
        &spec(Algorithm::LogisticRegression(LogisticParameters::default())),
        &rows,
        &elapsed,
    )?;
    let forest =
        train(&spec(Algorithm::RandomForest(ForestParameters::default())), &rows, &elapsed)?;
    let models = [logistic.model.clone(), forest.model.clone()];
    print!("{}", report_table(&[logistic, forest]));

    println!();
    for model in &models {
        println!(
            "{}: {:.0} ns per row in batches of {SCORED_ROWS}",
            model.predictor.kind(),
            nanoseconds_per_row(model, &rows)?
        );
    }
    Ok(())
}

fn spec(algorithm: Algorithm) -> TrainSpec {
    TrainSpec {
        name: "fraud-card".to_owned(),
        algorithm,
        columns: Columns {
            event_time: "tx_datetime".to_owned(),
            label: "tx_fraud".to_owned(),
            key: "customer_id".to_owned(),
            features: FEATURES.map(str::to_owned).to_vec(),
        },
        split: Split {
            train_start: NaiveDate::from_ymd_opt(2018, 7, 25).expect("a date of the calendar"),
            train_days: 7,
            delay_days: 7,
            test_days: 7,
        },
        cards_per_day: 100,
        thresholds: ThresholdRule::default(),
    }
}

fn read(path: &str) -> anyhow::Result<RecordBatch> {
    let file = File::open(path).with_context(|| format!("opening {path}"))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = reader.schema().clone();
    let batches = reader.with_batch_size(1 << 16).build()?.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Puts the columns of both files side by side, after checking that their rows are the same.
fn join(transactions: RecordBatch, features: RecordBatch) -> anyhow::Result<Vec<RecordBatch>> {
    let id = |batch: &RecordBatch| {
        batch.column_by_name("transaction_id").cloned().context("no column transaction_id")
    };
    let (left, right) = (id(&transactions)?, id(&features)?);
    let same = left
        .as_primitive_opt::<Int64Type>()
        .zip(right.as_primitive_opt::<Int64Type>())
        .is_some_and(|(left, right)| left == right);
    ensure!(same, "the files differ in their transaction_id");
    let column = |name: &str| {
        let found = transactions.column_by_name(name).or_else(|| features.column_by_name(name));
        found
            .cloned()
            .map(|column| (name.to_owned(), column))
            .with_context(|| format!("no column {name} in either file"))
    };
    let names = ["tx_datetime", "customer_id", "tx_fraud"].into_iter().chain(FEATURES);
    let all = RecordBatch::try_from_iter(names.map(column).collect::<anyhow::Result<Vec<_>>>()?)?;
    Ok((0..all.num_rows())
        .step_by(SCORED_ROWS)
        .map(|from| all.slice(from, SCORED_ROWS.min(all.num_rows() - from)))
        .collect())
}

/// The best of three passes over up to 40 batches.
fn nanoseconds_per_row(model: &Model, rows: &[RecordBatch]) -> anyhow::Result<f64> {
    let batches = &rows[..rows.len().min(40)];
    let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        for batch in batches {
            model.score_batch(batch)?;
        }
        best = best.min(started.elapsed());
    }
    Ok(best.as_secs_f64() * 1e9 / count.max(1) as f64)
}
