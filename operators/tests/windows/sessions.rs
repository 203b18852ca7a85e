//! Sessions and calendar months against plain grouping: random rows, epochs, watermarks, late rows
//! that merge sessions, crashes and numbers of workers.

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

const GAP: i64 = 5 * MINUTE;
const KEEP: i64 = 40 * MINUTE;

type Row = (i64, &'static str, Option<i64>);
/// Key and start of a session.
type Place = (String, i64);
/// End, rows, sum, smallest value.
type Said = (i64, i64, Option<i64>, Option<i64>);

fn fields(is_of_changes: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("card", DataType::Utf8, false),
        Field::new("amount", DataType::Int64, true),
    ];
    fields.extend(is_of_changes.then(|| Field::new(DIFF, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.0))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.2))),
    ];
    RecordBatch::try_new(fields(false), columns).unwrap()
}

fn spec(publish: Publish, label: &str, extent: Extent, function: AggregateFunction) -> WindowsSpec {
    let of = |name: &str, function, column: Option<&str>| AggregateSpec {
        name: name.into(),
        function,
        column: column.map(Into::into),
    };
    WindowsSpec {
        step_id: "visits".into(),
        by: vec!["card".into()],
        aggregates: vec![
            of("n", AggregateFunction::Count, None),
            of("total", AggregateFunction::Sum, Some("amount")),
            of("least", function, Some("amount")),
        ],
        windows: vec![WindowKind { label: label.into(), extent }],
        publish,
        keep: KEEP,
        event_time: "time".into(),
    }
}

struct World {
    spec: WindowsSpec,
    operators: Vec<WindowsOperator>,
    saved: SavedState,
    epoch: u64,
    watermark: i64,
    taken: Vec<Row>,
    /// What was published last under each start, its revision, and whether it was final.
    said: BTreeMap<Place, (Said, i64, bool)>,
    /// Snapshots are taken, and lost before they are written.
    loses_snapshots: bool,
}

impl World {
    fn new(spec: WindowsSpec, workers: usize) -> Self {
        let mut world = Self {
            spec,
            operators: Vec::new(),
            saved: SavedState::default(),
            epoch: 0,
            watermark: i64::MIN,
            taken: Vec::new(),
            said: BTreeMap::new(),
            loses_snapshots: false,
        };
        world.restart(workers);
        world
    }

    fn restart(&mut self, workers: usize) {
        let operator = |worker| {
            let mut operator = WindowsOperator::new(self.spec.clone(), &fields(false)).unwrap();
            if !self.saved.is_empty() {
                operator.restore(&self.saved, worker, Ownership::new(workers)).unwrap();
            }
            operator
        };
        self.operators = (0..workers).map(operator).collect();
    }

    fn feed(&mut self, rows: &[Row]) -> Vec<Output> {
        let rows = batch(rows);
        let mut hashes = Vec::new();
        hash_keys(&[rows.column(1).clone()], HASH_SEED, &mut hashes).unwrap();
        let ownership = Ownership::new(self.operators.len());
        let epoch = Epoch(self.epoch + 1);
        let feed = |(worker, operator): (usize, &mut WindowsOperator)| {
            let own = hashes
                .iter()
                .enumerate()
                .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
            let own = UInt32Array::from_iter_values(own.map(|(row, _)| row as u32));
            let mut out = Output::default();
            operator.on_batch(epoch, take_record_batch(&rows, &own).unwrap(), &mut out).unwrap();
            out
        };
        self.operators.iter_mut().enumerate().map(feed).collect()
    }

