//! Runs the step on several workers, with crashes and other numbers of workers.

use crate::MINUTE;
pub(crate) use crate::dice::Dice;
use crate::reference::{Place, Row, Said, windows};
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState, StateBatch, TOTALS};
use riskstream_engine::ids::{Epoch, EventTime, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Label, length, step.
const KINDS: [(&str, i64, i64); 2] =
    [("10m", 10 * MINUTE, 10 * MINUTE), ("30m by 5m", 30 * MINUTE, 5 * MINUTE)];

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("lender", DataType::Utf8, true),
        Field::new("status", DataType::Int64, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("score", DataType::Float64, true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let amounts = Decimal128Array::from_iter(rows.iter().map(|r| r.amount.map(i128::from)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.time))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter(rows.iter().map(|r| r.lender))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.status))),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.score))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn spec(publish: Publish, keep: i64) -> WindowsSpec {
    use AggregateFunction::{Count, Max, Mean, Min, Sum};
    let of = |name: &str, function, column: Option<&str>| AggregateSpec {
        name: name.into(),
        function,
        column: column.map(Into::into),
    };
    WindowsSpec {
        step_id: "windows".into(),
        by: vec!["lender".into(), "status".into()],
        aggregates: vec![
            of("n", Count, None),
            of("n_amount", Count, Some("amount")),
            of("sum_amount", Sum, Some("amount")),
            of("min_amount", Min, Some("amount")),
            of("max_amount", Max, Some("amount")),
            of("sum_score", Sum, Some("score")),
            of("avg_score", Mean, Some("score")),
        ],
        windows: KINDS
            .iter()
            .map(|(label, length, step)| WindowKind {
                label: label.to_string(),
                extent: Extent::Steps { step: Every::Micros(*step), count: length / step },
            })
            .collect(),
        publish,
        keep,
        event_time: "time".into(),
    }
}

/// A published row: what it says, its revision, whether it is final.
#[derive(Debug, Clone, PartialEq)]
struct Published {
    said: Said,
    revision: i64,
    is_final: bool,
}

/// Workers of one run, what was committed, and what was published.
pub struct World {
    spec: WindowsSpec,
    operators: Vec<WindowsOperator>,
    /// Adds rows up before they go to the operators, as it does in the engine.
    combiner: Option<Box<dyn Operator>>,
    batches: usize,
    snapshot: Option<(Epoch, Vec<StateBatch>)>,
    changes: Vec<(Epoch, Vec<StateBatch>)>,
    epoch: u64,
    watermark: i64,
    /// Rows of the open epoch, and of those before that were not too late.
    open: Vec<Row>,
    taken: Vec<Row>,
    dead_open: usize,
    dead: usize,
    published: BTreeMap<Place, Published>,
    /// Snapshots are taken, and lost before they are written.
    pub loses_snapshots: bool,
}

impl World {
    pub fn new(publish: Publish, keep: i64, workers: usize) -> Self {
        let mut world = Self {
            spec: spec(publish, keep),
            operators: Vec::new(),
            combiner: None,
            batches: 0,
            snapshot: None,
            changes: Vec::new(),
            epoch: 0,
            watermark: i64::MIN,
            open: Vec::new(),
            taken: Vec::new(),
            dead_open: 0,
            dead: 0,
            published: BTreeMap::new(),
            loses_snapshots: false,
        };
        world.restart(workers);
        world
    }

    /// A new run, from what was committed; the open epoch is lost.
    pub fn restart(&mut self, workers: usize) {
        let saved = SavedState { snapshot: self.snapshot.clone(), changes: self.changes.clone() };
        self.open.clear();
        self.dead_open = 0;
        self.operators = (0..workers)
            .map(|worker| {
                let mut operator = WindowsOperator::new(self.spec.clone(), &schema()).unwrap();
                if !saved.is_empty() {
                    operator.restore(&saved, worker, Ownership::new(workers)).unwrap();
                }
                operator
            })
            .collect();
        self.combiner = self.operators[0].combiner();
    }

