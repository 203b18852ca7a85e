use arrow::compute::concat_batches;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::*;
use crate::testing::{Row, batch, run, schema, texts};

/// `SELECT * FROM rows WHERE condition` by DataFusion's own engine.
fn select(rows: &RecordBatch, condition: &str) -> RecordBatch {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_batch("rows", rows.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(async {
        context
            .sql(&format!("select * from rows where {condition}"))
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
    });
    concat_batches(&rows.schema(), &found).unwrap()
}

#[test]
fn only_true_keeps_a_row() {
    let rows = [
        Row { id: 1, count: Some(5), ..Row::default() },
        Row { id: 2, ..Row::default() },
        Row { id: 3, count: Some(1), ..Row::default() },
    ];
    let (out, dead) = run(FilterOperator::new("f", "count > 2", schema()).unwrap(), batch(&rows));
    assert_eq!((texts(&out, "id"), dead.num_rows()), (vec!["1".to_owned()], 0));
    let (out, _) =
        run(FilterOperator::new("f", "not (count > 2)", schema()).unwrap(), batch(&rows));
    assert_eq!(texts(&out, "id"), ["3"]);
    let (out, _) = run(FilterOperator::new("f", "true", schema()).unwrap(), batch(&rows));
    assert_eq!(out.num_rows(), 3);
    let (out, _) = run(FilterOperator::new("f", "null and true", schema()).unwrap(), batch(&rows));
    assert_eq!(out.num_rows(), 0);
}

#[test]
fn a_row_on_which_the_condition_fails_is_a_dead_letter() {
    let rows = [
        Row { id: 1, count: Some(5), ..Row::default() },
        Row { id: 2, count: Some(0), ..Row::default() },
        Row { id: 3, count: Some(50), ..Row::default() },
    ];
    let (out, dead) =
        run(FilterOperator::new("f", "100 / count > 10", schema()).unwrap(), batch(&rows));
    assert_eq!(
        (texts(&out, "id"), texts(&dead, "offset")),
        (vec!["1".to_owned()], vec!["101".to_owned()])
    );
}

#[test]
fn a_condition_must_be_true_or_false() {
    let error = FilterOperator::new("f", "count + 1", schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the expression is Int64, but a condition is needed: true, false or null; compare it with \
         something"
    );
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-300i64..300).prop_map(|cents| format!(
            "amount > {}.{:02}",
            cents / 100,
            cents.abs() % 100
        )),
        (-3i64..4).prop_map(|whole| format!("amount <= {whole}")),
        (-3i64..4).prop_map(|count| format!("count * 2 - 1 <> {count}")),
        (0i64..10).prop_map(|tenth| format!("risk >= 0.{tenth}")),
        (0i64..4).prop_map(|hour| format!("date_part('hour', tx_datetime) = {hour}")),
        (0i64..4).prop_map(|hour| format!("tx_datetime >= timestamp '1970-01-01 0{hour}:30:00'")),
        Just("customer like 'a%'".to_owned()),
        Just("customer in ('ab', 'b')".to_owned()),
        Just("coalesce(customer, 'none') = 'none'".to_owned()),
        Just("amount is null".to_owned()),
        Just("amount + cast(count as decimal(12,2)) between 0 and 2".to_owned()),
        Just("case when risk > 0.5 then count > 0 else customer = 'b' end".to_owned()),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop_oneof![Just("and"), Just("or")], inner, any::<bool>()).prop_map(
            |(left, op, right, negated)| {
                format!("{}({left} {op} {right})", if negated { "not " } else { "" })
            },
        )
    })
}

fn row() -> impl Strategy<Value = Row> {
    let customer = prop::option::of(prop::sample::select(vec!["a", "ab", "b", ""]));
    let amount = prop::option::weighted(0.8, -300i128..300);
    let count = prop::option::weighted(0.8, -3i64..4);
    let risk = prop::option::weighted(
        0.8,
        prop_oneof![(0i64..11).prop_map(|tenth| tenth as f64 / 10.0), Just(f64::NAN)],
    );
    (0i64..14_400_000_000, customer, amount, count, risk).prop_map(
        |(time, customer, amount, count, risk)| Row { id: 0, time, customer, amount, count, risk },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_filter_keeps_what_sql_where_keeps(
        rows in prop::collection::vec(row(), 1..60),
        condition in condition(),
    ) {
        let rows: Vec<Row> = (0..).zip(rows).map(|(id, row)| Row { id, ..row }).collect();
        let rows = batch(&rows);
        let (out, dead) =
            run(FilterOperator::new("f", &condition, schema()).unwrap(), rows.clone());
        prop_assert_eq!(dead.num_rows(), 0);
        prop_assert_eq!(
            texts(&out, "id"),
            texts(&select(&rows, &condition), "id"),
            "{}",
            condition
        );
    }
}
