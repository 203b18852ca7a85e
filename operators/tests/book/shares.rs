//! Shares of groups of windows, which are said again when any row of the group changes.

use crate::world::{Dice, Workers, texts};
use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_operators::shares::{ShareFunction, ShareSpec, SharesOperator, SharesSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By the window's key and end: its count and its sum.
type Windows<'a> = BTreeMap<(&'a str, &'a str, &'a str, i64), (i64, Option<i64>)>;

const LENGTH: i64 = 10;
const KEEP: i64 = 50;

fn schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("lender", DataType::Utf8, true),
        Field::new("to", DataType::Utf8, true),
        Field::new("window", DataType::Utf8, false),
        Field::new("window_start", time(), true),
        Field::new("window_end", time(), false),
        Field::new("n", DataType::Int64, false),
        Field::new("cents", DataType::Int64, true),
        Field::new("revision", DataType::Int64, false),
        Field::new("is_final", DataType::Boolean, false),
        Field::new("complete_through", time(), true),
    ]))
}

/// Lender, status, window, its end, loans, cents.
type Row = (&'static str, &'static str, &'static str, i64, i64, Option<i64>);

fn batch(rows: &[Row], revision: i64, watermark: i64) -> RecordBatch {
    let times = |of: &dyn Fn(&Row) -> Option<i64>| {
        Arc::new(TimestampMicrosecondArray::from_iter(rows.iter().map(of)).with_timezone("UTC"))
            as ArrayRef
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2))),
        times(&|r| (r.2 != "always").then_some(r.3 - LENGTH)),
        times(&|r| Some(r.3)),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.4))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.5))),
        Arc::new(Int64Array::from(vec![revision; rows.len()])),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.3 <= watermark)))),
        times(&|_| Some(watermark)),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn spec() -> SharesSpec {
    let of = |name: &str, function, column: &str| ShareSpec {
        name: name.into(),
        function,
        column: column.into(),
    };
    SharesSpec {
        step_id: "rates".into(),
        shares: vec![
            of("share", ShareFunction::Share, "n"),
            of("of_cents", ShareFunction::Share, "cents"),
            of("all", ShareFunction::Total, "n"),
            of("hhi", ShareFunction::Hhi, "n"),
            of("top", ShareFunction::Top, "cents"),
        ],
        of: vec!["lender".into()],
        by: vec!["lender".into(), "to".into()],
        keep: KEEP,
    }
}

fn text(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:?}"))
}

