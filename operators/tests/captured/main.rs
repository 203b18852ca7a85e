//! Captured changes against the table that made them: updates, deletions, key changes, truncations
//! and columns that were not sent, told again after a connector's restart, in any batches, with
//! crashes and other numbers of workers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/dice.rs"]
mod dice;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use dice::Dice;
use riskstream_engine::contract::{
    EpochClose, Operator, Output, SOURCE_OFFSET, SOURCE_PARTITION, SavedState, StateBatch,
    StateDir, change_fields, dead_letter_schema,
};
use riskstream_engine::ids::{Epoch, EventTime, Generation, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_operators::captured::{
    CapturedOperator, CapturedSpec, REASON_NO_KEY, REASON_OPERATION, REASON_UNSENT,
};
use riskstream_operators::changelog::DIFF;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row of the table, and what the step knows besides: the status before, whether it ever was
/// late.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    loan: i64,
    lender: String,
    status: String,
    note: Option<String>,
    old_status: Option<String>,
    ever_late: bool,
}

/// A record of the connector.
#[derive(Debug, Clone)]
struct Record {
    op: &'static str,
    loan: Option<i64>,
    lender: Option<String>,
    status: Option<String>,
    note: Option<String>,
    unchanged: Option<&'static str>,
    position: Option<(i64, i64)>,
}

impl Record {
    fn of(op: &'static str, row: &Row, position: (i64, i64)) -> Self {
        Self {
            op,
            loan: Some(row.loan),
            lender: Some(row.lender.clone()),
            status: Some(row.status.clone()),
            note: row.note.clone(),
            unchanged: None,
            position: Some(position),
        }
    }

    fn without_row(op: &'static str, loan: Option<i64>, position: (i64, i64)) -> Self {
        Self {
            op,
            loan,
            lender: None,
            status: None,
            note: None,
            unchanged: None,
            position: Some(position),
        }
    }
}

