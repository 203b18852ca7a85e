use arrow::array::AsArray;
use arrow::array::types::Decimal128Type;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::testing::{Row, batch, run, schema, texts};

fn derive_of(columns: &[(&str, &str)]) -> DeriveOperator {
    DeriveOperator::new("amounts", columns, schema()).unwrap()
}

#[test]
fn columns_are_added_in_order_and_see_the_ones_before() {
    let step = derive_of(&[
        ("double", "amount * 2"),
        ("is_large", "double > 100"),
        ("amount", "amount + 0.01"),
    ]);
    let names: Vec<String> =
        step.output_schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names[names.len() - 2..], ["double", "is_large"]);
    assert_eq!(names[3], "amount", "a replaced column stays where it was");
    let (out, dead) = run(
        step,
        batch(&[
            Row { amount: Some(4999), ..Row::default() },
            Row { amount: Some(5001), ..Row::default() },
            Row::default(),
        ]),
    );
    assert_eq!(dead.num_rows(), 0);
    assert_eq!(texts(&out, "double"), ["99.98", "100.02", "-"]);
    assert_eq!(texts(&out, "is_large"), ["false", "true", "-"]);
    assert_eq!(texts(&out, "amount"), ["50.00", "50.02", "-"]);
}

#[test]
fn a_row_that_fails_becomes_a_dead_letter_and_the_others_go_on() {
    let rows = [
        Row {
            id: 1,
            time: 5,
            count: Some(2),
            amount: Some(1250),
            customer: Some("a\n\"b"),
            ..Row::default()
        },
        Row {
            id: 2,
            time: 6,
            count: Some(0),
            amount: Some(1),
            customer: Some("c"),
            risk: Some(0.5),
        },
        Row { id: 3, time: 7, count: Some(5), ..Row::default() },
        Row { id: 4, time: 8, count: Some(0), ..Row::default() },
    ];
    let step = derive_of(&[("per", "100 / count")]).with_event_time("tx_datetime").unwrap();
    let (out, dead) = run(step, batch(&rows));
    assert_eq!(texts(&out, "id"), ["1", "3"]);
    assert_eq!(texts(&out, "per"), ["50", "20"]);
    assert_eq!(texts(&dead, "source"), ["amounts", "amounts"]);
    assert_eq!(texts(&dead, "partition"), ["7", "7"]);
    assert_eq!(texts(&dead, "offset"), ["101", "103"]);
    assert_eq!(texts(&dead, "reason"), ["compute", "compute"]);
    assert_eq!(texts(&dead, "detail"), ["per: Divide by zero error", "per: Divide by zero error"]);
    assert!(texts(&dead, "event_time")[0].starts_with("1970-01-01T00:00:00.000006"));
    let json: serde_json::Value =
        serde_json::from_slice(dead.column_by_name("bytes").unwrap().as_binary::<i32>().value(0))
            .unwrap();
    assert_eq!(
        (&json["id"], &json["customer"], &json["risk"]),
        (&2.into(), &"c".into(), &0.5.into())
    );
    assert_eq!(json.as_object().unwrap().len(), 6, "the user's columns only, nulls too: {json}");
}

#[test]
fn overflow_and_bad_casts_are_dead_letters_and_never_wrap() {
    let rows = [
        Row { count: Some(i64::MAX), customer: Some("12"), ..Row::default() },
        Row { count: Some(1), customer: Some("x"), ..Row::default() },
        Row { count: Some(1), customer: Some("12"), ..Row::default() },
    ];
    let (out, dead) = run(
        derive_of(&[("next", "count + 1"), ("number", "cast(customer as bigint)")]),
        batch(&rows),
    );
    assert_eq!(
        (texts(&out, "next"), texts(&out, "number")),
        (vec!["2".to_owned()], vec!["12".to_owned()])
    );
    let details = texts(&dead, "detail");
    assert!(details[0].starts_with("next: ") && details[0].contains("verflow"), "{details:?}");
    assert!(details[1].starts_with("number: ") && details[1].contains('x'), "{details:?}");
    let (out, dead) = run(derive_of(&[("number", "try_cast(customer as bigint)")]), batch(&rows));
    assert_eq!(
        (texts(&out, "number"), dead.num_rows()),
        (vec!["12".to_owned(), "-".to_owned(), "12".to_owned()], 0)
    );
}

