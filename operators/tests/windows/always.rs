//! Windows without a start over changes: at every step each key's totals are the sums of all its
//! changes before it.

use crate::MINUTE;
use crate::world::Dice;
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState, StateBatch};
use riskstream_engine::ids::{Epoch, EventTime, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_operators::changelog::DIFF;
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const STEP: i64 = 10 * MINUTE;
const KEEP: i64 = 40 * MINUTE;

/// A change: when, whose, how much, added or taken back.
type Change = (i64, &'static str, Option<i64>, i64);
/// Rows, values, sum, and whether it is final, of a key at an end.
type Said = BTreeMap<(i64, String), (i64, i64, Option<i64>, bool, i64)>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("lender", DataType::Utf8, false),
        Field::new("amount", DataType::Int64, true),
        Field::new(DIFF, DataType::Int64, false),
    ]))
}

fn batch(changes: &[Change]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(changes.iter().map(|c| c.0))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(changes.iter().map(|c| c.1))),
        Arc::new(Int64Array::from_iter(changes.iter().map(|c| c.2))),
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|c| c.3))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn spec(publish: Publish, function: AggregateFunction) -> WindowsSpec {
    let of = |name: &str, function, column: Option<&str>| AggregateSpec {
        name: name.into(),
        function,
        column: column.map(Into::into),
    };
    WindowsSpec {
        step_id: "book".into(),
        by: vec!["lender".into()],
        aggregates: vec![
            of("n", AggregateFunction::Count, None),
            of("n_amount", AggregateFunction::Count, Some("amount")),
            of("total", function, Some("amount")),
        ],
        windows: vec![WindowKind {
            label: "always by 10m".into(),
            extent: Extent::Always { step: Every::Micros(STEP) },
        }],
        publish,
        keep: KEEP,
        event_time: "time".into(),
    }
}

fn start(publish: Publish, saved: &SavedState, workers: usize) -> Vec<WindowsOperator> {
    let operator = |worker| {
        let mut operator =
            WindowsOperator::new(spec(publish, AggregateFunction::Sum), &schema()).unwrap();
        if !saved.is_empty() {
            operator.restore(saved, worker, Ownership::new(workers)).unwrap();
        }
        operator
    };
    (0..workers).map(operator).collect()
}

fn take(rows: &RecordBatch, said: &mut Said) {
    let column = |name: &str| rows.column_by_name(name).unwrap();
    let ends = column("window_end").as_primitive::<TimestampMicrosecondType>();
    let (ns, values) =
        (column("n").as_primitive::<Int64Type>(), column("n_amount").as_primitive::<Int64Type>());
    let (totals, revisions) = (
        column("total").as_primitive::<Int64Type>(),
        column("revision").as_primitive::<Int64Type>(),
    );
    assert_eq!(column("window_start").null_count(), rows.num_rows());
    for row in 0..rows.num_rows() {
        let total = totals.is_valid(row).then(|| totals.value(row));
        let is_final = column("is_final").as_boolean().value(row);
        let place = (ends.value(row), column("lender").as_string::<i32>().value(row).to_owned());
        let old = said.insert(
            place,
            (ns.value(row), values.value(row), total, is_final, revisions.value(row)),
        );
        assert!(old.is_none_or(|old| old.4 < revisions.value(row)), "published twice in an epoch");
    }
}

