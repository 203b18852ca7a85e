//! Every record's row as of each period's end.

use crate::world::{Dice, Workers, texts};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_operators::changelog::DIFF;
use riskstream_operators::periods::Every;
use riskstream_operators::sample::{AS_OF, SampleOperator, SampleSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: i64 = 86_400_000_000;

/// Time, loan, balance, and how often it is added.
type Row = (i64, i64, i64, i64);
type Net = BTreeMap<Vec<String>, i64>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("loan", DataType::Int64, false),
        Field::new("balance", DataType::Int64, false),
        Field::new(DIFF, DataType::Int64, false),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let integers = |of: fn(&Row) -> i64| {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let times = Arc::new(
        TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.0)).with_timezone("UTC"),
    );
    RecordBatch::try_new(
        schema(),
        vec![times, integers(|r| r.1), integers(|r| r.2), integers(|r| r.3)],
    )
    .unwrap()
}

fn step(every: Every, workers: usize) -> Workers {
    // So little memory that most records are in files.
    let spec = SampleSpec {
        step_id: "nights".into(),
        by: vec!["loan".into()],
        every,
        event_time: "time".into(),
        memory_bytes: 1_000,
    };
    Workers::new(
        move |dir| Box::new(SampleOperator::new(spec.clone(), &schema(), dir).unwrap()),
        workers,
    )
}

fn count(rows: &RecordBatch, net: &mut Net) {
    for (row, diff) in
        texts(rows, &["loan", "balance", AS_OF]).into_iter().zip(texts(rows, &[DIFF]))
    {
        *net.entry(row).or_default() += diff[0].parse::<i64>().unwrap();
    }
    net.retain(|_, count| *count != 0);
}

fn expected(rows: &[Row], every: Every, watermark: i64) -> Net {
    let mut net = Net::new();
    for row in rows {
        let time = |time: i64| texts(&batch(&[(time, 0, 0, 1)]), &["time"])[0][0].clone();
        let mut instant = every.after(row.0);
        while instant <= watermark {
            *net.entry(vec![row.1.to_string(), row.2.to_string(), time(instant)]).or_default() +=
                row.3;
            instant = every.advance(instant, 1);
        }
    }
    net.retain(|_, count| *count != 0);
    net
}

#[test]
fn at_every_end_of_a_period_there_is_what_was_added_before_it_and_not_taken_back() {
    for seed in 1..=80 {
        let mut dice = Dice::seed(seed);
        let every = if dice.one_in(2) { Every::Months(1) } else { Every::Micros(7 * DAY) };
        let mut workers = step(every, 1 + dice.below(4) as usize);
        let (mut all, mut net): (Vec<Row>, Net) = (Vec::new(), Net::new());
        let (mut now, mut watermark) = (dice.below(4_000) * DAY, i64::MIN);
        for _ in 0..2 + dice.below(12) {
            let mut rows: Vec<Row> = Vec::new();
            for _ in 0..dice.below(12) {
                now += dice.below(6 * DAY);
                // Some exactly at a period's start, which its sample does not hold.
                let time = if dice.one_in(6) {
                    every.floor(now)
                } else {
                    now - if dice.one_in(3) { dice.below(60 * DAY) } else { 0 }
                };
                rows.push((time, dice.below(8), dice.below(3), 1));
                if dice.one_in(2) {
                    let taken = all
                        .iter()
                        .chain(&rows)
                        .nth(dice.below((all.len() + rows.len()) as i64) as usize)
                        .copied()
                        .unwrap();
                    rows.push((taken.0.max(now - 60 * DAY), taken.1, taken.2, -1));
                }
            }
            let input = batch(&rows);
            if dice.one_in(4) {
                workers.die(&input, 1 + dice.below(4) as usize);
            }
            watermark = watermark.max(now - 10 * DAY);
            count(&workers.epoch(&input, watermark, dice.one_in(4)), &mut net);
            all.extend(rows);
            let expected = expected(&all, every, watermark);
            assert!(net == expected, "seed {seed}: {net:?}\nexpected {expected:?}");
            if dice.one_in(3) {
                workers.restart(1 + dice.below(4) as usize);
            }
        }
    }
}
