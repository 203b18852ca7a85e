//! Runs a step on several workers, with crashes, restores, collected files, and other numbers of
//! workers.

pub(crate) use crate::dice::Dice;
use crate::reference::{Row, Step, Value};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit,
};
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState, StateBatch, StateDir};
use riskstream_engine::ids::{Epoch, EventTime, Generation, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_operators::features::{FeatureSpec, FeaturesOperator, FeaturesSpec, Order, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// How keys look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keys {
    Integer,
    Text,
    Both,
}

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("tie", DataType::Int64, false),
        Field::new("number", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("float", DataType::Float64, true),
        Field::new("whole", DataType::Int64, true),
        Field::new("large", DataType::Decimal128(38, 2), true),
        Field::new("text", DataType::Utf8, true),
        Field::new("_source_partition", DataType::UInt32, false),
        Field::new("_source_offset", DataType::Int64, false),
        Field::new("_late", DataType::Boolean, false),
    ]))
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let amounts = Decimal128Array::from_iter(rows.iter().map(|r| r.amount.map(i128::from)));
    let large = Decimal128Array::from_iter(rows.iter().map(|r| r.large));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.time))
                .with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.tie))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.key))),
        Arc::new(StringArray::from_iter(rows.iter().map(|r| r.key.map(|k| format!("key {k}"))))),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.float))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.whole))),
        Arc::new(large.with_precision_and_scale(38, 2).unwrap()),
        Arc::new(StringArray::from_iter(rows.iter().map(|r| r.text.clone()))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|_| 0))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.late)))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub fn spec(step: &Step, keys: Keys, memory: usize) -> FeaturesSpec {
    let by: &[&str] = match keys {
        Keys::Integer => &["number"],
        Keys::Text => &["name"],
        Keys::Both => &["name", "number"],
    };
    let feature = |(n, (function, column)): (usize, &(_, Option<&str>))| FeatureSpec {
        name: format!("f{n}"),
        function: *function,
        column: column.map(Into::into),
        empty: step.empty,
    };
    FeaturesSpec {
        step_id: "windows".into(),
        by: by.iter().map(|b| b.to_string()).collect(),
        features: step.features.iter().enumerate().map(feature).collect(),
        windows: step
            .windows
            .iter()
            .enumerate()
            .map(|(n, w)| Window { label: format!("w{n}"), micros: *w })
            .collect(),
        delay_micros: step.delay,
        include_current: step.include,
        order: if step.arrival { Order::Arrival } else { Order::EventTime },
        event_time: 0,
        ties: vec![1],
        history_memory_bytes: memory,
    }
}

/// Workers of one run.
pub struct World<'a> {
    spec: FeaturesSpec,
    root: &'a Path,
    key_columns: Vec<usize>,
    pub operators: Vec<FeaturesOperator>,
    generation: u64,
    horizon: i64,
    /// What was committed.
    snapshot: Option<(Epoch, Vec<StateBatch>)>,
    changes: Vec<(Epoch, Vec<StateBatch>)>,
    pub before: EventTime,
    /// Whether snapshots that are made now are never written, as when the program ends before.
    pub loses_snapshots: bool,
    /// Whether a snapshot was lost, so that files of the snapshot before are still needed.
    has_lost: bool,
    /// Sums that were said not to fit: in all, and by the dead letters.
    pub unfit: u64,
    pub letters: Vec<String>,
    /// By row id.
    pub shown: BTreeMap<i64, Vec<Value>>,
}

impl<'a> World<'a> {
    pub fn new(spec: FeaturesSpec, root: &'a Path, workers: usize, horizon: i64) -> Self {
        let key_columns = spec.by.iter().map(|b| schema().index_of(b).unwrap()).collect();
        let mut world = Self {
            spec,
            root,
            key_columns,
            operators: Vec::new(),
            generation: 0,
            horizon,
            snapshot: None,
            changes: Vec::new(),
            before: EventTime::MIN,
            loses_snapshots: false,
            has_lost: false,
            unfit: 0,
            letters: Vec::new(),
            shown: BTreeMap::new(),
        };
        world.start(workers);
        world
    }

