//! Identities that do not hold are named, with their numbers.

use crate::world::texts;
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use riskstream_engine::contract::{Operator, Output};
use riskstream_engine::ids::Epoch;
use riskstream_operators::identities::{BROKEN, BROKEN_VALUES};
use riskstream_operators::{IdentitiesOperator, Stateless, StepError};
use std::sync::Arc;

fn rows() -> RecordBatch {
    let column = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        ("n_open", column(vec![Some(3), Some(3), Some(3), Some(i64::MAX)]), true),
        ("n_current", column(vec![Some(2), Some(2), None, Some(1)]), true),
        ("n_late", column(vec![Some(1), Some(2), Some(9), Some(1)]), true),
    ])
    .unwrap()
}

fn identities(list: &[(&str, &str)]) -> Result<IdentitiesOperator, StepError> {
    let list: Vec<(String, String)> =
        list.iter().map(|(id, sql)| ((*id).into(), (*sql).into())).collect();
    IdentitiesOperator::new("rules", &list, &rows().schema())
}

#[test]
fn a_row_for_which_an_identity_does_not_hold_goes_on_and_says_which_and_with_which_numbers() {
    let step = identities(&[
        ("book-is-its-buckets", "n_open = n_current + n_late"),
        ("few-late", "n_open + 1 > n_late + 1"),
    ])
    .unwrap();
    let mut operator = step.into_operator();
    let mut out = Output::default();
    operator.on_batch(Epoch(1), rows(), &mut out).unwrap();
    let said: Vec<Vec<String>> =
        out.rows.iter().flat_map(|rows| texts(rows, &["n_late", BROKEN, BROKEN_VALUES])).collect();
    let expected = [
        ["1", "-", "-"],
        ["2", "book-is-its-buckets", "book-is-its-buckets: n_current = 2, n_late = 2, n_open = 3"],
        // Not known whether the first holds.
        ["9", "few-late", "few-late: n_late = 9, n_open = 3"],
    ];
    assert_eq!(said, expected);
    assert_eq!(
        out.dead.iter().map(RecordBatch::num_rows).sum::<usize>(),
        1,
        "one that overflows is a dead letter"
    );
}

#[test]
fn what_is_no_condition_is_refused() {
    assert!(matches!(
        identities(&[("a", "n_open = 1"), ("b", "n_open + 1")]),
        Err(StepError::Expression { index: 1, .. })
    ));
}
