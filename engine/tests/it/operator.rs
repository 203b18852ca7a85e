//! A keyed step whose results depend on the order of a key's rows, and on timers.

use crate::source::source_schema;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType, UInt32Type,
};
use riskstream_engine::contract::{
    EpochClose, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
};
use riskstream_engine::ids::{Epoch, EventTime, KeyId, Ownership, ShardId};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_engine::protocol::Timers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};

/// How long a key is quiet before its timer fires, microseconds.
pub const QUIET: i64 = 40;

/// What the step says of a row or a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    pub kind: String,
    pub id: i64,
    pub key: i64,
    pub time: i64,
    pub count: i64,
    pub checksum: i64,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub count: i64,
    pub checksum: i64,
}

impl Seen {
    pub fn add(&mut self, id: i64) {
        self.count += 1;
        self.checksum = self.checksum.wrapping_mul(1_000_003).wrapping_add(id);
    }
}

pub static SAID_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let int = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        Field::new("kind", DataType::Utf8, false),
        int("id"),
        int("key"),
        int("time"),
        int("count"),
        int("checksum"),
    ]))
});

pub fn said_batch(said: &[Said]) -> RecordBatch {
    let int = |of: fn(&Said) -> i64| {
        Arc::new(Int64Array::from_iter_values(said.iter().map(of))) as ArrayRef
    };
    let kind = Arc::new(StringArray::from_iter_values(said.iter().map(|s| &s.kind)));
    let columns = vec![
        kind as ArrayRef,
        int(|s| s.id),
        int(|s| s.key),
        int(|s| s.time),
        int(|s| s.count),
        int(|s| s.checksum),
    ];
    RecordBatch::try_new(Arc::clone(&SAID_SCHEMA), columns).expect("columns fit")
}

pub fn said_rows(batch: &RecordBatch) -> Vec<Said> {
    let int = |c: usize, i: usize| batch.column(c).as_primitive::<Int64Type>().value(i);
    let kind = batch.column(0).as_string::<i32>();
    (0..batch.num_rows())
        .map(|i| Said {
            kind: kind.value(i).into(),
            id: int(1, i),
            key: int(2, i),
            time: int(3, i),
            count: int(4, i),
            checksum: int(5, i),
        })
        .collect()
}

/// Ways in which the step misbehaves.
#[derive(Debug, Clone, Default)]
pub struct Mischief {
    /// Fails on a row with this id.
    pub fails_at: Option<i64>,
    /// Panics on a row with this id.
    pub panics_at: Option<i64>,
    /// What it says that it counts by, if not the key.
    pub counts_by: Option<&'static str>,
    /// While set, no epoch can close: the worker is held where it is.
    pub shut: Arc<AtomicBool>,
    /// While set, no epoch is committed: its staged files don't reach the disk. The workers go on.
    pub disk_stuck: Arc<AtomicBool>,
    /// No mischief: columns of the saved state that the step was given, to see who keeps them.
    pub given: Arc<Mutex<Vec<Weak<dyn Array>>>>,
}

/// Counts a key's rows in event-time order; says so for every row, and again when the key has been
/// quiet.
pub struct Counter {
    mischief: Mischief,
    keys: BTreeMap<i64, (KeyId, Seen)>,
    names: BTreeMap<KeyId, i64>,
    next_local: BTreeMap<ShardId, u32>,
    timers: Timers,
    arrived: Vec<RecordBatch>,
    changed: BTreeSet<i64>,
}

impl Counter {
    pub fn new(mischief: Mischief) -> Self {
        Self {
            mischief,
            keys: BTreeMap::new(),
            names: BTreeMap::new(),
            next_local: BTreeMap::new(),
            timers: Timers::default(),
            arrived: Vec::new(),
            changed: BTreeSet::new(),
        }
    }

    fn key_id(&mut self, key: i64) -> KeyId {
        if let Some((id, _)) = self.keys.get(&key) {
            return *id;
        }
        let mut hashes = Vec::new();
        hash_keys(&[Arc::new(Int64Array::from(vec![key])) as ArrayRef], HASH_SEED, &mut hashes)
            .expect("an integer is a key");
        let shard = shard_of(hashes[0]);
        let next = self.next_local.entry(shard).or_default();
        let id = KeyId::new(shard, *next);
        *next += 1;
        self.keys.insert(key, (id, Seen::default()));
        self.names.insert(id, key);
        id
    }

    fn fire(&mut self, upto: EventTime, said: &mut Vec<Said>) {
        for timer in self.timers.fire(upto) {
            let key = self.names[&timer.key];
            let seen = self.keys[&key].1;
            said.push(Said {
                kind: "quiet".into(),
                id: 0,
                key,
                time: timer.due.0,
                count: seen.count,
                checksum: seen.checksum,
            });
        }
    }