    /// Rows of the open epoch.
    pub fn rows(&mut self, rows: &[Row]) {
        self.open.extend_from_slice(rows);
        self.batches += 1;
        let mut sent = Output::default();
        // As they are, added up by the run's combiner, or by one that is new and adds up whether it
        // is worth it or not.
        let all = batch(rows);
        match self.batches % 3 {
            0 => sent.push(all),
            1 => self
                .combiner
                .as_mut()
                .unwrap()
                .on_batch(Epoch(self.epoch + 1), all, &mut sent)
                .unwrap(),
            _ => self.operators[0]
                .combiner()
                .unwrap()
                .on_batch(Epoch(self.epoch + 1), all, &mut sent)
                .unwrap(),
        }
        self.dead_open += sent.dead.iter().map(RecordBatch::num_rows).sum::<usize>();
        sent.rows.iter().for_each(|rows| self.route(rows));
    }

    fn route(&mut self, all: &RecordBatch) {
        let key = if all.schema_ref().metadata().contains_key(TOTALS) { [0, 1] } else { [1, 2] };
        let mut hashes = Vec::new();
        hash_keys(&key.map(|column| all.column(column).clone()), HASH_SEED, &mut hashes).unwrap();
        let ownership = Ownership::new(self.operators.len());
        for (worker, operator) in self.operators.iter_mut().enumerate() {
            let own = hashes
                .iter()
                .enumerate()
                .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
            let own = UInt32Array::from_iter_values(own.map(|(row, _)| row as u32));
            let mut out = Output::default();
            operator
                .on_batch(Epoch(self.epoch + 1), take_record_batch(all, &own).unwrap(), &mut out)
                .unwrap();
            assert!(out.rows.is_empty());
            self.dead_open += out.dead.iter().map(RecordBatch::num_rows).sum::<usize>();
        }
    }

    /// Closes and commits the epoch.
    pub fn close(&mut self, watermark: EventTime, snapshot: bool) {
        self.end_epoch(watermark, snapshot, false);
    }

    /// Closes and commits the last epoch of the input, which has come to `watermark`.
    pub fn end(&mut self, watermark: EventTime) {
        self.end_epoch(watermark, false, true);
    }