#[test]
fn the_newest_rows_are_the_shares_of_the_newest_windows() {
    for seed in 1..=120 {
        let mut dice = Dice::seed(seed);
        let mut workers = Workers::new(
            |_| Box::new(SharesOperator::new(spec(), &schema()).unwrap()),
            1 + dice.below(4) as usize,
        );
        let mut windows: Windows<'_> = BTreeMap::new();
        let mut said: BTreeMap<Vec<String>, (i64, Vec<String>)> = BTreeMap::new();
        let mut watermark = 0;
        for epoch in 1..=2 + dice.below(14) {
            let before = watermark;
            watermark += dice.below(8);
            let mut rows: Windows<'_> = BTreeMap::new();
            for _ in 0..dice.below(10) {
                let end = (before / LENGTH + 1 - dice.below(4)) * LENGTH;
                let window = ["10s", "always"][dice.below(2) as usize];
                if end + KEEP <= before || (window == "always" && end > watermark) {
                    continue;
                }
                let place = (
                    ["A", "B", "C"][dice.below(3) as usize],
                    ["x", "y", "z"][dice.below(3) as usize],
                    window,
                    end,
                );
                rows.insert(
                    place,
                    (dice.below(5), (!dice.one_in(5)).then(|| dice.below(100) - 20)),
                );
            }
            let input: Vec<Row> =
                rows.iter().map(|(p, v)| (p.0, p.1, p.2, p.3, v.0, v.1)).collect();
            let input = batch(&input, epoch, watermark);
            if dice.one_in(4) {
                workers.die(&input, 1 + dice.below(4) as usize);
            }
            let left = workers.epoch(&input, watermark, dice.one_in(4));
            windows.extend(rows);
            for (place, row) in
                texts(&left, &["lender", "to", "window", "window_end"]).into_iter().zip(texts(
                    &left,
                    &["revision", "n", "cents", "share", "of_cents", "all", "hhi", "top"],
                ))
            {
                let old = said.insert(place, (row[0].parse().unwrap(), row[1..].to_vec()));
                assert!(old.is_none_or(|old| old.0 < epoch), "seed {seed}: said twice");
            }
            let ends = |end: i64| {
                texts(&batch(&[("A", "x", "10s", end, 0, None)], 0, 0), &["window_end"])[0][0]
                    .clone()
            };
            for (place, (n, cents)) in &windows {
                let group: Vec<(i64, Option<i64>)> = {
                    let group = windows.iter().filter(|(other, _)| {
                        (other.0, other.2, other.3) == (place.0, place.2, place.3)
                    });
                    group.map(|(_, v)| *v).collect()
                };
                let (all, total) = (
                    group.iter().map(|g| g.0).sum::<i64>(),
                    group.iter().filter_map(|g| g.1).sum::<i64>(),
                );
                let over =
                    |value: i64, total: i64| (total != 0).then(|| value as f64 / total as f64);
                let mut squares: Vec<f64> = group
                    .iter()
                    .filter_map(|g| over(g.0, all))
                    .map(|share| share.powi(2))
                    .collect();
                squares.sort_by(f64::total_cmp);
                let expected = vec![
                    n.to_string(),
                    cents.map_or_else(|| "-".into(), |c| c.to_string()),
                    text(over(*n, all)),
                    text(cents.and_then(|c| over(c, total))),
                    all.to_string(),
                    text((all != 0).then(|| squares.iter().sum())),
                    text(group.iter().filter_map(|g| g.1).max().and_then(|c| over(c, total))),
                ];
                let key =
                    vec![place.0.to_owned(), place.1.to_owned(), place.2.to_owned(), ends(place.3)];
                assert_eq!(
                    said.get(&key).map(|s| &s.1),
                    Some(&expected),
                    "seed {seed}, epoch {epoch}: {place:?} of {group:?}"
                );
            }
            assert_eq!(said.len(), windows.len(), "seed {seed}");
            if dice.one_in(3) {
                workers.restart(1 + dice.below(4) as usize);
            }
        }
    }
}

#[test]
fn open_windows_without_a_start_have_no_shares_yet() {
    let mut workers =
        Workers::new(|_| Box::new(SharesOperator::new(spec(), &schema()).unwrap()), 1);
    let rows = [("A", "x", "always", 20, 1, Some(1)), ("A", "x", "10s", 20, 1, Some(1))];
    let left = workers.epoch(&batch(&rows, 1, 15), 15, false);
    assert_eq!(texts(&left, &["window", "share", "is_final"]), [["10s", "1.0", "false"]]);
}

#[test]
fn groups_of_windows_that_passed_take_no_memory() {
    let mut workers =
        Workers::new(|_| Box::new(SharesOperator::new(spec(), &schema()).unwrap()), 2);
    let mut bytes = Vec::new();
    for epoch in 1..=400 {
        let end = epoch * LENGTH;
        let rows = [
            ("A", "x", "10s", end, 1, Some(1)),
            ("A", "y", "10s", end - LENGTH, 2, Some(5)),
            ("B", "x", "10s", end, 3, None),
        ];
        let left = workers.epoch(&batch(&rows, epoch, end - 5), end - 5, epoch % 8 == 0);
        let shares: Vec<Vec<String>> =
            texts(&left, &["to", "n", "share"]).into_iter().filter(|row| row[0] == "y").collect();
        assert_eq!(
            shares[0],
            ["y", "2", if epoch == 1 { "1.0" } else { "0.6666666666666666" }],
            "epoch {epoch}"
        );
        bytes.push(workers.state_bytes());
        if epoch % 50 == 49 {
            workers.restart(1 + epoch as usize % 3);
        }
    }
    let most = |bytes: &[usize]| bytes.iter().copied().max().unwrap();
    assert!(most(&bytes[300..]) <= most(&bytes[20..100]) * 11 / 10, "{bytes:?}");
}
