//! Each row beside the one before it.

use crate::world::{Dice, Workers, texts};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_operators::changelog::DIFF;
use riskstream_operators::previous::{PreviousOperator, PreviousSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEEP: i64 = 100;

/// Time, loan, status, and how often it is added.
type Row = (i64, i64, &'static str, i64);
/// Per row beside the one before, how often it was added less how often it was taken back.
type Net = BTreeMap<Vec<String>, i64>;

fn schema(is_of_changes: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("loan", DataType::Int64, false),
        Field::new("status", DataType::Utf8, false),
    ];
    fields.extend(is_of_changes.then(|| Field::new(DIFF, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

fn batch(rows: &[Row], is_of_changes: bool) -> RecordBatch {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.0))
                .with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2))),
    ];
    if is_of_changes {
        columns.push(Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.3))));
    }
    RecordBatch::try_new(schema(is_of_changes), columns).unwrap()
}

fn step(is_of_changes: bool, workers: usize) -> Workers {
    let spec = PreviousSpec {
        step_id: "before".into(),
        by: vec!["loan".into()],
        columns: vec![("from_status".into(), "status".into()), ("from_time".into(), "time".into())],
        keep: KEEP,
        event_time: "time".into(),
        ties: vec!["status".into()],
        // So few that most are in files.
        memory_bytes: 2_000,
    };
    Workers::new(
        move |dir| {
            Box::new(PreviousOperator::new(spec.clone(), &schema(is_of_changes), dir).unwrap())
        },
        workers,
    )
}

const COLUMNS: [&str; 5] = ["loan", "time", "status", "from_status", "from_time"];

fn count(rows: &RecordBatch, net: &mut Net) {
    for (row, diff) in texts(rows, &COLUMNS).into_iter().zip(texts(rows, &[DIFF])) {
        *net.entry(row).or_default() += diff[0].parse::<i64>().unwrap();
    }
    net.retain(|_, count| *count != 0);
}

fn expected(rows: &[Row]) -> Net {
    let mut there: BTreeMap<(i64, i64, &'static str), i64> = BTreeMap::new();
    rows.iter().for_each(|r| *there.entry((r.1, r.0, r.2)).or_default() += r.3);
    let there: Vec<Row> = there
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|((loan, time, s), _)| (time, loan, s, 1))
        .collect();
    let texts = texts(&batch(&there, false), &["loan", "time", "status"]);
    let mut net = Net::new();
    for (index, row) in texts.iter().enumerate() {
        let before =
            index.checked_sub(1).map(|before| &texts[before]).filter(|before| before[0] == row[0]);
        let shown = before.map_or_else(
            || ["-".to_owned(), "-".to_owned()],
            |before| [before[2].clone(), before[1].clone()],
        );
        net.insert(row.iter().cloned().chain(shown).collect(), 1);
    }
    net
}

#[test]
fn rows_stand_beside_the_rows_before_them_whatever_order_they_came_in() {
    for seed in 1..=120 {
        let mut dice = Dice::seed(seed);
        let is_of_changes = dice.one_in(2);
        let mut workers = step(is_of_changes, 1 + dice.below(4) as usize);
        let (mut all, mut net): (Vec<Row>, Net) = (Vec::new(), Net::new());
        let mut now = 1_000;
        for _ in 0..2 + dice.below(12) {
            let mut rows: Vec<Row> = Vec::new();
            for _ in 0..dice.below(25) {
                now += dice.below(8);
                let behind = if dice.one_in(3) { dice.below(KEEP / 2) } else { 0 };
                let row = (
                    now - behind,
                    dice.below(6),
                    ["CURRENT", "DPD30", "DPD60"][dice.below(3) as usize],
                    1,
                );
                rows.push(row);
                if dice.one_in(5) {
                    // A repetition.
                    rows.push(row);
                }
                if is_of_changes && dice.one_in(4) {
                    // Of what came lately, something is taken back.
                    let recent: Vec<Row> = all
                        .iter()
                        .chain(&rows)
                        .filter(|r| r.0 > now - KEEP / 2 && r.3 > 0)
                        .copied()
                        .collect();
                    let taken = recent[dice.below(recent.len() as i64) as usize];
                    let left: i64 = all
                        .iter()
                        .chain(&rows)
                        .filter(|r| (r.0, r.1, r.2) == (taken.0, taken.1, taken.2))
                        .map(|r| r.3)
                        .sum();
                    if left > 0 {
                        rows.push((taken.0, taken.1, taken.2, -1));
                    }
                }
            }
            let input = batch(&rows, is_of_changes);
            if dice.one_in(4) {
                workers.die(&input, 1 + dice.below(4) as usize);
            }
            count(&workers.epoch(&input, now - 20, dice.one_in(4)), &mut net);
            all.extend(rows);
            assert!(net == expected(&all), "seed {seed}: {net:?}\nexpected {:?}", expected(&all));
            if dice.one_in(3) {
                workers.restart(1 + dice.below(4) as usize);
            }
        }
        assert_eq!(workers.dead, 0, "seed {seed}");
    }
}

#[test]
fn a_row_older_than_what_is_kept_is_a_dead_letter() {
    let mut workers = step(false, 2);
    workers.epoch(&batch(&[(1_000, 1, "CURRENT", 1)], false), 1_000, false);
    let late = workers.epoch(&batch(&[(1_000 - KEEP, 1, "DPD30", 1)], false), 1_000, false);
    assert_eq!((late.num_rows(), workers.dead), (0, 1));
}
