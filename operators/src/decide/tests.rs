use proptest::prelude::*;

use super::*;
use crate::score::samples::model;
use crate::testing::{Row, batch, run, schema, texts};

/// Rows whose `risk` is the score to decide on.
fn scored(scores: &[Option<f64>]) -> RecordBatch {
    let rows: Vec<Row> = scores
        .iter()
        .map(|score| Row { amount: Some(2000), risk: *score, ..Row::default() })
        .collect();
    batch(&rows)
}

fn decision(review: Option<f64>, decline: Option<f64>, reasons: usize) -> Decision {
    Decision { score: "risk".to_owned(), review, decline, reasons }
}

fn cell() -> Option<Arc<ModelCell>> {
    Some(Arc::new(ModelCell::new(Arc::new(model(1, 0.0)))))
}

fn decide(
    decision: Decision,
    models: Option<Arc<ModelCell>>,
    scores: &[Option<f64>],
) -> Vec<String> {
    texts(
        &run(DecideOperator::new("decide", decision, models, schema()).unwrap(), scored(scores)).0,
        DECISION,
    )
}

#[test]
fn thresholds_belong_to_the_stricter_side() {
    let below = |cut: f64| Some(cut.next_down());
    let scores = [Some(0.0), below(0.3), Some(0.3), below(0.8), Some(0.8), Some(1.0)];
    let expected = ["approve", "approve", "review", "review", "decline", "decline"];
    assert_eq!(decide(decision(Some(0.3), Some(0.8), 0), None, &scores), expected);
}

#[test]
fn a_row_without_a_score_is_reviewed_and_says_so() {
    let step =
        DecideOperator::new("decide", decision(Some(0.5), Some(0.9), 2), cell(), schema()).unwrap();
    let (out, _) = run(
        step,
        scored(&[None, Some(f64::NAN), Some(0.1), Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
    );
    assert_eq!(texts(&out, DECISION), ["review", "review", "approve", "decline", "approve"]);
    let reasons = texts(&out, REASONS);
    assert_eq!(
        (reasons[0].as_str(), reasons[1].as_str(), reasons[2].as_str()),
        (SCORE_MISSING, SCORE_MISSING, "-")
    );
}

#[test]
fn equal_thresholds_leave_nothing_to_review_and_no_decline_threshold_declines_nothing() {
    assert_eq!(
        decide(decision(Some(0.5), Some(0.5), 0), None, &[Some(0.4), Some(0.5)]),
        ["approve", "decline"]
    );
    assert_eq!(
        decide(decision(Some(0.5), None, 0), cell(), &[Some(0.4), Some(1.0)]),
        ["approve", "review"]
    );
    assert_eq!(decide(decision(Some(0.0), None, 0), None, &[Some(0.0)]), ["review"]);
}

#[test]
fn thresholds_that_are_not_given_are_the_models_own_and_follow_a_new_model() {
    let scores = [Some(0.4), Some(0.5), Some(0.89), Some(0.9)];
    assert_eq!(
        decide(decision(None, None, 0), cell(), &scores),
        ["approve", "review", "review", "decline"]
    );
    // A configured decline threshold below the model's review threshold wins.
    assert_eq!(
        decide(decision(None, Some(0.45), 0), cell(), &scores),
        ["approve", "decline", "decline", "decline"]
    );

    let models = cell().unwrap();
    let mut newer = model(2, 0.0);
    newer.thresholds.review = 0.2;
    newer.thresholds.decline = None;
    models.publish(Epoch(1), Arc::new(newer)).unwrap();
    assert_eq!(decide(decision(None, None, 0), Some(models), &scores), ["review"; 4]);
}

#[test]
fn reasons_name_the_features_that_pushed_the_score_up() {
    let step =
        DecideOperator::new("decide", decision(Some(0.6), None, 2), cell(), schema()).unwrap();
    let (out, _) = run(step, scored(&[Some(0.1), Some(1.0), Some(0.75)]));
    let reasons = texts(&out, REASONS);
    assert_eq!(reasons[0], "-");
    assert_eq!(
        reasons[1],
        concat!(
            r#"[{"feature":"amount","value":20.0,"baseline":10.0,"contribution":2.0},"#,
            r#"{"feature":"risk","value":1.0,"baseline":0.5,"contribution":1.0}]"#
        )
    );
    let parsed: serde_json::Value = serde_json::from_str(&reasons[2]).unwrap();
    assert_eq!(parsed[1]["contribution"], 0.5);
    let step =
        DecideOperator::new("decide", decision(Some(0.6), None, 1), cell(), schema()).unwrap();
    let (out, _) = run(step, scored(&[Some(1.0)]));
    assert_eq!(
        serde_json::from_str::<Vec<serde_json::Value>>(&texts(&out, REASONS)[0]).unwrap().len(),
        1
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |decision: Decision, models| {
        DecideOperator::new("decide", decision, models, schema()).unwrap_err().to_string()
    };
    assert_eq!(
        refused(decision(Some(0.8), Some(0.3), 0), None),
        "`decline` (0.3) is below `review` (0.8), so nothing would be reviewed; swap them"
    );
    assert_eq!(
        refused(decision(Some(1.5), None, 0), None),
        "`review` is 1.5, but a score is between 0 and 1"
    );
    assert!(refused(decision(Some(f64::NAN), None, 0), None).contains("NaN"));
    assert!(refused(decision(None, None, 0), None).contains("set `review`"));
    assert!(refused(decision(Some(0.5), None, 3), None).contains("set `reasons = 0`"));
    let unknown = Decision { score: "risc".to_owned(), ..decision(Some(0.5), None, 0) };
    assert_eq!(refused(unknown, None), "no column `risc` at this step; did you mean `risk`?");
    let text = Decision { score: "customer".to_owned(), ..decision(Some(0.5), None, 0) };
    assert!(refused(text, None).contains("Utf8"));
}

#[test]
fn reasons_are_given_for_the_rows_that_are_stopped_and_for_no_other() {
    for every in [usize::MAX, 100, 1] {
        let scores: Vec<Option<f64>> =
            (1..=8192).map(|row| Some(if row % every == 0 { 0.95 } else { 0.1 })).collect();
        let step =
            DecideOperator::new("decide", decision(Some(0.5), None, 3), cell(), schema()).unwrap();
        let decided = step.decide(Epoch(1), &scored(&scores)).unwrap();
        let (decisions, reasons) = (
            decided.column_by_name("decision").unwrap(),
            decided.column_by_name("reasons").unwrap(),
        );
        for (row, score) in scores.iter().enumerate() {
            let is_stopped = *score == Some(0.95);
            assert_eq!(
                decisions.as_string::<i32>().value(row) != APPROVE,
                is_stopped,
                "row {row}, every {every}"
            );
            assert_eq!(reasons.is_valid(row), is_stopped, "row {row}, every {every}");
        }
    }
}

proptest! {
    #[test]
    fn every_row_gets_the_decision_of_its_own_score(
        scores in prop::collection::vec(prop::option::weighted(0.9, 0.0f64..1.0), 0..200),
        cuts in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let (review, decline) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
        let got = decide(decision(Some(review), Some(decline), 0), None, &scores);
        let expected: Vec<&str> = scores.iter().map(|score| match score {
            Some(score) if *score >= decline => DECLINE,
            Some(score) if *score < review => APPROVE,
            _ => REVIEW,
        }).collect();
        prop_assert_eq!(got, expected);
    }
}