/// Holds what was said against all changes: every end that the watermark has reached, and the open
/// one.
fn check(changes: &[Change], said: &Said, watermark: i64, open: Option<i64>) -> Result<(), String> {
    let first = changes.iter().map(|c| c.0.div_euclid(STEP) * STEP).min().unwrap_or(i64::MAX);
    let last = watermark.div_euclid(STEP) * STEP;
    let mut end = first.saturating_add(STEP);
    while end <= last || Some(end) == open {
        for lender in ["A", "B", "C"] {
            let of: Vec<&Change> = changes.iter().filter(|c| c.1 == lender && c.0 < end).collect();
            let values = of.iter().filter(|c| c.2.is_some()).map(|c| c.3).sum::<i64>();
            let total = of.iter().filter_map(|c| c.2.map(|amount| amount * c.3)).sum::<i64>();
            let expected = (!of.is_empty()).then(|| {
                (
                    of.iter().map(|c| c.3).sum(),
                    values,
                    (values > 0).then_some(total),
                    end <= watermark,
                )
            });
            let found = said.get(&(end, lender.to_owned())).map(|s| (s.0, s.1, s.2, s.3));
            if expected != found {
                return Err(format!(
                    "{lender} as of {}: {expected:?} expected, said {found:?}",
                    end / MINUTE
                ));
            }
        }
        end += STEP;
    }
    Ok(())
}

#[test]
fn as_of_every_step_the_totals_are_those_of_all_changes_before() {
    for seed in 1..=150 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15).wrapping_add(9));
        let publish = if dice.one_in(2) { Publish::Changes } else { Publish::Final };
        let (mut saved, mut said) = (SavedState::default(), Said::new());
        let mut operators = start(publish, &saved, 1 + dice.below(4) as usize);
        let (mut now, mut watermark) = (dice.below(500) * MINUTE, i64::MIN);
        let mut all: Vec<Change> = Vec::new();
        let epochs = 2 + dice.below(12) as u64;
        for epoch in 1..=epochs {
            let last = epoch == epochs;
            let mut changes: Vec<Change> = Vec::new();
            for _ in 0..dice.below(20) {
                now += dice.below(2 * MINUTE);
                let behind = if dice.one_in(3) { dice.below(KEEP) } else { 0 };
                let amount = (!dice.one_in(6)).then(|| dice.below(100));
                // Values are taken back no more often than they were added, as in a changelog.
                changes.push((now - behind, ["A", "B", "C"][dice.below(3) as usize], amount, 1));
                if dice.one_in(3) {
                    changes.push((now - behind / 2, changes[changes.len() - 1].1, amount, -1));
                }
            }
            let newest = all
                .iter()
                .chain(&changes)
                .map(|c| c.0)
                .max()
                .into_iter()
                .chain([watermark])
                .max()
                .unwrap_or(i64::MIN);
            let next = watermark.max(if last { newest } else { now - 3 * MINUTE });
            let close = EpochClose {
                epoch: Epoch(epoch),
                watermark: EventTime(next),
                watermark_before: EventTime(watermark),
                snapshot: dice.one_in(3),
                last,
            };
            let rows = batch(&changes);
            let mut hashes = Vec::new();
            hash_keys(&[rows.column(1).clone()], HASH_SEED, &mut hashes).unwrap();
            let ownership = Ownership::new(operators.len());
            let (mut kept, mut whole): (Vec<StateBatch>, Vec<StateBatch>) =
                (Vec::new(), Vec::new());
            for (worker, operator) in operators.iter_mut().enumerate() {
                let own = hashes
                    .iter()
                    .enumerate()
                    .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
                let own = UInt32Array::from_iter_values(own.map(|(row, _)| row as u32));
                let mut out = Output::default();
                operator
                    .on_batch(close.epoch, take_record_batch(&rows, &own).unwrap(), &mut out)
                    .unwrap();
                operator.on_close(&close, &mut out).unwrap();
                kept.extend(operator.changes(&close).unwrap());
                if close.snapshot {
                    whole.extend(operator.snapshot(&close).unwrap());
                }
                assert!(out.dead.is_empty(), "seed {seed}");
                out.rows.iter().for_each(|rows| take(rows, &mut said));
            }
            saved.changes.push((close.epoch, kept));
            if close.snapshot {
                saved = SavedState { snapshot: Some((close.epoch, whole)), changes: Vec::new() };
            }
            all.extend(changes);
            watermark = next;
            let open =
                last.then(|| watermark.div_euclid(STEP) * STEP + STEP).filter(|_| !all.is_empty());
            check(&all, &said, watermark, open)
                .unwrap_or_else(|e| panic!("seed {seed}, epoch {epoch}: {e}"));
            if dice.one_in(3) {
                operators = start(publish, &saved, 1 + dice.below(4) as usize);
            }
        }
    }
}

