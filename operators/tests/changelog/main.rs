//! The changelog step against the plain state of records at every instant: versions in any order,
//! deletions, repetitions, crashes and numbers of workers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/dice.rs"]
mod dice;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use dice::Dice;
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState, StateBatch, StateDir};
use riskstream_engine::ids::{Epoch, EventTime, Generation, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec, DIFF};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEEP: i64 = 100;

/// A version of a loan: `status` "gone" takes it away.
#[derive(Debug, Clone, PartialEq)]
struct Version {
    time: i64,
    sequence: i64,
    loan: i64,
    lender: &'static str,
    status: &'static str,
    balance: Option<i64>,
}

/// What is known of a loan: lender, status, balance, whether it ever was late.
type State = (String, String, Option<i64>, bool);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("sequence", DataType::Int64, false),
        Field::new("loan", DataType::Int64, false),
        Field::new("lender", DataType::Utf8, false),
        Field::new("status", DataType::Utf8, false),
        Field::new("balance", DataType::Int64, true),
    ]))
}

fn batch(versions: &[Version]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(versions.iter().map(|v| v.time))
                .with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter_values(versions.iter().map(|v| v.sequence))),
        Arc::new(Int64Array::from_iter_values(versions.iter().map(|v| v.loan))),
        Arc::new(StringArray::from_iter_values(versions.iter().map(|v| v.lender))),
        Arc::new(StringArray::from_iter_values(versions.iter().map(|v| v.status))),
        Arc::new(Int64Array::from_iter(versions.iter().map(|v| v.balance))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn spec() -> ChangelogSpec {
    ChangelogSpec {
        step_id: "book".into(),
        key: vec!["loan".into()],
        columns: vec!["lender".into(), "status".into(), "balance".into()],
        deleted: Some("status = 'gone'".into()),
        ever: vec![("ever_late".into(), "status = 'late'".into())],
        keep: KEEP,
        event_time: "time".into(),
        ties: vec!["sequence".into()],
        // So few that most are in files.
        memory_bytes: 2_000,
    }
}

/// Workers of one run, what was committed, and all changes so far.
struct World {
    folder: tempfile::TempDir,
    generation: u64,
    operators: Vec<ChangelogOperator>,
    snapshot: Option<(Epoch, Vec<StateBatch>)>,
    changes: Vec<(Epoch, Vec<StateBatch>)>,
    epoch: u64,
    watermark: i64,
    dead: usize,
    /// Per instant and loan's state, how often it was added less how often it was taken back.
    said: BTreeMap<(i64, i64, State), i64>,
}

impl World {
    fn new(workers: usize) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            generation: 0,
            operators: Vec::new(),
            snapshot: None,
            changes: Vec::new(),
            epoch: 0,
            watermark: i64::MIN,
            dead: 0,
            said: BTreeMap::new(),
        };
        world.restart(workers);
        world
    }

    fn restart(&mut self, workers: usize) {
        let saved = SavedState { snapshot: self.snapshot.clone(), changes: self.changes.clone() };
        self.generation += 1;
        let (root, generation) = (self.folder.path(), Generation(self.generation));
        let operator = |worker| {
            let dir = StateDir { root: root.into(), generation, worker };
            let mut operator = ChangelogOperator::new(spec(), &schema(), dir).unwrap();
            if !saved.is_empty() {
                operator.restore(&saved, worker, Ownership::new(workers)).unwrap();
            }
            operator
        };
        self.operators = (0..workers).map(operator).collect();
    }

    /// An epoch with these versions.
    fn epoch(&mut self, versions: &[Version], watermark: i64, snapshot: bool) {
        self.epoch += 1;
        self.watermark = self.watermark.max(watermark);
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark: EventTime(self.watermark),
            watermark_before: EventTime(self.watermark),
            snapshot,
            last: false,
        };
        let all = batch(versions);
        let mut hashes = Vec::new();
        hash_keys(&[all.column(2).clone()], HASH_SEED, &mut hashes).unwrap();
        let ownership = Ownership::new(self.operators.len());
        let (mut changes, mut whole) = (Vec::new(), Vec::new());
        for (worker, operator) in self.operators.iter_mut().enumerate() {
            let own = hashes
                .iter()
                .enumerate()
                .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
            let own = UInt32Array::from_iter_values(own.map(|(row, _)| row as u32));
            let mut out = Output::default();
            operator
                .on_batch(close.epoch, take_record_batch(&all, &own).unwrap(), &mut out)
                .unwrap();
            operator.on_close(&close, &mut out).unwrap();
            changes.extend(operator.changes(&close).unwrap());
            if snapshot {
                whole.extend(operator.snapshot(&close).unwrap());
            }
            self.dead += out.dead.iter().map(RecordBatch::num_rows).sum::<usize>();
            out.rows.iter().for_each(|rows| count(rows, &mut self.said));
        }
        self.changes.push((close.epoch, changes));
        if snapshot {
            self.changes.clear();
            self.snapshot = Some((close.epoch, whole));
        }
    }
}

