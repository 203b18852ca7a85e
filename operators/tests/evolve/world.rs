//! Workers of a step that saves and takes back what another step saved.

use crate::dice::Dice;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState};
use riskstream_engine::ids::{Epoch, EventTime, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const MINUTE: i64 = 60_000_000;

/// A row: its number is its place among all rows.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) time: i64,
    key: &'static str,
    amount: i64,
    fee: Option<i64>,
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("id", DataType::Int64, false),
        Field::new("key", DataType::Utf8, false),
        Field::new("amount", DataType::Decimal128(12, 2), false),
        Field::new("fee", DataType::Int64, true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let amounts = Decimal128Array::from_iter_values(rows.iter().map(|r| i128::from(r.amount)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.time))
                .with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.key))),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.fee))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Rows up to ten minutes apart, in order of time, of four keys.
pub(crate) fn rows(count: i64, dice: &mut Dice) -> Vec<Row> {
    let mut time = 1_000 * MINUTE;
    let row = |id| {
        time += dice.below(10 * MINUTE);
        let key = ["a", "b", "c", "d"][dice.below(4) as usize];
        Row {
            id,
            time,
            key,
            amount: dice.below(10_000),
            fee: (!dice.one_in(4)).then(|| dice.below(100)),
        }
    };
    (0..count).map(row).collect()
}

/// How a run goes: its workers, the rows of an epoch, and after how many epochs it makes a
/// snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) workers: usize,
    pub(crate) rows_per_epoch: usize,
    pub(crate) snapshot_every: Option<u64>,
}

impl Manner {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let snapshot_every = (!dice.one_in(3)).then(|| 1 + dice.below(4) as u64);
        Self {
            workers: 1 + dice.below(3) as usize,
            rows_per_epoch: 1 + dice.below(30) as usize,
            snapshot_every,
        }
    }
}

/// What was committed.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    saved: SavedState,
    epoch: u64,
    watermark: i64,
    /// The newest row that went by before the step was there.
    unseen: Option<i64>,
}

impl Committed {
    /// Of a pipeline that has run without the step, up to a row of this time.
    pub(crate) fn without_the_step(newest: i64) -> Self {
        Self { epoch: 7, watermark: newest, unseen: Some(newest), ..Self::default() }
    }

    /// Runs a step over rows, from what was committed before it; gives all that leaves.
    pub(crate) fn run(
        &mut self,
        make: &dyn Fn(usize, u64) -> Box<dyn Operator>,
        rows: &[Row],
        manner: Manner,
    ) -> Vec<RecordBatch> {
        let Manner { workers, rows_per_epoch, snapshot_every } = manner;
        let ownership = Ownership::new(workers);
        let mut operators: Vec<_> =
            (0..workers).map(|worker| make(worker, self.epoch + 1)).collect();
        for (worker, operator) in operators.iter_mut().enumerate() {
            match self.unseen.filter(|_| self.saved.is_empty()) {
                Some(unseen) => operator.begin_after(EventTime(unseen)),
                None => operator.restore(&self.saved, worker, ownership).unwrap(),
            }
        }
        let mut left = Vec::new();
        let epochs: Vec<&[Row]> = rows.chunks(rows_per_epoch).collect();
        for (number, rows) in epochs.iter().enumerate() {
            self.epoch += 1;
            let batch = batch(rows);
            let mut hashes = Vec::new();
            hash_keys(&[Arc::clone(batch.column(2))], HASH_SEED, &mut hashes).unwrap();
            let last = number + 1 == epochs.len();
            let snapshot = snapshot_every.is_some_and(|every| self.epoch.is_multiple_of(every));
            let before = if self.epoch == 1 { i64::MIN } else { self.watermark };
            self.watermark = rows.last().unwrap().time;
            let close = EpochClose {
                epoch: Epoch(self.epoch),
                watermark: EventTime(self.watermark),
                watermark_before: EventTime(before),
                snapshot,
                last,
            };
            let (mut changes, mut whole) = (Vec::new(), Vec::new());
            for (worker, operator) in operators.iter_mut().enumerate() {
                let own: BooleanArray = hashes
                    .iter()
                    .map(|hash| Some(ownership.owns(worker, shard_of(*hash))))
                    .collect();
                let mut out = Output::default();
                operator
                    .on_batch(close.epoch, filter_record_batch(&batch, &own).unwrap(), &mut out)
                    .unwrap();
                operator.on_close(&close, &mut out).unwrap();
                assert!(out.dead.is_empty(), "no row comes too late");
                left.extend(out.rows);
                changes.extend(operator.changes(&close).unwrap());
                if snapshot {
                    whole.extend(operator.snapshot(&close).unwrap());
                }
            }
            self.saved.changes.push((close.epoch, changes));
            if snapshot {
                self.saved =
                    SavedState { snapshot: Some((close.epoch, whole)), changes: Vec::new() };
            }
        }
        left
    }
}

/// Rows that left, by the columns `key`, each column by its name; of rows with one key the last one
/// counts. Columns of the run are left out.
pub(crate) fn by_key(
    left: &[RecordBatch],
    key: &[&str],
) -> BTreeMap<Vec<String>, BTreeMap<String, Option<String>>> {
    let options = FormatOptions::default();
    let mut found = BTreeMap::new();
    for batch in left {
        let schema = batch.schema();
        let formatters: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let value =
                |(field, (formatter, column)): (&Arc<Field>, (&ArrayFormatter<'_>, &ArrayRef))| {
                    (
                        field.name().clone(),
                        column.is_valid(row).then(|| formatter.value(row).to_string()),
                    )
                };
            let columns = schema.fields().iter().zip(formatters.iter().zip(batch.columns()));
            let mut values: BTreeMap<String, Option<String>> = columns.map(value).collect();
            for of_the_run in ["revision", "is_final", "complete_through"] {
                values.remove(of_the_run);
            }
            found.insert(
                key.iter().map(|column| values[*column].clone().unwrap_or_default()).collect(),
                values,
            );
        }
    }
    found
}
