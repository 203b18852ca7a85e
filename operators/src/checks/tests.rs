use super::*;
use crate::testing::{Row, batch, run, schema, texts};

#[test]
fn a_row_that_can_not_be_is_a_dead_letter_with_the_first_check_that_it_fails() {
    let rows = [
        Row { id: 1, amount: Some(100), count: Some(1), ..Row::default() },
        Row { id: 2, amount: Some(-1), count: Some(-1), ..Row::default() },
        Row { id: 3, amount: None, count: None, ..Row::default() },
        Row { id: 4, amount: Some(100), count: Some(-1), ..Row::default() },
    ];
    let step = ChecksOperator::new("possible", &["amount >= 0", "count >= 0"], schema()).unwrap();
    let (out, dead) = run(step, batch(&rows));
    assert_eq!(texts(&out, "id"), ["1", "3"], "unknown passes");
    assert_eq!(texts(&dead, "offset"), ["101", "103"]);
    assert_eq!(texts(&dead, "reason"), ["impossible", "impossible"]);
    assert_eq!(texts(&dead, "detail"), ["not so: amount >= 0", "not so: count >= 0"]);
}

#[test]
fn a_check_that_fails_to_compute_says_so() {
    let rows = [
        Row { id: 1, count: Some(0), ..Row::default() },
        Row { id: 2, count: Some(200), ..Row::default() },
        Row { id: 3, count: Some(1), ..Row::default() },
    ];
    let (out, dead) =
        run(ChecksOperator::new("possible", &["100 / count > 0"], schema()).unwrap(), batch(&rows));
    assert_eq!(texts(&out, "id"), ["3"]);
    assert_eq!(texts(&dead, "reason"), ["compute", "impossible"]);
    assert_eq!(texts(&dead, "offset"), ["100", "101"]);
    assert_eq!(texts(&dead, "detail")[0], "100 / count > 0: Divide by zero error");
}

#[test]
fn a_check_must_be_a_condition() {
    let error = ChecksOperator::new("possible", &["count > 0", "amount"], schema()).unwrap_err();
    assert!(matches!(error, StepError::Expression { index: 1, .. }), "{error}");
}