    /// A new run: empty operators that take back what was committed.
    pub fn start(&mut self, workers: usize) {
        self.generation += 1;
        let saved = SavedState { snapshot: self.snapshot.clone(), changes: self.changes.clone() };
        self.operators = (0..workers)
            .map(|worker| {
                let dir = StateDir {
                    root: self.root.into(),
                    generation: Generation(self.generation),
                    worker,
                };
                let operator = FeaturesOperator::new(self.spec.clone(), &schema(), dir).unwrap();
                let mut operator = operator.with_late_horizon(self.horizon);
                if !saved.is_empty() {
                    operator.restore(&saved, worker, Ownership::new(workers)).unwrap();
                }
                operator
            })
            .collect();
    }

    /// Runs an epoch up to the commit; `false` when it crashed before.
    pub fn epoch(
        &mut self,
        epoch: Epoch,
        batches: &[RecordBatch],
        watermark: i64,
        snapshot: bool,
        crash: bool,
    ) -> bool {
        let ownership = Ownership::new(self.operators.len());
        let mut outs: Vec<Output> = self.operators.iter().map(|_| Output::default()).collect();
        let mut hashes = Vec::new();
        for batch in batches {
            let keys: Vec<ArrayRef> =
                self.key_columns.iter().map(|c| batch.column(*c).clone()).collect();
            hash_keys(&keys, HASH_SEED, &mut hashes).unwrap();
            for (worker, (operator, out)) in self.operators.iter_mut().zip(&mut outs).enumerate() {
                let own = BooleanArray::from_iter(
                    hashes.iter().map(|h| Some(ownership.owns(worker, shard_of(*h)))),
                );
                let rows = arrow::compute::filter_record_batch(batch, &own).unwrap();
                if rows.num_rows() > 0 {
                    operator.on_batch(epoch, rows, out).unwrap();
                }
            }
        }
        let watermark_before = self.before;
        let close = EpochClose {
            epoch,
            watermark: EventTime(watermark),
            watermark_before,
            snapshot,
            last: false,
        };
        let (mut changes, mut saved) = (Vec::new(), Vec::new());
        for (operator, out) in self.operators.iter_mut().zip(&mut outs) {
            operator.on_close(&close, out).unwrap();
            changes.extend(operator.changes(&close).unwrap());
            if snapshot {
                saved.extend(operator.snapshot(&close).unwrap());
            }
        }
        if crash {
            return false;
        }
        self.before = close.watermark;
        self.changes.push((epoch, changes));
        self.has_lost |= snapshot && self.loses_snapshots;
        if snapshot && !self.loses_snapshots {
            self.has_lost = false;
            self.snapshot = Some((epoch, saved));
            self.changes.clear();
        }
        for out in outs {
            self.unfit += out.unfit.values().sum::<u64>();
            for dead in &out.dead {
                assert!(
                    dead.column(3)
                        .as_string::<i32>()
                        .iter()
                        .all(|reason| reason == Some("overflow"))
                );
                self.letters.extend(
                    dead.column(4)
                        .as_string::<i32>()
                        .iter()
                        .map(|detail| detail.unwrap().to_owned()),
                );
            }
            out.rows.iter().for_each(|rows| self.show(rows));
        }
        if !self.has_lost {
            self.collect_files();
        }
        true
    }

    fn collect_files(&self) {
        let live: BTreeSet<String> = self.operators.iter().flat_map(|o| o.live_files()).collect();
        let Ok(files) = std::fs::read_dir(self.root.join("windows")) else { return };
        for file in files {
            let file = file.unwrap();
            if !live.contains(&format!("windows/{}", file.file_name().to_string_lossy())) {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    }

    pub fn files(&self) -> usize {
        std::fs::read_dir(self.root.join("windows")).map_or(0, |d| d.count())
    }

    fn show(&mut self, rows: &RecordBatch) {
        let inputs = schema().fields().len();
        let ids =
            rows.column_by_name("_source_offset").unwrap().as_primitive::<Int64Type>().clone();
        let times = rows.column(0).as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        if self.spec.order == Order::EventTime {
            assert!(times.values().is_sorted());
        }
        for row in 0..rows.num_rows() {
            let values = rows.columns()[inputs..].iter().map(|c| value(c, row)).collect();
            assert!(
                self.shown.insert(ids.value(row), values).is_none(),
                "row {} came twice",
                ids.value(row)
            );
        }
    }
}

fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Int64 => Value::Integer(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::Decimal128(_, 2) => {
            Value::Integer(column.as_primitive::<Decimal128Type>().value(row))
        }
        DataType::Float64 => {
            Value::Float(column.as_primitive::<Float64Type>().value(row).to_bits())
        }
        other => panic!("unexpected type {other}"),
    }
}