    fn epoch(&mut self, rows: &[Row], watermark: i64, snapshot: bool, last: bool) {
        let outs = self.feed(rows);
        self.epoch += 1;
        let dead: usize = outs.iter().flat_map(|out| &out.dead).map(RecordBatch::num_rows).sum();
        let is_gone = |row: &&Row| {
            matches!(self.spec.windows[0].extent, Extent::Session { .. })
                && row.0 + GAP + KEEP <= self.watermark
        };
        assert_eq!(dead, rows.iter().filter(is_gone).count());
        let kept: Vec<Row> = rows.iter().filter(|row| !is_gone(row)).copied().collect();
        self.taken.extend(kept);
        let watermark = watermark.max(self.watermark);
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark: EventTime(watermark),
            watermark_before: EventTime(self.watermark),
            snapshot,
            last,
        };
        self.watermark = watermark;
        let (mut kept, mut whole): (Vec<StateBatch>, Vec<StateBatch>) = (Vec::new(), Vec::new());
        for (operator, mut out) in self.operators.iter_mut().zip(outs) {
            operator.on_close(&close, &mut out).unwrap();
            kept.extend(operator.changes(&close).unwrap());
            if snapshot {
                whole.extend(operator.snapshot(&close).unwrap());
            }
            out.rows.iter().for_each(|rows| take(rows, &mut self.said));
        }
        self.saved.changes.push((close.epoch, kept));
        if snapshot && !self.loses_snapshots {
            self.saved = SavedState { snapshot: Some((close.epoch, whole)), changes: Vec::new() };
        }
    }

    /// What the newest rows say, without the sessions that are gone.
    fn contents(&self) -> BTreeMap<Place, Said> {
        self.said
            .iter()
            .filter(|(_, said)| said.0.1 > 0)
            .map(|(place, said)| (place.clone(), said.0))
            .collect()
    }

    fn check(&self, is_ended: bool) -> Result<(), String> {
        let expected = sessions(&self.taken);
        let contents = self.contents();
        for (place, session) in &expected {
            let is_due =
                is_ended || session.0 <= self.watermark || self.spec.publish == Publish::Changes;
            match contents.get(place) {
                Some(said) if said == session || !is_due => {}
                None if !is_due => {}
                other => {
                    return Err(format!("{place:?} should say {session:?}, and says {other:?}"));
                }
            }
            if let Some((_, _, is_final)) = self.said.get(place).filter(|_| is_due)
                && *is_final != (session.0 <= self.watermark)
            {
                return Err(format!("{place:?} says {is_final}"));
            }
        }
        match contents.keys().find(|place| !expected.contains_key(*place)) {
            Some(place) => Err(format!("{place:?} is no session")),
            None => Ok(()),
        }
    }
}

fn take(rows: &RecordBatch, said: &mut BTreeMap<Place, (Said, i64, bool)>) {
    let integers =
        |name: &str| rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let times = |name: &str| {
        rows.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().clone()
    };
    let (n, total, least, revisions) =
        (integers("n"), integers("total"), integers("least"), integers("revision"));
    let (starts, ends) = (times("window_start"), times("window_end"));
    let cards = rows.column_by_name("card").unwrap().as_string::<i32>();
    let value = |column: &Int64Array, row: usize| column.is_valid(row).then(|| column.value(row));
    for row in 0..rows.num_rows() {
        let place = (cards.value(row).to_owned(), starts.value(row));
        let new = (ends.value(row), n.value(row), value(&total, row), value(&least, row));
        let is_final = rows.column_by_name("is_final").unwrap().as_boolean().value(row);
        let old = said.insert(place.clone(), (new, revisions.value(row), is_final));
        assert!(
            old.is_none_or(|old| old.1 < revisions.value(row)),
            "{place:?} was published twice in an epoch"
        );
    }
}

fn summed(rows: &[Row], end: i64) -> Said {
    let amounts: Vec<i64> = rows.iter().filter_map(|r| r.2).collect();
    (
        end,
        rows.len() as i64,
        (!amounts.is_empty()).then(|| amounts.iter().sum()),
        amounts.iter().min().copied(),
    )
}

fn sessions(rows: &[Row]) -> BTreeMap<Place, Said> {
    let mut by_card: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    rows.iter().for_each(|row| by_card.entry(row.1).or_default().push(*row));
    let mut all = BTreeMap::new();
    for (card, mut rows) in by_card {
        rows.sort();
        for session in rows.chunk_by(|a, b| b.0 - a.0 < GAP) {
            all.insert(
                (card.to_owned(), session[0].0),
                summed(session, session[session.len() - 1].0 + GAP),
            );
        }
    }
    all
}

