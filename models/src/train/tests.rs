//! Training on generated payments: large amounts are frauds, with noise.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use chrono::NaiveDate;

use super::*;
use crate::features::FeatureKind;
use crate::protocol::DAY_MICROS;
use crate::report::report_table;

/// 21 days of 300 payments of 200 cards, in batches of 1,000 rows.
fn payments() -> Vec<RecordBatch> {
    let start = 18_000 * DAY_MICROS;
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut times, mut cards, mut amounts, mut counts, mut risks, mut labels) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for day in 0..21 {
        for payment in 0..300 {
            let amount: i64 = random.random_range(100..30_000);
            let risk: f64 = random.random();
            times.push(start + day * DAY_MICROS + payment * 280_000_000);
            cards.push(format!("card-{}", random.random_range(0..200)));
            amounts.push(Some(i128::from(amount)));
            counts.push((payment % 7 != 0).then(|| random.random_range(0..10)));
            risks.push(if payment % 50 == 0 { f64::NAN } else { risk });
            labels.push(
                (payment % 97 != 5).then_some(amount > 28_000 || (amount > 20_000 && risk > 0.9)),
            );
        }
    }
    let amounts = Decimal128Array::from(amounts).with_precision_and_scale(12, 2).unwrap();
    let all = RecordBatch::try_from_iter_with_nullable(vec![
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef,
            true,
        ),
        ("card", Arc::new(StringArray::from(cards)), true),
        ("amount", Arc::new(amounts), true),
        ("count", Arc::new(Int64Array::from(counts)), true),
        ("risk", Arc::new(Float64Array::from(risks)), true),
        ("fraud", Arc::new(BooleanArray::from(labels)), true),
    ])
    .unwrap();
    (0..all.num_rows())
        .step_by(1000)
        .map(|from| all.slice(from, 1000.min(all.num_rows() - from)))
        .collect()
}

fn spec(algorithm: Algorithm) -> TrainSpec {
    let text =
        |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    TrainSpec {
        name: "payments".to_owned(),
        algorithm,
        columns: Columns {
            event_time: "time".to_owned(),
            label: "fraud".to_owned(),
            key: "card".to_owned(),
            features: text(&["amount", "count", "risk"]),
        },
        split: Split {
            train_start: NaiveDate::default() + chrono::Days::new(18_000),
            train_days: 7,
            delay_days: 7,
            test_days: 7,
        },
        cards_per_day: 10,
        thresholds: ThresholdRule { reviews_per_day: 20.0, decline_precision: 0.8 },
    }
}

fn outcome(algorithm: Algorithm) -> TrainOutcome {
    train(&spec(algorithm), &payments(), &|| Duration::ZERO).unwrap()
}

fn small_forest() -> Algorithm {
    Algorithm::RandomForest(ForestParameters {
        trees: 20,
        depth_max: 6,
        ..ForestParameters::default()
    })
}

#[test]
fn both_algorithms_beat_the_random_baseline_and_say_what_they_were_trained_on() {
    for algorithm in [Algorithm::LogisticRegression(LogisticParameters::default()), small_forest()]
    {
        let outcome = outcome(algorithm);
        let (metrics, baseline) = (&outcome.model.metrics, &outcome.baseline);
        assert!(
            metrics.auc_roc > 0.95 && (0.3..0.7).contains(&baseline.auc_roc),
            "{metrics:?} {baseline:?}"
        );
        assert!(metrics.average_precision > 3.0 * baseline.average_precision);
        assert!(metrics.card_precision > baseline.card_precision);
        let trained_on = &outcome.model.trained_on;
        assert_eq!(
            (trained_on.train_from.as_str(), trained_on.train_to.as_str()),
            ("2019-04-14", "2019-04-21")
        );
        // 300 payments a day, of which those numbered 5, 102, 199 and 296 have no label.
        assert_eq!(trained_on.train_rows, 7 * 296);
        assert_eq!(trained_on.test_rows + outcome.blocked_rows, 7 * 296);
        assert_eq!(outcome.unusable_rows, 21 * 4);
        assert_eq!(outcome.model.features[0].kind, FeatureKind::Decimal);
        assert_eq!(outcome.model.probes.len(), PROBES);
        outcome.model.verify().unwrap();
    }
}

