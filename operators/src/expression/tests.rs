use arrow::array::AsArray;

use super::*;
use crate::testing::{Row, batch, schema, texts};

fn compile(sql: &str) -> CompiledExpression {
    CompiledExpression::compile(sql, &schema()).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn values(sql: &str, rows: &[Row]) -> Vec<String> {
    let array = compile(sql).evaluate(&batch(rows)).unwrap();
    texts(&RecordBatch::try_from_iter([("value", array)]).unwrap(), "value")
}

fn refused(sql: &str) -> (String, Option<String>) {
    let error = CompiledExpression::compile(sql, &schema()).unwrap_err();
    let place = error.at().map(|at| sql[at].to_owned());
    (error.to_string(), place)
}

fn one(row: Row) -> [Row; 1] {
    [row]
}

#[test]
fn decimals_are_exact() {
    let rows = one(Row { amount: Some(22_010), count: Some(3), ..Row::default() });
    assert_eq!(values("amount > 220.1", &rows), ["false"]);
    assert_eq!(values("amount = 220.10", &rows), ["true"]);
    assert_eq!(values("amount + 0.1 + 0.2", &rows), ["220.40"]);
    assert_eq!(values("amount * 1.1", &rows), ["242.110"]);
    assert_eq!(values("amount * count", &rows), ["660.30"]);
    assert_eq!(values("round(amount, 1)", &rows), ["220.1"]);
    assert!(matches!(compile("amount * 1.1").data_type(), DataType::Decimal128(..)));
}

#[test]
fn nulls_are_unknown_and_can_be_replaced() {
    let rows = [Row { risk: Some(0.25), ..Row::default() }, Row::default()];
    assert_eq!(values("risk > 0.2", &rows), ["true", "-"]);
    assert_eq!(values("coalesce(risk, 0.0)", &rows), ["0.25", "0.0"]);
    assert_eq!(values("coalesce(amount, 0)", &rows), ["0.00", "0.00"]);
    assert_eq!(values("risk is null or risk > 1", &rows), ["false", "true"]);
    assert_eq!(values("nullif(count, 0)", &rows), ["-", "-"]);
    assert!(!compile("coalesce(count, 0)").nullable() && compile("count").nullable());
    assert_eq!(compile("coalesce(risk, 0)").data_type(), &DataType::Float64);
}

#[test]
fn a_decimal_beside_a_float_becomes_the_nearest_float() {
    let rows = one(Row { amount: Some(30), risk: Some(0.3), ..Row::default() });
    for sql in [
        "risk = 0.3",
        "amount = risk",
        "risk between 0.3 and 0.30",
        "risk in (0.1, 0.3)",
        "risk * 2.0 = 0.6",
        "coalesce(risk, 0.5) = 0.3",
    ] {
        assert_eq!(values(sql, &rows), ["true"], "{sql}");
    }
    assert_eq!(values("case when risk > 0.2 then risk else 0.1 end", &rows), ["0.3"]);
    assert_eq!(
        compile("case when count > 1 then 0.5 else risk end").data_type(),
        &DataType::Float64
    );
    let extremes = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 1e-20, -0.0]
        .map(|risk| Row { risk: Some(risk), ..Row::default() });
    assert_eq!(values("risk > 0.0", &extremes), ["true", "true", "false", "true", "true", "false"]);
    assert_eq!(
        values("risk < 1.5 * 2", &extremes),
        ["false", "false", "true", "false", "true", "true"]
    );
}

#[test]
fn texts_times_and_casts_work() {
    let rows = one(Row {
        time: 1_522_540_831_000_000,
        customer: Some("Ann B"),
        count: Some(42),
        ..Row::default()
    });
    assert_eq!(values("lower(customer) || '!'", &rows), ["ann b!"]);
    assert_eq!(values("customer like 'Ann%'", &rows), ["true"]);
    assert_eq!(values("split_part(customer, ' ', 2)", &rows), ["B"]);
    assert_eq!(values("cast(count as varchar)", &rows), ["42"]);
    assert_eq!(compile("cast(count as varchar)").data_type(), &DataType::Utf8);
    assert_eq!(values("cast('12.345' as decimal(12,2))", &rows), ["12.35"]);
    assert_eq!(values("date_part('hour', tx_datetime)", &rows), ["0"]);
    assert_eq!(values("extract(dow from tx_datetime)", &rows), ["0"]);
    assert_eq!(values("tx_datetime >= timestamp '2018-04-01 00:00:31'", &rows), ["true"]);
    assert_eq!(values("tx_datetime < '2018-04-01T00:00:31Z'", &rows), ["false"]);
    assert_eq!(values("tx_datetime + interval '1 day' > timestamp '2018-04-02'", &rows), ["true"]);
    assert_eq!(values("case when count > 40 then 'many' else 'few' end", &rows), ["many"]);
}

