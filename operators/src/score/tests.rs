use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::types::Float64Type;
use proptest::prelude::*;
use riskstream_engine::contract::Output;
use riskstream_models::Registry;

use super::samples::model;
use super::*;
use crate::testing::{Row, batch, run, schema, texts};

fn rows() -> RecordBatch {
    batch(&[
        Row { id: 1, amount: Some(1000), risk: Some(0.5), ..Row::default() },
        Row { id: 2, amount: Some(2000), risk: Some(1.0), ..Row::default() },
        Row { id: 3, ..Row::default() },
    ])
}

#[test]
fn a_score_and_the_models_version_are_added() {
    let cell = Arc::new(ModelCell::new(Arc::new(model(3, 0.0))));
    let step =
        ScoreOperator::new("score", vec![ScoreColumn::new("fraud_score", cell)], schema()).unwrap();
    let (out, dead) = run(step, rows());
    assert_eq!(dead.num_rows(), 0);
    let scores = out.column_by_name("fraud_score").unwrap().as_primitive::<Float64Type>();
    assert_eq!((scores.value(0), scores.value(2)), (0.5, 0.5));
    assert!((scores.value(1) - 1.0 / (1.0 + (-3f64).exp())).abs() < 1e-12);
    assert_eq!(texts(&out, "fraud_score_model"), ["fraud@3"; 3]);
}

#[test]
fn a_new_model_takes_over_at_its_epoch_on_every_worker() {
    let cell = Arc::new(ModelCell::new(Arc::new(model(1, 0.0))));
    let step = || {
        ScoreOperator::new("score", vec![ScoreColumn::new("s", Arc::clone(&cell))], schema())
            .unwrap()
    };
    let (mut slow, mut fast) = (step(), step());
    let tag = |step: &mut ScoreOperator, epoch: u64| {
        let mut out = Output::default();
        step.on_batch(Epoch(epoch), rows(), &mut out).unwrap();
        texts(&out.rows[0], "s_model")[0].clone()
    };
    assert_eq!(tag(&mut fast, 4), "fraud@1");
    cell.publish(Epoch(6), Arc::new(model(2, 1.0))).unwrap();
    assert_eq!(
        (tag(&mut fast, 5), tag(&mut fast, 6), tag(&mut fast, 7)),
        ("fraud@1".into(), "fraud@2".into(), "fraud@2".into())
    );
    // A worker that lags still gets the old model for the old epochs.
    assert_eq!((tag(&mut slow, 5), tag(&mut slow, 6)), ("fraud@1".into(), "fraud@2".into()));
    cell.prune(Epoch(4));
    assert_eq!((tag(&mut slow, 5), cell.all().len()), ("fraud@1".into(), 2));
    cell.prune(Epoch(5));
    assert_eq!((tag(&mut slow, 6), cell.all().len()), ("fraud@2".into(), 1));
    assert_eq!(cell.newest().version, 2);
}

#[test]
fn models_are_published_in_the_order_of_epochs() {
    let cell = ModelCell::new(Arc::new(model(1, 0.0)));
    cell.publish(Epoch(6), Arc::new(model(2, 0.0))).unwrap();
    let error = cell.publish(Epoch(5), Arc::new(model(3, 0.0))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "model fraud@3 would be in force from epoch 5, but another one is from epoch 6 on; publish \
         for a later epoch"
    );
    cell.publish(Epoch(6), Arc::new(model(4, 0.0))).unwrap();
    assert_eq!((cell.effective_at(Epoch(5)).version, cell.effective_at(Epoch(6)).version), (1, 4));
}

#[test]
fn a_model_whose_features_are_not_there_is_refused_with_each_of_them() {
    let mut other = model(2, 0.0);
    other.features[0].name = "amount_eur".to_owned();
    other.features[1].name = "customer".to_owned();
    let mismatch = check_features(&other, &schema()).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "model fraud@2 can't score the rows of this step: feature `amount_eur` is not a column \
         here; feature `customer` is Utf8, which is neither a number nor a boolean"
    );
    let cell = Arc::new(ModelCell::new(Arc::new(other)));
    assert!(matches!(
        ScoreOperator::new("score", vec![ScoreColumn::new("s", cell)], schema()),
        Err(StepError::Features(_))
    ));
}