#[test]
fn training_twice_gives_the_same_model_whatever_the_batches() {
    let rows = payments();
    let small: Vec<RecordBatch> = rows
        .iter()
        .flat_map(|batch| [batch.slice(0, 37), batch.slice(37, batch.num_rows() - 37)])
        .collect();
    let spec = spec(small_forest());
    assert_eq!(
        train(&spec, &rows, &|| Duration::ZERO).unwrap(),
        train(&spec, &small, &|| Duration::ZERO).unwrap()
    );
}

#[test]
fn a_trained_model_scores_a_batch_as_row_by_row() {
    for algorithm in [Algorithm::LogisticRegression(LogisticParameters::default()), small_forest()]
    {
        let model = outcome(algorithm).model;
        let batch = &payments()[3];
        let scored = model.score_batch(batch).unwrap();
        assert!(
            scored.missing > 0
                && scored.score.values().iter().all(|score| (0.0..=1.0).contains(score))
        );
        for row in 0..batch.num_rows() {
            let alone = model.score_batch(&batch.slice(row, 1)).unwrap().score.value(0);
            assert_eq!(alone.to_bits(), scored.score.value(row).to_bits());
        }
    }
}

#[test]
fn the_stopwatch_times_the_fit() {
    let seconds = std::cell::Cell::new(0);
    let stopwatch = || {
        seconds.set(seconds.get() + 3);
        Duration::from_secs(seconds.get())
    };
    let spec = spec(Algorithm::LogisticRegression(LogisticParameters::default()));
    assert_eq!(train(&spec, &payments(), &stopwatch).unwrap().fit_time, Duration::from_secs(3));
}

#[test]
fn wrong_specifications_and_rows_are_named() {
    let rows = payments();
    let problem = |change: &dyn Fn(&mut TrainSpec)| {
        let mut spec = spec(Algorithm::LogisticRegression(LogisticParameters::default()));
        change(&mut spec);
        train(&spec, &rows, &|| Duration::ZERO).unwrap_err().to_string()
    };
    assert!(problem(&|spec| spec.columns.features.clear()).contains("no features"));
    assert!(
        problem(&|spec| spec.columns.features.push("amount".to_owned()))
            .contains("`amount` is named twice")
    );
    assert!(
        problem(&|spec| spec.columns.features.push("fraud".to_owned()))
            .contains("`fraud` is also a feature")
    );
    assert!(
        problem(&|spec| spec.columns.features.push("age".to_owned()))
            .contains("`age` is not in the training rows; they have time, card")
    );
    assert!(
        problem(&|spec| spec.columns.features.push("card".to_owned())).contains("`card` is Utf8")
    );
    assert!(
        problem(&|spec| spec.columns.event_time = "amount".to_owned())
            .contains("must be a timestamp")
    );
    assert!(
        problem(&|spec| (spec.columns.label, spec.columns.features) =
            ("count".to_owned(), vec!["risk".to_owned()]))
        .contains("neither 0 nor 1")
    );
    assert!(
        problem(&|spec| spec.split.train_start = NaiveDate::default())
            .contains("no labeled rows in the training window, 1970-01-01 to 1970-01-08")
    );
    assert!(problem(&|spec| spec.split.test_days = 0).contains("at least one day"));
    assert!(problem(&|spec| spec.cards_per_day = 0).contains("at least 1"));
}

#[test]
fn the_table_has_a_line_per_model_and_one_for_the_baseline() {
    let table = report_table(&[
        outcome(Algorithm::LogisticRegression(LogisticParameters::default())),
        outcome(small_forest()),
    ]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("logistic regression")), "{table}");
    assert!(lines.iter().any(|line| line.starts_with("random forest")), "{table}");
    assert!(lines.iter().any(|line| line.starts_with("random scores")), "{table}");
    assert_eq!(report_table(&[]), "no model was trained\n");
}