#[test]
fn a_batch_in_which_every_row_fails_leaves_none() {
    let (out, dead) = run(
        derive_of(&[("x", "1 / (count - count)")]),
        batch(&vec![Row { count: Some(1), ..Row::default() }; 33]),
    );
    assert_eq!((out.num_rows(), dead.num_rows()), (0, 33));
}

#[test]
fn values_are_stored_as_types_that_tables_have() {
    let step = derive_of(&[
        ("at", "date_trunc('hour', tx_datetime)"),
        ("fixed", "timestamp '2018-04-01 00:00:31'"),
        ("day", "cast(tx_datetime as date)"),
        ("name", "upper(customer)"),
        ("part", "substr(customer, 2)"),
        ("small", "arrow_cast(count, 'UInt32')"),
        ("hour", "date_part('hour', tx_datetime)"),
    ]);
    let schema = step.output_schema();
    let types: Vec<DataType> =
        schema.fields().iter().skip(9).map(|field| field.data_type().clone()).collect();
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let expected = [
        time.clone(),
        time,
        DataType::Date32,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Int64,
        DataType::Int32,
    ];
    assert_eq!(types, expected);
    let (out, dead) = run(
        step,
        batch(&[Row {
            time: 3_600_000_000 * 5 + 1,
            customer: Some("äbc"),
            count: Some(9),
            ..Row::default()
        }]),
    );
    assert_eq!(dead.num_rows(), 0);
    let values: Vec<String> =
        schema.fields().iter().skip(9).flat_map(|field| texts(&out, field.name())).collect();
    assert_eq!(
        values,
        ["1970-01-01T05:00:00Z", "2018-04-01T00:00:31Z", "1970-01-01", "ÄBC", "bc", "9", "5"]
    );
}

#[test]
fn columns_that_can_not_be_are_refused_with_advice() {
    let refused = |name: &str, sql: &str| {
        DeriveOperator::new("s", &[("fine", "1"), (name, sql)], schema()).unwrap_err()
    };
    assert_eq!(refused("_late", "true"), StepError::SystemColumn { column: "_late".to_owned() });
    assert!(
        refused("x", "null").to_string().contains("cast(null as bigint)"),
        "{}",
        refused("x", "null")
    );
    assert!(
        refused("x", "tx_datetime - tx_datetime").to_string().contains("date_part('epoch', a)")
    );
    assert!(matches!(refused("x", "amont"), StepError::Expression { index: 1, .. }));
}

#[test]
fn a_time_beyond_the_calendar_is_a_dead_letter_without_bytes() {
    let rows = [
        Row { time: i64::MAX, count: Some(0), ..Row::default() },
        Row { time: 0, count: Some(0), ..Row::default() },
    ];
    let (out, dead) = run(derive_of(&[("x", "1 / count")]), batch(&rows));
    assert_eq!((out.num_rows(), dead.num_rows()), (0, 2));
    assert_eq!(texts(&dead, "offset"), ["100", "101"]);
}

proptest! {
    /// Exactly the rows with a zero die, in order, and the values of the others are right.
    #[test]
    fn the_rows_that_fail_are_isolated(
        counts in prop::collection::vec(prop::option::weighted(0.9, -3i64..4), 1..300),
    ) {
        let rows: Vec<Row> = (0..)
            .zip(&counts)
            .map(|(id, count)| Row {
                id,
                count: *count,
                amount: Some(i128::from(id)),
                ..Row::default()
            })
            .collect();
        let (out, dead) =
            run(derive_of(&[("per", "60 / count"), ("sum", "amount + amount")]), batch(&rows));
        let ids = out.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let per = out.column_by_name("per").unwrap().as_primitive::<Int64Type>();
        let sum = out.column_by_name("sum").unwrap().as_primitive::<Decimal128Type>();
        let good: Vec<(i64, Option<i64>)> = ids.values().iter().copied().zip(per.iter()).collect();
        let expected: Vec<(i64, Option<i64>)> = rows
            .iter()
            .filter(|row| row.count != Some(0))
            .map(|row| (row.id, row.count.map(|count| 60 / count)))
            .collect();
        prop_assert_eq!(good, expected);
        prop_assert!(
            ids.values().iter().zip(sum.values()).all(|(id, sum)| *sum == 2 * i128::from(*id))
        );
        let zeros: Vec<String> = rows
            .iter()
            .filter(|row| row.count == Some(0))
            .map(|row| (100 + row.id).to_string())
            .collect();
        prop_assert_eq!(texts(&dead, "offset"), zeros);
    }
}
