//! A book from the changes of its loans, changelog and windows together: any order within the
//! lateness ends the same, what is taken back leaves no trace, repetitions change nothing.

use crate::world::{Dice, Workers, texts};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{Operator, StateDir};
use riskstream_engine::ids::Generation;
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec, DIFF};
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const STEP: i64 = 50;
const KEEP: i64 = 10_000;

/// Time, sequence, loan, lender, cents.
type Row = (i64, i64, i64, &'static str, i64);
type Book = BTreeMap<Vec<String>, Vec<String>>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("sequence", DataType::Int64, false),
        Field::new("loan", DataType::Int64, false),
        Field::new("lender", DataType::Utf8, false),
        Field::new("cents", DataType::Int64, false),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let integers = |of: fn(&Row) -> i64| {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let times = Arc::new(
        TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.0)).with_timezone("UTC"),
    );
    let lenders = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.3)));
    RecordBatch::try_new(
        schema(),
        vec![times, integers(|r| r.1), integers(|r| r.2), lenders, integers(|r| r.4)],
    )
    .unwrap()
}

fn changelog(dir: StateDir) -> ChangelogOperator {
    let spec = ChangelogSpec {
        step_id: "loans".into(),
        key: vec!["loan".into()],
        columns: vec!["lender".into(), "cents".into()],
        deleted: Some("cents < 0".into()),
        ever: Vec::new(),
        keep: KEEP,
        event_time: "time".into(),
        ties: vec!["sequence".into()],
        // So few that most are in files.
        memory_bytes: 2_000,
    };
    ChangelogOperator::new(spec, &schema(), dir).unwrap()
}

fn windows() -> WindowsOperator {
    let of = |name: &str, function, column: Option<&str>| AggregateSpec {
        name: name.into(),
        function,
        column: column.map(Into::into),
    };
    let spec = WindowsSpec {
        step_id: "book".into(),
        by: vec!["lender".into()],
        aggregates: vec![
            of("n", AggregateFunction::Count, None),
            of("cents", AggregateFunction::Sum, Some("cents")),
        ],
        windows: vec![WindowKind {
            label: "always".into(),
            extent: Extent::Always { step: Every::Micros(STEP) },
        }],
        publish: Publish::Changes,
        keep: KEEP,
        event_time: "time".into(),
    };
    let nowhere = StateDir { root: "unused".into(), generation: Generation(1), worker: 0 };
    WindowsOperator::new(spec, &changelog(nowhere).output_schema()).unwrap()
}

/// The book at every end that the last watermark has reached, lenders without loans left out.
fn book(epochs: &[Vec<Row>], watermarks: impl Fn(usize) -> i64, dice: &mut Dice) -> Book {
    let mut loans = Workers::new(|dir| Box::new(changelog(dir)), 1 + dice.below(4) as usize);
    let mut sums = Workers::new(|_| Box::new(windows()), 1 + dice.below(4) as usize);
    let mut said = Book::new();
    for (number, rows) in epochs.iter().enumerate() {
        let input = batch(rows);
        if dice.one_in(5) {
            loans.die(&input, 1 + dice.below(4) as usize);
            sums.restart(1 + dice.below(4) as usize);
        }
        let changes = loans.epoch(&input, watermarks(number), dice.one_in(4));
        let left = sums.epoch(&changes, watermarks(number), dice.one_in(4));
        assert!(changes.column_by_name(DIFF).is_some());
        said.extend(
            texts(&left, &["window_end", "lender"])
                .into_iter()
                .zip(texts(&left, &["n", "cents", "is_final"])),
        );
    }
    assert_eq!((loans.dead, sums.dead), (0, 0));
    said.retain(|_, row| row[2] == "true" && row[0] != "0");
    said
}