#[test]
fn parts_of_a_time_are_those_of_utc() {
    let times = [
        0,
        -1,
        1_522_540_831_000_000,
        1_583_020_799_999_999,
        -62_135_596_800_000_000,
        253_402_300_799_999_999,
    ];
    let rows = times.map(|time| Row { time, ..Row::default() });
    assert_eq!(values("date_part('hour', tx_datetime)", &rows), ["0", "23", "0", "23", "0", "23"]);
    assert_eq!(values("date_part('day', tx_datetime)", &rows), ["1", "31", "1", "29", "1", "31"]);
    assert_eq!(
        values("extract(year from tx_datetime)", &rows),
        ["1970", "1969", "2018", "2020", "1", "9999"]
    );
    assert_eq!(values("date_part('epoch', tx_datetime)", &rows)[2], "1522540831.0");
    assert_eq!(
        values("cast(tx_datetime as date)", &rows)[1..4],
        ["1969-12-31", "2018-04-01", "2020-02-29"]
    );
    // DataFusion truncates times of 1677 to 2262 only; others fail on their row.
    let near = &rows[..4];
    assert!(compile("date_trunc('month', tx_datetime)").evaluate(&batch(&rows)).is_err());
    assert_eq!(
        values("date_trunc('hour', tx_datetime)", near)[1..3],
        ["1969-12-31T23:00:00", "2018-04-01T00:00:00"]
    );
    assert_eq!(
        values("date_trunc('day', tx_datetime) = tx_datetime", near)[..3],
        ["true", "false", "false"]
    );
    assert_eq!(
        values("date_trunc('month', tx_datetime) = timestamp '2020-02-01'", near)[3],
        "true"
    );
}

#[test]
fn a_constant_fills_the_whole_batch() {
    assert_eq!(values("1 + 1", &vec![Row::default(); 3]), ["2", "2", "2"]);
    assert_eq!(compile("'x'").evaluate(&batch(&[])).unwrap().len(), 0);
}

#[test]
fn a_condition_gives_truth_and_other_expressions_are_refused_as_one() {
    let rows = batch(&[Row { count: Some(1), ..Row::default() }, Row::default()]);
    let truth = compile("count = 1").evaluate_predicate(&rows).unwrap();
    assert!(truth.value(0) && truth.is_null(1));
    assert!(compile("count").evaluate_predicate(&rows).is_err());
    let error = Compiler::shared().compile_predicate("count", &schema()).unwrap_err();
    assert_eq!(error, ExpressionError::NotACondition { found: DataType::Int64 });
}

#[test]
fn columns_are_named_as_written_and_the_nearest_one_is_suggested() {
    let (message, place) = refused("amount > 1 and amont < 2");
    assert_eq!(message, "no column `amont` at this step; did you mean `amount`?");
    assert_eq!(place.as_deref(), Some("amont"));
    assert_eq!(refused("Amount > 1").0, "no column `Amount` at this step; did you mean `amount`?");
    assert_eq!(refused("'ä' = \"zzz\"").0, "no column `zzz` at this step");
    assert_eq!(refused("'ä' =\n  zzz").1.as_deref(), Some("zzz"));
    assert_eq!(values("\"amount\" is null", &one(Row::default())), ["true"]);
}

#[test]
fn functions_that_are_not_there_or_need_many_rows_are_named() {
    let (message, place) = refused("1 + coalesc(amount, 0)");
    assert_eq!(message, "no function `coalesc`; did you mean `coalesce`?");
    assert_eq!(place.as_deref(), Some("coalesc"));
    let (message, place) = refused("amount > avg(amount)");
    assert!(message.contains("`features` step"), "{message}");
    assert_eq!(place.as_deref(), Some("avg"));
    assert!(refused("row_number() over (order by id)").0.contains("`features` step"));
    assert!(refused("frobnicate(1)").0.starts_with("no function `frobnicate`"));
}

#[test]
fn what_would_differ_in_a_replay_is_refused() {
    for sql in [
        "now() > tx_datetime",
        "random() < 0.5",
        "uuid() = customer",
        "current_date > date '2020-01-01'",
        "coalesce(risk, random()) > 0",
    ] {
        let (message, place) = refused(sql);
        assert!(message.contains("a replay would give other rows"), "{sql}: {message}");
        assert!(place.is_some_and(|place| sql.contains(&place)), "{sql}");
    }
}

#[test]
fn text_that_is_no_expression_is_refused_with_its_place() {
    assert_eq!(refused("amount > > 2").1.as_deref(), Some(">"));
    let (message, place) = refused("amount >");
    assert!(
        message.starts_with("not an SQL expression: ") && !message.contains("Line"),
        "{message}"
    );
    assert_eq!(place.as_deref(), Some(""));
    for sql in [
        "",
        "  ",
        "amount >",
        "'open",
        "select 1",
        "amount; drop table x",
        "(amount",
        "amount)",
        "amount as x",
        "count in (select 1 from t)",
        "exists (select 1)",
        "1 +* 2",
        "\u{0}",
        "$1",
        "@x",
        "amount over",
        "t.amount > 1",
    ] {
        assert!(CompiledExpression::compile(sql, &schema()).is_err(), "{sql}");
    }
}