fn schema() -> SchemaRef {
    let mut fields = vec![
        Field::new("loan", DataType::Int64, true),
        Field::new("lender", DataType::Utf8, true),
        Field::new("status", DataType::Utf8, true),
        Field::new("note", DataType::Utf8, true),
    ];
    fields.extend(change_fields());
    fields.push(Field::new(SOURCE_PARTITION, DataType::UInt32, false));
    fields.push(Field::new(SOURCE_OFFSET, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

fn batch(records: &[(i64, Record)]) -> RecordBatch {
    let text = |of: fn(&Record) -> Option<String>| {
        Arc::new(StringArray::from_iter(records.iter().map(|r| of(&r.1)))) as ArrayRef
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(records.iter().map(|r| r.1.loan))),
        text(|r| r.lender.clone()),
        text(|r| r.status.clone()),
        text(|r| r.note.clone()),
        text(|r| Some(r.op.to_owned())),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(records.iter().map(|r| r.0 * 10))
                .with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter(
            records.iter().map(|r| r.1.position.filter(|p| p.0 > 0).map(|p| p.0)),
        )),
        Arc::new(Int64Array::from_iter(records.iter().map(|r| r.1.position.map(|p| p.1)))),
        text(|_| None),
        text(|r| r.unchanged.map(str::to_owned)),
        Arc::new(UInt32Array::from_value(0, records.len())),
        Arc::new(Int64Array::from_iter_values(records.iter().map(|r| r.0))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn spec(memory_bytes: usize) -> CapturedSpec {
    CapturedSpec {
        step_id: "loans".into(),
        key: vec!["loan".into()],
        columns: Vec::new(),
        previous: vec![("old_status".into(), "status".into())],
        ever: vec![("ever_late".into(), "status = 'late' or note = 'late'".into())],
        event_time: "_committed_at".into(),
        memory_bytes,
    }
}

/// Workers of one run, what was committed, and what is there by what left.
struct World {
    folder: tempfile::TempDir,
    generation: u64,
    memory_bytes: usize,
    operators: Vec<CapturedOperator>,
    snapshot: Option<(Epoch, Vec<StateBatch>)>,
    changes: Vec<(Epoch, Vec<StateBatch>)>,
    epoch: u64,
    dead: Vec<RecordBatch>,
    there: BTreeMap<Row, i64>,
    left: usize,
}

impl World {
    /// Of the dead letters.
    fn reasons(&self) -> Vec<String> {
        let column = dead_letter_schema().index_of("reason").unwrap();
        let of = |dead: &RecordBatch| {
            dead.column(column)
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut reasons: Vec<String> = self.dead.iter().flat_map(of).collect();
        reasons.sort();
        reasons
    }

    fn new(workers: usize, memory_bytes: usize) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            generation: 0,
            memory_bytes,
            operators: Vec::new(),
            snapshot: None,
            changes: Vec::new(),
            epoch: 0,
            dead: Vec::new(),
            there: BTreeMap::new(),
            left: 0,
        };
        world.restart(workers);
        world
    }

    fn restart(&mut self, workers: usize) {
        let saved = SavedState { snapshot: self.snapshot.clone(), changes: self.changes.clone() };
        self.generation += 1;
        let operator = |worker| {
            let dir = StateDir {
                root: self.folder.path().into(),
                generation: Generation(self.generation),
                worker,
            };
            let mut operator =
                CapturedOperator::new(spec(self.memory_bytes), &schema(), dir).unwrap();
            if !saved.is_empty() {
                operator.restore(&saved, worker, Ownership::new(workers)).unwrap();
            }
            operator
        };
        self.operators = (0..workers).map(operator).collect();
    }

    /// An epoch with these batches.
    fn epoch(&mut self, batches: &[RecordBatch], snapshot: bool) {
        self.epoch += 1;
        let now = EventTime(0);
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark: now,
            watermark_before: now,
            snapshot,
            last: false,
        };
        let ownership = Ownership::new(self.operators.len());
        let (mut changes, mut whole) = (Vec::new(), Vec::new());
        for (worker, operator) in self.operators.iter_mut().enumerate() {
            let mut out = Output::default();
            for batch in batches {
                let mut hashes = Vec::new();
                hash_keys(&[batch.column(0).clone()], HASH_SEED, &mut hashes).unwrap();
                let own = |row: &usize| {
                    batch.column(0).is_null(*row)
                        || ownership.worker_of(shard_of(hashes[*row])) == worker
                };
                let own = UInt32Array::from_iter_values(
                    (0..batch.num_rows()).filter(own).map(|row| row as u32),
                );
                operator
                    .on_batch(close.epoch, take_record_batch(batch, &own).unwrap(), &mut out)
                    .unwrap();
            }
            operator.on_close(&close, &mut out).unwrap();
            changes.extend(operator.changes(&close).unwrap());
            if snapshot {
                whole.extend(operator.snapshot(&close).unwrap());
            }
            self.dead.extend(out.dead);
            for rows in &out.rows {
                self.left += rows.num_rows();
                count(rows, &mut self.there);
            }
        }
        if snapshot {
            (self.snapshot, self.changes) = (Some((close.epoch, whole)), Vec::new());
        } else {
            self.changes.push((close.epoch, changes));
        }
        self.there.retain(|_, n| *n != 0);
    }
}

fn count(rows: &RecordBatch, there: &mut BTreeMap<Row, i64>) {
    let text = |name: &str, row: usize| {
        let column = rows.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let integer = |name: &str, row: usize| {
        rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row)
    };
    for row in 0..rows.num_rows() {
        let said = Row {
            loan: integer("loan", row),
            lender: text("lender", row).unwrap(),
            status: text("status", row).unwrap(),
            note: text("note", row),
            old_status: text("old_status", row),
            ever_late: rows.column_by_name("ever_late").unwrap().as_boolean().value(row),
        };
        *there.entry(said).or_default() += integer(DIFF, row);
    }
}

/// A table that is changed at random, and what a connector says of it.
struct Table {
    rows: BTreeMap<i64, Row>,
    dice: Dice,
    lsn: i64,
    commit: i64,
}

impl Table {
    fn put(&mut self, loan: i64, lender: String, status: String, note: Option<String>) -> Row {
        let is_late = status == "late" || note.as_deref() == Some("late");
        let row = match self.rows.get(&loan) {
            None => Row { loan, lender, status, note, old_status: None, ever_late: is_late },
            Some(old) if (&old.lender, &old.status, &old.note) == (&lender, &status, &note) => {
                old.clone()
            }
            Some(old) => Row {
                loan,
                lender,
                status,
                note,
                old_status: Some(old.status.clone()),
                ever_late: old.ever_late || is_late,
            },
        };
        self.rows.insert(loan, row.clone());
        row
    }

    fn transaction(&mut self, records: &mut Vec<Record>) {
        self.commit = self.lsn;
        if self.dice.one_in(40) {
            self.lsn += 5;
            self.rows.clear();
            records.push(Record::without_row("t", None, (self.commit, self.lsn)));
            return;
        }
        for _ in 0..=self.dice.below(3) {
            self.lsn += 1 + self.dice.below(9);
            let position = (self.commit, self.lsn);
            let loan = self.dice.below(30);
            let lender = ["a", "b", ""][self.dice.below(3) as usize].to_owned();
            let status = ["open", "late", "paid"][self.dice.below(3) as usize].to_owned();
            let note = [None, Some("late"), Some("a long note, kept beside the row")]
                [self.dice.below(3) as usize]
                .map(str::to_owned);
            let Some(old) = self.rows.get(&loan).cloned() else {
                let row = self.put(loan, lender, status, note);
                records.push(Record::of("c", &row, position));
                continue;
            };
            match self.dice.below(6) {
                0 => {
                    self.rows.remove(&loan);
                    records.push(Record::without_row("d", Some(loan), position));
                }
                1 => {
                    // A change of the key: gone here, and there anew.
                    let to = 100 + self.dice.below(30);
                    if !self.rows.contains_key(&to) {
                        self.rows.remove(&loan);
                        let row = self.put(to, lender, status, note);
                        records.push(Record::without_row("d", Some(loan), position));
                        records.push(Record::of("c", &row, position));
                    }
                }
                2 => {
                    let row = self.put(loan, lender, status, old.note);
                    records.push(Record {
                        note: None,
                        unchanged: Some("note"),
                        ..Record::of("u", &row, position)
                    });
                }
                3 => {
                    let row = self.put(loan, old.lender, old.status, old.note);
                    records.push(Record::of("u", &row, position));
                }
                _ => {
                    let row = self.put(loan, lender, status, note);
                    records.push(Record::of("u", &row, position));
                }
            }
        }
    }
}

fn run(seed: u64) {
    let mut table = Table {
        rows: BTreeMap::new(),
        dice: Dice(seed * 2_654_435_761 + 1),
        lsn: 1_000,
        commit: 0,
    };
    for loan in 0..10 {
        table.put(loan, "a".into(), "open".into(), None);
    }
    let mut topic: Vec<Record> =
        table.rows.values().map(|row| Record::of("r", row, (0, 1_000))).collect();
    // Each record once.
    let mut said = topic.clone();
    // With little memory, most rows are in files.
    let memory_bytes = if seed.is_multiple_of(3) { 1 << 20 } else { 2_000 };
    let mut world = World::new(1 + (seed as usize) % 3, memory_bytes);
    let mut sent = 0;
    for _ in 0..60 {
        let before = topic.len();
        for _ in 0..table.dice.below(6) {
            table.transaction(&mut topic);
        }
        said.extend_from_slice(&topic[before..]);
        if table.dice.one_in(4) {
            // The connector was restarted, and says again what it had said since it last noted
            // where it was; the first time even the snapshot.
            let from = if table.dice.one_in(3) {
                0
            } else {
                said.len() - table.dice.below(said.len() as i64 + 1) as usize
            };
            topic.extend_from_slice(&said[from..]);
        }
        let records: Vec<(i64, Record)> =
            (sent as i64..).zip(topic[sent..].iter().cloned()).collect();
        sent = topic.len();
        // Blocks, decoded by several workers, in whatever order these are done.
        let mut batches = Vec::new();
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (block, more) = rest.split_at(1 + table.dice.below(rest.len() as i64) as usize);
            batches.insert(table.dice.below(batches.len() as i64 + 1) as usize, batch(block));
            rest = more;
        }
        let snapshot = table.dice.one_in(5);
        world.epoch(&batches, snapshot);
        let expected: BTreeMap<Row, i64> =
            table.rows.values().map(|row| (row.clone(), 1)).collect();
        assert_eq!(world.there, expected, "seed {seed}, epoch {}", world.epoch);
        if table.dice.one_in(4) {
            world.restart(1 + table.dice.below(4) as usize);
        }
    }
    assert!(world.dead.is_empty());
}

#[test]
fn what_left_adds_up_to_the_table_after_every_epoch() {
    (0..200).for_each(run);
}

#[test]
fn a_repetition_leaves_no_trace() {
    let row = |status: &str| Row {
        loan: 1,
        lender: "a".into(),
        status: status.into(),
        note: None,
        old_status: None,
        ever_late: false,
    };
    let records = [
        Record::of("c", &row("open"), (5, 6)),
        Record::of("u", &row("paid"), (7, 8)),
        Record::without_row("d", Some(1), (9, 9)),
    ];
    let mut world = World::new(2, 1 << 20);
    let at = |offset: i64| (offset..).zip(records.iter().cloned()).collect::<Vec<_>>();
    world.epoch(&[batch(&at(0))], true);
    assert_eq!(world.left, 4, "added, taken back, added, taken back");
    world.restart(3);
    world.epoch(&[batch(&at(3))], false);
    assert_eq!((world.left, world.there.len()), (4, 0));
}

#[test]
fn a_truncation_before_the_last_one_touches_no_row() {
    let row = |loan| Row {
        loan,
        lender: "a".into(),
        status: "open".into(),
        note: None,
        old_status: None,
        ever_late: false,
    };
    let records = [
        Record::of("c", &row(1), (1, 1)),
        Record::without_row("t", None, (3, 3)),
        Record::without_row("t", None, (5, 5)),
        Record::of("c", &row(2), (7, 7)),
    ];
    let mut world = World::new(2, 1 << 20);
    world.epoch(&[batch(&(0..).zip(records.iter().cloned()).collect::<Vec<_>>())], false);
    let (left, there) = (world.left, world.there.clone());
    assert_eq!(there.len(), 1);
    // The first of them is told again.
    world.epoch(&[batch(&[(4, records[1].clone())])], false);
    assert_eq!((world.left, &world.there), (left, &there), "nothing leaves");
    let (_, saved) = world.changes.last().unwrap();
    let rows: usize =
        saved.iter().filter(|batch| batch.name == "rows").map(|batch| batch.rows.num_rows()).sum();
    assert_eq!(rows, 0, "and nothing is saved anew");
    world.restart(1);
    world.epoch(&[batch(&[(5, Record::of("u", &row(1), (4, 4)))])], false);
    assert_eq!(world.there, there, "a change before the truncation is old");
}

#[test]
fn a_change_without_a_key_or_of_no_known_kind_is_a_dead_letter_once() {
    let mut world = World::new(3, 1 << 20);
    let records = [
        Record::without_row("u", None, (1, 1)),
        Record::without_row("x", Some(1), (1, 2)),
        Record::without_row("x", None, (1, 3)),
    ];
    world.epoch(&[batch(&(0..).zip(records).collect::<Vec<_>>())], false);
    assert_eq!(world.reasons(), [REASON_NO_KEY, REASON_OPERATION, REASON_OPERATION]);
}

#[test]
fn a_column_that_nobody_ever_sent_is_null_and_a_dead_letter_says_so() {
    let mut world = World::new(2, 1 << 20);
    let row = |loan| Row {
        loan,
        lender: "a".into(),
        status: "open".into(),
        note: None,
        old_status: None,
        ever_late: false,
    };
    let unsent = |op, loan, position, names| Record {
        unchanged: Some(names),
        ..Record::of(op, &row(loan), position)
    };
    let records = [
        unsent("c", 1, (1, 1), "note"),
        // The row before has a null here now, so this change is no dead letter.
        unsent("u", 1, (2, 2), "note"),
        unsent("c", 2, (3, 3), "no_column_of_ours"),
        Record { note: Some("there".into()), ..Record::of("c", &row(3), (4, 4)) },
        unsent("u", 3, (5, 5), "note"),
    ];
    world.epoch(&[batch(&(0..).zip(records).collect::<Vec<_>>())], false);
    assert_eq!(world.reasons(), [REASON_UNSENT]);
    let notes: Vec<_> = world.there.keys().map(|row| (row.loan, row.note.as_deref())).collect();
    assert_eq!(notes, [(1, None), (2, None), (3, Some("there"))]);
}