fn any(dice: &mut Dice, time: i64) -> Row {
    (
        time,
        ["a", "b", "c", "d", "e"][dice.below(5) as usize],
        (!dice.one_in(6)).then(|| dice.below(100)),
    )
}

fn session(publish: Publish) -> WindowsSpec {
    spec(publish, "session 5m", Extent::Session { gap: GAP }, AggregateFunction::Min)
}

#[test]
fn the_newest_rows_are_the_sessions_of_all_rows_whatever_order_they_came_in() {
    for seed in 1..=200 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15).wrapping_add(5));
        let publish = if dice.one_in(2) { Publish::Changes } else { Publish::Final };
        let mut world = World::new(session(publish), 1 + dice.below(4) as usize);
        let mut now = dice.below(500) * MINUTE;
        for _ in 0..2 + dice.below(14) {
            let mut rows = Vec::new();
            for _ in 0..dice.below(20) {
                now += dice.below(3 * MINUTE);
                let behind = if dice.one_in(3) { dice.below(60 * MINUTE) } else { 0 };
                rows.push(any(&mut dice, now - behind));
            }
            if dice.one_in(5) {
                // A run that dies within the epoch: its rows come again.
                world.feed(&rows);
                world.restart(1 + dice.below(4) as usize);
            }
            world.epoch(&rows, now - 4 * MINUTE, dice.one_in(4), false);
            world
                .check(false)
                .unwrap_or_else(|e| panic!("seed {seed}, epoch {}: {e}", world.epoch));
            if dice.one_in(3) {
                world.restart(1 + dice.below(4) as usize);
            }
        }
        world.epoch(&[], now, false, true);
        world.check(true).unwrap_or_else(|e| panic!("seed {seed}, at the end: {e}"));
        let before = world.said.clone();
        world.restart(2);
        world.epoch(&[], now, false, true);
        assert!(world.said == before, "seed {seed}: a run that finds nothing new says nothing");
    }
}

#[test]
fn a_late_row_makes_one_session_of_two_and_the_second_is_taken_back() {
    let mut world = World::new(session(Publish::Changes), 1);
    let at = |minute: i64| (minute * MINUTE, "a", Some(minute));
    world.epoch(&[at(10), at(18)], 30 * MINUTE, false, false);
    assert_eq!(world.contents().len(), 2);
    world.epoch(&[at(14)], 31 * MINUTE, true, false);
    assert_eq!(
        world.said[&("a".into(), 10 * MINUTE)],
        ((23 * MINUTE, 3, Some(42), Some(10)), 2, true)
    );
    assert_eq!(
        world.said[&("a".into(), 18 * MINUTE)],
        ((23 * MINUTE, 0, None, None), 2, true),
        "it has no rows any more"
    );
    world.restart(3);
    world.epoch(&[at(6)], 32 * MINUTE, false, false);
    assert_eq!(world.said[&("a".into(), 10 * MINUTE)].0.1, 0, "it begins earlier");
    assert_eq!(world.said[&("a".into(), 6 * MINUTE)].0, (23 * MINUTE, 4, Some(48), Some(6)));
}

#[test]
fn rows_exactly_the_gap_apart_are_two_sessions_and_old_ones_are_forgotten() {
    let mut world = World::new(session(Publish::Final), 1);
    world.epoch(
        &[(0, "a", Some(1)), (GAP, "a", Some(2)), (2 * GAP - 1, "a", Some(3))],
        1_000 * MINUTE,
        false,
        false,
    );
    assert_eq!(world.contents().len(), 2);
    let bytes = world.operators[0].state_bytes();
    for minute in 1..200 {
        let time = (1_000 + minute * 10) * MINUTE;
        world.epoch(&[(time, "a", Some(1))], time, false, false);
    }
    assert!(
        world.operators[0].state_bytes() < bytes + 4_000,
        "{} after {bytes}",
        world.operators[0].state_bytes()
    );
}

