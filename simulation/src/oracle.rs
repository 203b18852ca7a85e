//! What must have been delivered: a naive scan over all rows, in the order in which they were
//! processed.

use crate::auditor::EpochRecord;
use crate::input::{Input, Record, Row, Setup};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use riskstream_engine::protocol::LatePolicy;
use riskstream_operators::features::{FeaturesSpec, Function};
use std::collections::{BTreeMap, BTreeSet};

/// A feature of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// An integer, or a decimal's unscaled one: compared exactly.
    Exact(i128),
    /// Compared to within 1e-9, relative to values above 1.
    Float(f64),
}

impl Value {
    /// Whether the two are the same number.
    #[must_use]
    pub fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => {
                (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
            }
            (a, b) => a == b,
        }
    }
}

/// A row that leaves.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The row.
    pub row: &'a Row,
    /// Its partition and offset.
    pub place: (usize, i64),
    /// The epoch that it leaves with.
    pub epoch: u64,
    /// It came behind the watermark.
    pub late: bool,
}

/// What becomes of every record.
#[derive(Debug, Default)]
pub struct Fates<'a> {
    /// Rows that leave, in the order in which steps process them.
    pub rows: Vec<Expected<'a>>,
    /// Partition, offset and reason of dead letters.
    pub dead: BTreeSet<(String, i64, String)>,
}

/// Follows every record through the committed epochs.
#[must_use]
pub fn fates<'a, 'e>(
    input: &'a Input,
    setup: &Setup,
    epochs: impl Iterator<Item = &'e EpochRecord>,
) -> Fates<'a> {
    let epochs: Vec<&EpochRecord> = epochs.collect();
    let mut fates = Fates::default();
    for (partition, records) in input.partitions.iter().enumerate() {
        for (offset, record) in (0i64..).zip(records) {
            let Some(arrived) = epochs.iter().position(|e| e.read_to[partition] > offset) else {
                continue;
            };
            let mut bury =
                |reason: &str| fates.dead.insert((partition.to_string(), offset, reason.into()));
            let Record::Good(row) = record else {
                bury("malformed");
                continue;
            };
            let close = epochs[arrived].close;
            let place = (partition, offset);
            if row.time <= close.watermark_before.0 {
                match setup.late {
                    LatePolicy::DeadLetter => {
                        bury("late");
                    }
                    LatePolicy::Apply => {
                        fates.rows.push(Expected { row, place, epoch: close.epoch.0, late: true })
                    }
                }
            } else if let Some(released) =
                epochs[arrived..].iter().find(|e| e.close.watermark.0 >= row.time)
            {
                fates.rows.push(Expected {
                    row,
                    place,
                    epoch: released.close.epoch.0,
                    late: false,
                });
            }
        }
    }
    let tie = |e: &Expected<'_>| if setup.ties { e.row.id } else { 0 };
    fates.rows.sort_by_key(|e| (e.epoch, e.row.time, tie(e), e.place));
    fates
}

/// The features of every row, by id, as one step's columns in order.
#[must_use]
pub fn features(rows: &[Expected<'_>], spec: &FeaturesSpec) -> BTreeMap<i64, Vec<Value>> {
    let by_customer = spec.by[0] == "customer";
    let key = |row: &Row| if by_customer { row.customer.to_string() } else { row.terminal.clone() };
    let mut by_key: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for expected in rows {
        let row = expected.row;
        let seen = by_key.entry(key(row)).or_default();
        let mut values = Vec::new();
        for feature in &spec.features {
            if feature.function == Function::SecondsSinceLast {
                let latest = seen.iter().map(|r| r.time).filter(|t| *t <= row.time).max();
                values.push(
                    latest.map_or(Value::Null, |t| Value::Float((row.time - t) as f64 / 1e6)),
                );
                continue;
            }
            for window in &spec.windows {
                let upto = row.time - spec.delay_micros;
                let itself = (spec.include_current && spec.delay_micros == 0).then_some(row);
                let within = seen.iter().copied().chain(itself);
                let mut within: Vec<&Row> =
                    within.filter(|r| r.time <= upto && r.time > upto - window.micros).collect();
                // Stable: of equal times the one processed last stays last.
                within.sort_by_key(|r| r.time);
                values.push(value(feature.function, feature.column.as_deref(), &within));
            }
        }
        all.insert(row.id, values);
        seen.push(row);
    }
    all
}

fn value(function: Function, column: Option<&str>, rows: &[&Row]) -> Value {
    let amounts: Vec<i128> = rows.iter().filter_map(|r| r.amount.map(i128::from)).collect();
    let exact = |v: Option<i128>| v.map_or(Value::Null, Value::Exact);
    let (n, sum) = (amounts.len() as i128, amounts.iter().sum::<i128>());
    match function {
        Function::Count if column.is_none() => Value::Exact(rows.len() as i128),
        Function::Count => Value::Exact(n),
        Function::Sum => exact((n > 0).then_some(sum)),
        Function::Mean if n == 0 => Value::Null,
        Function::Mean => Value::Float(sum as f64 / n as f64 / 100.0),
        Function::Min => exact(amounts.iter().min().copied()),
        Function::Max => exact(amounts.iter().max().copied()),
        Function::StdDev if n < 2 => Value::Null,
        Function::StdDev => {
            let squares: i128 = amounts.iter().map(|a| a * a).sum();
            Value::Float(((n * squares - sum * sum) as f64 / (n * (n - 1)) as f64).sqrt() / 100.0)
        }
        Function::Distinct => {
            Value::Exact(rows.iter().map(|r| &r.terminal).collect::<BTreeSet<_>>().len() as i128)
        }
        Function::Last => exact(amounts.last().copied()),
        Function::SecondsSinceLast => Value::Null,
    }
}

/// The values of columns `from..` of a batch, by row.
#[must_use]
pub fn values(batch: &RecordBatch, from: usize) -> Vec<Vec<Value>> {
    let read = |column: usize, row: usize| {
        let array = batch.column(column);
        if array.is_null(row) {
            return Value::Null;
        }
        match array.data_type() {
            DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(_, _) => {
                Value::Exact(array.as_primitive::<Decimal128Type>().value(row))
            }
            DataType::Int64 => {
                Value::Exact(i128::from(array.as_primitive::<Int64Type>().value(row)))
            }
            _ => Value::Null,
        }
    };
    (0..batch.num_rows())
        .map(|row| (from..batch.num_columns()).map(|column| read(column, row)).collect())
        .collect()
}