    fn state(&self, keys: impl Iterator<Item = i64>) -> StateBatch {
        let keys: Vec<i64> = keys.collect();
        let ids = keys.iter().map(|k| self.keys[k].0.0);
        let columns: [(&str, ArrayRef); 4] = [
            ("key", Arc::new(Int64Array::from(keys.clone()))),
            ("id", Arc::new(UInt32Array::from_iter_values(ids))),
            (
                "count",
                Arc::new(Int64Array::from_iter_values(keys.iter().map(|k| self.keys[k].1.count))),
            ),
            (
                "checksum",
                Arc::new(Int64Array::from_iter_values(
                    keys.iter().map(|k| self.keys[k].1.checksum),
                )),
            ),
        ];
        StateBatch::new("keys", RecordBatch::try_from_iter(columns).expect("columns fit"))
    }

    fn arrow(source: arrow::error::ArrowError) -> OperatorError {
        OperatorError::Arrow { step: "count".into(), source }
    }
}

impl Operator for Counter {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&SAID_SCHEMA)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(vec![1])
    }

    fn shape(&self) -> Option<Shape> {
        Some(Shape::new("count").fact("by", self.mischief.counts_by.unwrap_or("key")))
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        for rows in saved.named("keys") {
            self.mischief
                .given
                .lock()
                .expect("free")
                .extend(rows.columns().iter().map(Arc::downgrade));
            let int = |c: usize, i: usize| rows.column(c).as_primitive::<Int64Type>().value(i);
            for i in 0..rows.num_rows() {
                let id = KeyId(rows.column(1).as_primitive::<UInt32Type>().value(i));
                if ownership.owns(worker, id.shard()) {
                    self.keys
                        .insert(int(0, i), (id, Seen { count: int(2, i), checksum: int(3, i) }));
                    self.names.insert(id, int(0, i));
                    let next = self.next_local.entry(id.shard()).or_default();
                    *next = (*next).max(id.local() as u32 + 1);
                }
            }
        }
        self.timers.restore(saved, worker, ownership);
        Ok(())
    }

    fn on_batch(
        &mut self,
        _: Epoch,
        batch: RecordBatch,
        _: &mut Output,
    ) -> Result<(), OperatorError> {
        self.arrived.push(batch);
        Ok(())
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        while self.mischief.shut.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let rows = concat_batches(&source_schema().schema, &std::mem::take(&mut self.arrived))
            .map_err(Self::arrow)?;
        let int = |c: usize| rows.column(c).as_primitive::<Int64Type>().values();
        let times = rows.column(2).as_primitive::<TimestampMicrosecondType>().values();
        let partitions = rows.column(3).as_primitive::<UInt32Type>().values();
        let late = rows.column(5).as_boolean();
        let mut order: Vec<usize> = (0..rows.num_rows()).collect();
        order.sort_by_key(|i| (times[*i], partitions[*i], int(4)[*i]));
        let mut said = Vec::new();
        for i in order {
            let (id, key, time) = (int(0)[i], int(1)[i], times[i]);
            if self.mischief.fails_at == Some(id) {
                return Err(OperatorError::Compute {
                    step: "count".into(),
                    reason: format!("row {id} is poison"),
                });
            }
            assert!(self.mischief.panics_at != Some(id), "row {id} makes the step panic");
            assert!(
                late.value(i) || time > close.watermark_before.0 && time <= close.watermark.0,
                "{close:?} holds a row of {time}"
            );
            self.fire(EventTime(time - 1), &mut said);
            let number = self.key_id(key);
            if let Some((_, seen)) = self.keys.get_mut(&key) {
                seen.add(id);
                let kind = if late.value(i) { "late" } else { "row" };
                said.push(Said {
                    kind: kind.into(),
                    id,
                    key,
                    time,
                    count: seen.count,
                    checksum: seen.checksum,
                });
            }
            self.changed.insert(key);
            self.timers.set(number, "quiet", EventTime(time + QUIET));
        }
        self.fire(close.watermark, &mut said);
        out.push(said_batch(&said));
        Ok(())
    }

    fn changes(&mut self, _: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        let changed = std::mem::take(&mut self.changed);
        Ok(vec![self.state(changed.into_iter()), self.timers.changes().map_err(Self::arrow)?])
    }

    fn snapshot(&mut self, _: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        Ok(vec![
            self.state(self.keys.keys().copied()),
            self.timers.snapshot().map_err(Self::arrow)?,
        ])
    }

    fn state_bytes(&self) -> usize {
        self.keys.len() * 40
    }
}