fn count(rows: &RecordBatch, said: &mut BTreeMap<(i64, i64, State), i64>) {
    let column = |name: &str| rows.column_by_name(name).unwrap();
    let times = column("time").as_primitive::<TimestampMicrosecondType>();
    let (loans, balances) =
        (column("loan").as_primitive::<Int64Type>(), column("balance").as_primitive::<Int64Type>());
    let (lenders, statuses) =
        (column("lender").as_string::<i32>(), column("status").as_string::<i32>());
    let (ever, diffs) =
        (column("ever_late").as_boolean(), column(DIFF).as_primitive::<Int64Type>());
    for row in 0..rows.num_rows() {
        let balance = balances.is_valid(row).then(|| balances.value(row));
        let state =
            (lenders.value(row).into(), statuses.value(row).into(), balance, ever.value(row));
        let sum = said.entry((times.value(row), loans.value(row), state)).or_default();
        *sum += diffs.value(row);
    }
    said.retain(|_, sum| *sum != 0);
}

/// The changes that the versions mean: each loan's state just before and at every instant at which
/// it has a version.
fn expected(versions: &[Version]) -> BTreeMap<(i64, i64, State), i64> {
    let mut by_loan: BTreeMap<i64, Vec<&Version>> = BTreeMap::new();
    versions.iter().for_each(|v| by_loan.entry(v.loan).or_default().push(v));
    let mut said = BTreeMap::new();
    for (loan, mut versions) in by_loan {
        versions.sort_by_key(|v| (v.time, v.sequence));
        let state_after = |count: usize| -> Option<State> {
            let v = versions[..count].last().filter(|v| v.status != "gone")?;
            let since_gone =
                versions[..count].iter().rposition(|v| v.status == "gone").map_or(0, |at| at + 1);
            let late = versions[since_gone..count].iter().any(|v| v.status == "late");
            Some((v.lender.into(), v.status.into(), v.balance, late))
        };
        for (index, version) in versions.iter().enumerate() {
            if let Some(before) = state_after(index) {
                *said.entry((version.time, loan, before)).or_default() -= 1;
            }
            if let Some(after) = state_after(index + 1) {
                *said.entry((version.time, loan, after)).or_default() += 1;
            }
        }
    }
    said.retain(|_, sum: &mut i64| *sum != 0);
    said
}

fn any(dice: &mut Dice, time: i64, sequence: i64) -> Version {
    Version {
        time,
        sequence,
        loan: dice.below(6),
        lender: ["north", "south"][dice.below(2) as usize],
        status: ["current", "current", "late", "gone"][dice.below(4) as usize],
        balance: (!dice.one_in(5)).then(|| dice.below(3)),
    }
}

#[test]
fn the_changes_are_those_of_the_versions_in_order_whatever_order_they_come_in() {
    for seed in 1..=200 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15).wrapping_add(3));
        let mut world = World::new(1 + dice.below(4) as usize);
        let (mut now, mut sequence) = (0, 0);
        let mut taken: Vec<Version> = Vec::new();
        for _ in 0..1 + dice.below(15) {
            let mut versions: Vec<Version> = Vec::new();
            for _ in 0..dice.below(25) {
                now += dice.below(12);
                sequence += 1;
                if dice.one_in(8) && !taken.is_empty() {
                    // A repetition, as after a restart of the source.
                    let again = taken[dice.below(taken.len() as i64) as usize].clone();
                    if again.time > world.watermark.saturating_sub(KEEP) {
                        versions.push(again);
                    }
                    continue;
                }
                let behind = if dice.one_in(3) { dice.below(KEEP / 2) } else { 0 };
                versions.push(any(&mut dice, now - behind, sequence));
            }
            world.epoch(&versions, now - 20, dice.one_in(4));
            for version in versions {
                if !taken.contains(&version) {
                    taken.push(version);
                }
            }
            assert!(
                world.said == expected(&taken),
                "seed {seed}: {:?}\nexpected {:?}",
                world.said,
                expected(&taken)
            );
            if dice.one_in(3) {
                world.restart(1 + dice.below(4) as usize);
            }
        }
        assert_eq!(world.dead, 0, "seed {seed}");
    }
}

#[test]
fn a_version_older_than_what_is_kept_is_a_dead_letter() {
    let mut dice = Dice(5);
    let mut world = World::new(2);
    let first = any(&mut dice, 1_000, 1);
    world.epoch(std::slice::from_ref(&first), 1_000, false);
    world.epoch(&[any(&mut dice, 1_000 - KEEP, 2)], 1_000, false);
    assert_eq!(world.dead, 1);
    assert!(world.said == expected(&[first]));
}