    fn end_epoch(&mut self, watermark: EventTime, snapshot: bool, last: bool) {
        self.epoch += 1;
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark,
            watermark_before: EventTime(self.watermark),
            snapshot,
            last,
        };
        self.combiner.as_mut().unwrap().on_close(&close, &mut Output::default()).unwrap();
        let (mut changes, mut whole) = (Vec::new(), Vec::new());
        for operator in &mut self.operators {
            let mut out = Output::default();
            operator.on_close(&close, &mut out).unwrap();
            changes.extend(operator.changes(&close).unwrap());
            if snapshot {
                whole.extend(operator.snapshot(&close).unwrap());
            }
            out.rows.iter().for_each(|rows| publish(rows, &mut self.published));
        }
        self.changes.push((close.epoch, changes));
        if snapshot && !self.loses_snapshots {
            self.changes.clear();
            self.snapshot = Some((close.epoch, whole));
        }
        let (watermark_before, keep) = (self.watermark, self.spec.keep);
        let is_gone = |row: &Row| {
            KINDS.iter().any(|(_, length, step)| {
                (row.time.div_euclid(*step) * step + length).saturating_add(keep)
                    <= watermark_before
            })
        };
        let (gone, taken): (Vec<Row>, Vec<Row>) =
            std::mem::take(&mut self.open).into_iter().partition(is_gone);
        assert_eq!(
            gone.len(),
            std::mem::take(&mut self.dead_open),
            "dead letters of epoch {}",
            self.epoch
        );
        self.dead += gone.len();
        self.taken.extend(taken);
        self.watermark = self.watermark.max(watermark.0);
    }

    /// Holds what was published against the rows that were taken.
    pub fn check(&self) -> Result<(), String> {
        let expected = windows(&self.taken, &KINDS);
        for (place, said) in &expected {
            let end = place.1 + KINDS.iter().find(|k| k.0 == place.0).unwrap().1;
            let is_final = end <= self.watermark;
            match self.published.get(place) {
                Some(published) if published.said == *said && published.is_final == is_final => {}
                None if self.spec.publish == Publish::Final && !is_final => {}
                other => {
                    return Err(format!(
                        "{place:?} should say {said:?} (final: {is_final}), and says {other:?}"
                    ));
                }
            }
        }
        match self.published.keys().find(|place| !expected.contains_key(*place)) {
            Some(place) => Err(format!("{place:?} has no rows")),
            None => Ok(()),
        }
    }

    /// As [`Self::check`] at the end of the input, when open windows were published too.
    pub fn check_ended(&self) -> Result<(), String> {
        self.check()?;
        if self.contents() == windows(&self.taken, &KINDS) {
            Ok(())
        } else {
            Err("the last publications are not the windows of all rows".into())
        }
    }

    /// What the windows say, whatever revision.
    pub fn contents(&self) -> BTreeMap<Place, Said> {
        self.published.iter().map(|(place, p)| (place.clone(), p.said.clone())).collect()
    }

    /// The newest publication's number.
    pub fn last_revision(&self) -> i64 {
        self.published.values().map(|p| p.revision).max().unwrap_or(0)
    }

    /// Rows, cents, final, and revision of a window's newest row, for status 1.
    pub fn newest(&self, label: &str, start: i64, lender: &str) -> Option<(i64, i64, bool, i64)> {
        let p = self.published.get(&(label.into(), start, Some(lender.into()), Some(1)))?;
        let cents = p.said[2].replace('.', "").parse().unwrap();
        Some((p.said[0].parse().unwrap(), cents, p.is_final, p.revision))
    }

    /// Bytes of memory of all workers, about.
    pub fn state_bytes(&self) -> usize {
        self.operators.iter().map(WindowsOperator::state_bytes).sum()
    }

    /// Rows of the newest snapshot.
    pub fn saved_rows(&self) -> usize {
        self.snapshot.iter().flat_map(|(_, saved)| saved).map(|saved| saved.rows.num_rows()).sum()
    }

    pub fn workers(&self) -> usize {
        self.operators.len()
    }

    pub fn dead(&self) -> usize {
        self.dead
    }
}

fn publish(rows: &RecordBatch, published: &mut BTreeMap<Place, Published>) {
    let options = FormatOptions::default().with_null("-");
    let text = |name: &str| {
        let formatter =
            ArrayFormatter::try_new(rows.column_by_name(name).unwrap(), &options).unwrap();
        (0..rows.num_rows()).map(|row| formatter.value(row).to_string()).collect::<Vec<_>>()
    };
    let names =
        ["n", "n_amount", "sum_amount", "min_amount", "max_amount", "sum_score", "avg_score"];
    let said: Vec<Vec<String>> = names.iter().map(|name| text(name)).collect();
    let lenders = rows.column_by_name("lender").unwrap().as_string::<i32>();
    let statuses = rows.column_by_name("status").unwrap().as_primitive::<Int64Type>();
    let labels = rows.column_by_name("window").unwrap().as_string::<i32>();
    let time = |name: &str| {
        rows.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().clone()
    };
    let (starts, ends) = (time("window_start"), time("window_end"));
    let revisions = rows.column_by_name("revision").unwrap().as_primitive::<Int64Type>();
    let finals = rows.column_by_name("is_final").unwrap().as_boolean();
    for row in 0..rows.num_rows() {
        let label = labels.value(row).to_owned();
        assert_eq!(
            ends.value(row) - starts.value(row),
            KINDS.iter().find(|k| k.0 == label).unwrap().1
        );
        let lender = lenders.is_valid(row).then(|| lenders.value(row).to_owned());
        let status = statuses.is_valid(row).then(|| statuses.value(row));
        let place = (label, starts.value(row), lender, status);
        let new = Published {
            said: said.iter().map(|column| column[row].clone()).collect(),
            revision: revisions.value(row),
            is_final: finals.value(row),
        };
        let old = published.insert(place.clone(), new.clone());
        assert!(
            old.is_none_or(|old| old.revision < new.revision),
            "{place:?} was published twice in an epoch"
        );
    }
}