#[test]
fn types_that_do_not_go_together_are_refused_before_any_row() {
    for sql in [
        "amount > 'abc'",
        "customer + 1",
        "not amount",
        "abs(customer)",
        "tx_datetime > 5.5",
        "count and true",
        "1 / 0 > 0",
        "cast('x' as int) = 1",
        "upper()",
    ] {
        let (message, _) = refused(sql);
        assert!(
            !message.is_empty() && !message.contains('\n') && message.len() < 400,
            "{sql}: {message}"
        );
    }
}

#[test]
fn business_days_are_those_of_the_calendar_that_is_named() {
    let rows = one(Row { time: 1_720_051_200_000_000, ..Row::default() });
    for (sql, expected) in [
        // 2024-07-04, a Thursday.
        ("is_business_day(tx_datetime, 'us-fed')", "false"),
        ("is_business_day(tx_datetime, 'target')", "true"),
        ("next_business_day(tx_datetime, 'us-fed')", "2024-07-05"),
        ("next_business_day(tx_datetime, 'us-fed 2024-07-05')", "2024-07-08"),
        ("previous_business_day(tx_datetime, 'us-fed')", "2024-07-03"),
        ("business_days_between(tx_datetime, cast('2024-07-11' as date), 'us-fed')", "5"),
        ("business_days_between(cast('2024-07-11' as date), tx_datetime, 'us-fed')", "-5"),
        ("next_business_day(cast(null as date), 'weekends')", "-"),
        // Due on a holiday, so due on the Friday, and three days late on the Monday.
        (
            "days_past_due(next_business_day(tx_datetime, 'us-fed'), cast('2024-07-09' as date))",
            "3",
        ),
    ] {
        assert_eq!(values(sql, &rows), [expected], "{sql}");
    }
    assert!(refused("next_business_day(tx_datetime, 'nyse')").0.contains("`nyse` is no calendar"));
    assert!(refused("is_business_day(tx_datetime, customer)").0.contains("in quotes"));
    assert!(refused("is_business_day(amount, 'target')").0.contains("takes dates and times"));
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    for open in ["(", "not ", "-", "abs("] {
        let sql = format!(
            "{}count{}",
            open.repeat(20_000),
            ")".repeat(if open.ends_with('(') { 20_000 } else { 0 })
        );
        assert!(CompiledExpression::compile(&sql, &schema()).is_err());
    }
}

#[test]
fn overflow_is_an_error_even_in_the_middle() {
    let rows = batch(&[Row { count: Some(i64::MAX), ..Row::default() }]);
    for sql in ["count + 1", "(count * 2) / 2", "abs(count + 1)", "-2 - count"] {
        assert!(compile(sql).evaluate(&rows).is_err(), "{sql}");
    }
}

#[test]
fn an_expression_outlives_its_compiler_and_evaluates_slices() {
    let compiled = Compiler::new().compile("count + 1", &schema()).unwrap();
    let rows: Vec<Row> =
        (0..10).map(|count| Row { count: Some(count), ..Row::default() }).collect();
    let array = compiled.evaluate(&batch(&rows).slice(3, 2)).unwrap();
    assert_eq!(array.as_primitive::<arrow::datatypes::Int64Type>().values(), &[4, 5]);
}

#[test]
fn what_an_expression_gives_for_many_rows_is_what_it_gives_for_each() {
    let compiler = Compiler::new();
    let rows: Vec<Row> = (0..512)
        .map(|id| Row {
            id,
            amount: Some(i128::from(id)),
            risk: (id % 3 == 0).then_some(0.5),
            ..Row::default()
        })
        .collect();
    let rows = batch(&rows);
    for sql in [
        "amount > 220",
        "amount > 220.5",
        "coalesce(risk, 0.0)",
        "coalesce(risk, 0.0) > 0.3 and amount > 100",
        "date_part('hour', tx_datetime)",
        "extract(dow from tx_datetime) in (0, 6)",
        "date_part('hour', tx_datetime) <= 6",
        "date_trunc('day', tx_datetime)",
        "cast(tx_datetime as date)",
        "count + 1",
        "amount * 2",
        "case when risk > 0.5 then 1 else 0 end",
    ] {
        let compiled = compiler.compile(sql, &schema()).unwrap();
        let all = compiled.evaluate(&rows).unwrap();
        assert_eq!(all.len(), rows.num_rows(), "{sql}");
        for row in 0..rows.num_rows() {
            let one = compiled.evaluate(&rows.slice(row, 1)).unwrap();
            assert_eq!(one.to_data(), all.slice(row, 1).to_data(), "{sql}, row {row}");
        }
    }
}