#[test]
fn the_smallest_of_rows_that_are_taken_back_is_refused() {
    let error =
        WindowsOperator::new(spec(Publish::Final, AggregateFunction::Min), &schema()).unwrap_err();
    assert!(error.to_string().contains("taken back"), "{error}");
}

#[test]
fn as_of_every_step_the_smallest_and_largest_are_those_of_all_rows_before_late_ones_too() {
    let columns = |batch: RecordBatch| batch.project(&[0, 1, 2]).unwrap();
    let input = columns(batch(&[])).schema();
    for seed in 1..=100 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15).wrapping_add(31));
        let publish = if dice.one_in(2) { Publish::Changes } else { Publish::Final };
        let function = if dice.one_in(2) { AggregateFunction::Min } else { AggregateFunction::Max };
        let start = |saved: &SavedState| {
            let mut operator = WindowsOperator::new(spec(publish, function), &input).unwrap();
            if !saved.is_empty() {
                operator.restore(saved, 0, Ownership::new(1)).unwrap();
            }
            operator
        };
        let (mut saved, mut said) = (SavedState::default(), Said::new());
        let mut operator = start(&saved);
        let (mut now, mut watermark, mut all) =
            (dice.below(500) * MINUTE, i64::MIN, Vec::<Change>::new());
        for epoch in 1..=25 {
            let mut rows: Vec<Change> = Vec::new();
            for _ in 0..dice.below(8) {
                now += dice.below(3 * MINUTE);
                let behind = if dice.one_in(3) { dice.below(KEEP) } else { 0 };
                rows.push((
                    now - behind,
                    ["A", "B", "C"][dice.below(3) as usize],
                    (!dice.one_in(6)).then(|| dice.below(1_000)),
                    1,
                ));
            }
            let next = watermark.max(now - 3 * MINUTE);
            let close = EpochClose {
                epoch: Epoch(epoch),
                watermark: EventTime(next),
                watermark_before: EventTime(watermark),
                snapshot: dice.one_in(4),
                last: false,
            };
            let mut out = Output::default();
            operator.on_batch(close.epoch, columns(batch(&rows)), &mut out).unwrap();
            operator.on_close(&close, &mut out).unwrap();
            let changes = operator.changes(&close).unwrap();
            saved.changes.push((close.epoch, changes));
            if close.snapshot {
                saved = SavedState {
                    snapshot: Some((close.epoch, operator.snapshot(&close).unwrap())),
                    changes: Vec::new(),
                };
            }
            out.rows.iter().for_each(|rows| take(rows, &mut said));
            (watermark, all) = (next, [all, rows].concat());
            let first = all.iter().map(|c| c.0.div_euclid(STEP) * STEP).min().unwrap_or(i64::MAX);
            let mut end = first.saturating_add(STEP);
            while end <= watermark {
                for lender in ["A", "B", "C"] {
                    let of: Vec<&Change> =
                        all.iter().filter(|c| c.1 == lender && c.0 < end).collect();
                    let values = || of.iter().filter_map(|c| c.2);
                    let best = if function == AggregateFunction::Min {
                        values().min()
                    } else {
                        values().max()
                    };
                    let expected = (!of.is_empty())
                        .then(|| (of.len() as i64, values().count() as i64, best, true));
                    let found = said.get(&(end, lender.to_owned())).map(|s| (s.0, s.1, s.2, s.3));
                    assert_eq!(
                        found,
                        expected,
                        "seed {seed}, epoch {epoch}: {lender} as of {}",
                        end / MINUTE
                    );
                }
                end += STEP;
            }
            if dice.one_in(6) {
                operator = start(&saved);
            }
        }
    }
}