#[test]
fn a_score_over_a_column_that_is_there_is_refused() {
    let cell = Arc::new(ModelCell::new(Arc::new(model(1, 0.0))));
    let error =
        ScoreOperator::new("score", vec![ScoreColumn::new("risk", Arc::clone(&cell))], schema())
            .unwrap_err();
    assert_eq!(error, StepError::ColumnExists { column: "risk".to_owned() });
    let error =
        ScoreOperator::new("score", vec![ScoreColumn::new("_late", cell)], schema()).unwrap_err();
    assert_eq!(error, StepError::SystemColumn { column: "_late".to_owned() });
}

#[test]
fn the_watch_takes_each_newer_model_once_and_tells_of_each_bad_one_once() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(folder.path());
    let mut watch = ModelWatch::new("fraud", schema(), 0);
    let nothing = watch.poll(&registry);
    assert!(nothing.model.is_none() && nothing.problems.is_empty());

    registry.register(&model(0, 0.0), "2026-01-01T00:00:00Z").unwrap();
    registry.register(&model(0, 1.0), "2026-01-01T00:00:00Z").unwrap();
    assert_eq!(watch.poll(&registry).model.map(|model| model.version), Some(2));
    assert!(watch.poll(&registry).model.is_none());

    let mut foreign = model(0, 0.0);
    foreign.features[0].name = "amount_eur".to_owned();
    registry.register(&model(0, 2.0), "2026-01-01T00:00:00Z").unwrap();
    registry.register(&foreign, "2026-01-01T00:00:00Z").unwrap();
    let found = watch.poll(&registry);
    assert_eq!((found.model.map(|model| model.version), found.problems.len()), (Some(3), 1));
    assert!(found.problems[0].to_string().contains("amount_eur"), "{}", found.problems[0]);
    let again = watch.poll(&registry);
    assert!(again.model.is_none() && again.problems.is_empty());

    std::fs::create_dir(folder.path().join("fraud/5")).unwrap();
    std::fs::write(folder.path().join("fraud/5/model.json"), b"{").unwrap();
    let found = watch.poll(&registry);
    assert!(found.model.is_none() && found.problems.len() == 1);
    assert!(watch.poll(&registry).problems.is_empty());
}

#[test]
fn repeated_text_is_an_ordinary_string_column() {
    for (text, rows) in [("fraud@1", 3), ("", 2), ("x", 0), ("", 0), ("ä", 4)] {
        let array = repeat(text, rows).unwrap();
        assert_eq!(array.as_string::<i32>(), &StringArray::from(vec![text; rows]));
    }
}

proptest! {
    /// The cell agrees with a plain list of publications, whatever is pruned.
    #[test]
    fn every_epoch_has_the_last_model_published_for_it(
        steps in prop::collection::vec((0u64..4, 0u64..6), 1..12),
    ) {
        let cell = ModelCell::new(Arc::new(model(1, 0.0)));
        let mut published = vec![(Epoch(0), 1)];
        let (mut from, mut done) = (Epoch(0), Epoch(0));
        for (version, (ahead, behind)) in (2u64..).zip(steps) {
            from = Epoch(from.0 + ahead);
            cell.publish(from, Arc::new(model(version, 0.0))).unwrap();
            published.push((from, version));
            done = done.max(Epoch(from.0.saturating_sub(behind)));
            cell.prune(done);
            for epoch in (done.0 + 1)..from.0 + 3 {
                let expected = published.iter().rfind(|(from, _)| from.0 <= epoch).unwrap().1;
                prop_assert_eq!(cell.effective_at(Epoch(epoch)).version, expected);
            }
        }
    }
}