fn rows(dice: &mut Dice, count: i64) -> Vec<Row> {
    let lender = |dice: &mut Dice| ["A", "B", "C"][dice.below(3) as usize];
    // A loan in eight is closed, which is a balance below 0.
    (0..count)
        .map(|n| {
            (
                n * 7,
                n,
                dice.below(12),
                lender(dice),
                if dice.one_in(8) { -1 } else { dice.below(1_000_000) },
            )
        })
        .collect()
}

fn in_epochs(rows: &[Row], dice: &mut Dice) -> Vec<Vec<Row>> {
    let size = 1 + dice.below(40) as usize;
    rows.chunks(size).map(<[Row]>::to_vec).chain([Vec::new()]).collect()
}

#[test]
fn any_order_within_the_lateness_and_any_repetition_end_in_the_same_book() {
    for seed in 1..=40 {
        let mut dice = Dice::seed(seed);
        let rows = rows(&mut dice, 150);
        let end = 151 * 7;
        let in_order = book(
            &[rows.clone(), Vec::new()],
            |n| if n == 0 { i64::MIN } else { end },
            &mut Dice::seed(seed),
        );
        assert!(in_order.len() > 20);
        let mut shuffled = rows.clone();
        for _ in 0..dice.below(60) {
            shuffled.push(rows[dice.below(150) as usize]);
        }
        dice.shuffle(&mut shuffled);
        let epochs = in_epochs(&shuffled, &mut dice);
        let last = epochs.len() - 1;
        // The watermark runs ahead of most rows, which restate what was published.
        let found = book(
            &epochs,
            |n| if n == last { end } else { n as i64 * end / last as i64 },
            &mut dice,
        );
        let differ: Vec<_> = in_order
            .iter()
            .filter(|(k, v)| found.get(*k) != Some(*v))
            .map(|(k, v)| (k, v, found.get(k)))
            .collect();
        let more: Vec<_> = found.iter().filter(|(k, _)| !in_order.contains_key(*k)).collect();
        assert!(
            differ.is_empty() && more.is_empty(),
            "seed {seed}: {differ:?}; not there: {more:?}"
        );
    }
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    for seed in 1..=40 {
        let mut dice = Dice::seed(seed);
        let rows = rows(&mut dice, 80);
        let mut sums = Workers::new(|_| Box::new(windows()), 2);
        let mut loans = Workers::new(|dir| Box::new(changelog(dir)), 2);
        let mut said: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        let mut take = |left: &RecordBatch| {
            said.extend(
                texts(left, &["window_end", "lender"])
                    .into_iter()
                    .zip(texts(left, &["n", "cents", "is_final"])),
            );
            said.clone()
        };
        let before =
            take(&sums.epoch(&loans.epoch(&batch(&rows[..40]), 2_000, false), 2_000, false));
        // More changes, and the same taken back in another order.
        let more = loans.epoch(&batch(&rows[40..]), 2_000, dice.one_in(2));
        take(&sums.epoch(&more, 2_000, true));
        let mut back = more.columns().to_vec();
        let diff = more.schema().index_of(DIFF).unwrap();
        back[diff] = arrow::compute::kernels::numeric::neg(&back[diff]).unwrap();
        let back = RecordBatch::try_new(more.schema(), back).unwrap();
        let mut order: Vec<u32> = (0..back.num_rows() as u32).collect();
        dice.shuffle(&mut order);
        let back =
            arrow::compute::take_record_batch(&back, &arrow::array::UInt32Array::from(order))
                .unwrap();
        sums.restart(1 + dice.below(4) as usize);
        let after = take(&sums.epoch(&back, 2_000, false));
        let restored = |row: &Vec<String>| row[0] != "0";
        for (place, row) in after.iter().filter(|(_, row)| restored(row)) {
            assert_eq!(before.get(place), Some(row), "seed {seed}: {place:?}");
        }
        for (place, row) in before.iter().filter(|(_, row)| restored(row)) {
            assert_eq!(after.get(place), Some(row), "seed {seed}: {place:?}");
        }
    }
}