#[test]
fn sessions_of_rows_that_are_taken_back_are_refused() {
    let error = WindowsOperator::new(
        spec(Publish::Final, "session 5m", Extent::Session { gap: GAP }, AggregateFunction::Sum),
        &fields(true),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no sessions"), "{error}");
}

#[test]
fn a_month_begins_with_its_first_midnight_and_quarters_hop_by_months() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let rows: Vec<Row> = (0..800).map(|day| (day * DAY + day, "a", Some(day))).collect();
    for (label, months, count) in [("1mo", 1, 1), ("1y", 12, 1), ("3mo by 1mo", 1, 3)] {
        let step = Every::Months(months);
        let mut world = World::new(
            spec(Publish::Final, label, Extent::Steps { step, count }, AggregateFunction::Max),
            2,
        );
        for rows in rows.chunks(37) {
            world.epoch(rows, rows[0].0, false, false);
            world.restart(2);
        }
        world.epoch(&[], 800 * DAY, false, true);
        let mut start = step.floor(step.advance(0, 1 - count));
        let mut expected = BTreeMap::new();
        while start < 800 * DAY {
            let end = step.advance(start, count);
            let of: Vec<Row> =
                rows.iter().filter(|r| (start..end).contains(&r.0)).copied().collect();
            let mut said = summed(&of, end);
            said.3 = of.iter().filter_map(|r| r.2).max();
            expected.insert(("a".to_owned(), start), said);
            start = step.advance(start, 1);
        }
        assert_eq!(world.contents(), expected, "{label}");
    }
}

/// One of ever new cards, or one that came before.
fn passing(dice: &mut Dice, now: i64) -> &'static str {
    let hour = now / (60 * MINUTE) - if dice.one_in(4) { dice.below(8) } else { 0 };
    format!("{hour} {}", dice.below(6)).leak()
}

#[test]
fn cards_that_come_and_go_have_the_sessions_of_all_rows() {
    for seed in 1..=40 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15).wrapping_add(77));
        let publish = if dice.one_in(2) { Publish::Changes } else { Publish::Final };
        let mut world = World::new(session(publish), 1 + dice.below(4) as usize);
        let mut now = 1_000 * 60 * MINUTE;
        for _ in 0..30 {
            let mut rows = Vec::new();
            for _ in 0..dice.below(20) {
                now += dice.below(4 * MINUTE);
                let behind = if dice.one_in(3) { dice.below(60 * MINUTE) } else { 0 };
                rows.push((now - behind, passing(&mut dice, now), Some(dice.below(100))));
            }
            world.loses_snapshots = dice.one_in(2);
            world.epoch(&rows, now - 4 * MINUTE, dice.one_in(2), false);
            world
                .check(false)
                .unwrap_or_else(|e| panic!("seed {seed}, epoch {}: {e}", world.epoch));
            if dice.one_in(3) {
                world.restart(1 + dice.below(4) as usize);
            }
        }
        world.epoch(&[], now, false, true);
        world.check(true).unwrap_or_else(|e| panic!("seed {seed}, at the end: {e}"));
    }
}

#[test]
fn ever_new_cards_take_no_more_memory_than_those_that_are_kept() {
    let mut world = World::new(session(Publish::Final), 2);
    let mut bytes = Vec::new();
    for hour in 0..60 {
        let rows: Vec<Row> = (0..500)
            .map(|n| (hour * 60 * MINUTE + n, &*format!("card {hour} {n}").leak(), Some(n)))
            .collect();
        world.epoch(&rows, (hour * 60 + 30) * MINUTE, true, false);
        bytes.push(world.operators.iter().map(WindowsOperator::state_bytes).sum::<usize>());
        if hour % 7 == 6 {
            world.restart(1 + (hour % 3) as usize);
        }
    }
    let most = |bytes: &[usize]| bytes.iter().copied().max().unwrap();
    assert!(most(&bytes[50..]) <= most(&bytes[5..15]) * 11 / 10, "{bytes:?}");
    world.epoch(&[], 100 * 60 * MINUTE, true, false);
    let left: usize = world.operators.iter().map(WindowsOperator::state_bytes).sum();
    assert!(left < most(&bytes) / 10, "{left} of {bytes:?}");
}
