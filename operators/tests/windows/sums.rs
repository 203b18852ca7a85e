//! Sums of any floats, and of whole numbers and decimals that their types do not hold: against
//! large numbers, with rows that are taken back, rows that are added up before they travel, crashes
//! and numbers of workers.

use crate::MINUTE;
use crate::nearest::{fraction, nearest};
use crate::world::Dice;
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use num_rational::BigRational;
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState, StateBatch, TOTALS};
use riskstream_engine::ids::{Epoch, EventTime, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use riskstream_operators::changelog::DIFF;
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone)]
struct Row {
    time: i64,
    key: &'static str,
    whole: Option<i64>,
    large: Option<i128>,
    float: Option<f64>,
    diff: i64,
}

fn schema(has_diff: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("key", DataType::Utf8, false),
        Field::new("whole", DataType::Int64, true),
        Field::new("large", DataType::Decimal128(38, 2), true),
        Field::new("float", DataType::Float64, true),
    ];
    fields.extend(has_diff.then(|| Field::new(DIFF, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

fn batch(rows: &[Row], has_diff: bool) -> RecordBatch {
    let large = Decimal128Array::from_iter(rows.iter().map(|r| r.large));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.time))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.key))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.whole))),
        Arc::new(large.with_precision_and_scale(38, 2).unwrap()),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.float))),
    ];
    if has_diff {
        columns.push(Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.diff))));
    }
    RecordBatch::try_new(schema(has_diff), columns).unwrap()
}

fn spec(kinds: &[(&str, Extent)]) -> WindowsSpec {
    let of = |name: &str, function, column: Option<&str>| AggregateSpec {
        name: name.into(),
        function,
        column: column.map(Into::into),
    };
    WindowsSpec {
        step_id: "sums".into(),
        by: vec!["key".into()],
        aggregates: vec![
            of("n", AggregateFunction::Count, None),
            of("whole", AggregateFunction::Sum, Some("whole")),
            of("large", AggregateFunction::Sum, Some("large")),
            of("float", AggregateFunction::Sum, Some("float")),
            of("mean_whole", AggregateFunction::Mean, Some("whole")),
            of("mean_large", AggregateFunction::Mean, Some("large")),
            of("mean_float", AggregateFunction::Mean, Some("float")),
        ],
        windows: kinds
            .iter()
            .map(|(label, extent)| WindowKind { label: label.to_string(), extent: *extent })
            .collect(),
        publish: Publish::Changes,
        keep: 1_000 * MINUTE,
        event_time: "time".into(),
    }
}

fn random(dice: &mut Dice, time: i64) -> Row {
    let float = match dice.below(9) {
        0 => 1e-30,
        1 => -3e20,
        2 => f64::MAX,
        3 => f64::from_bits(1 + dice.below(9) as u64),
        4 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][dice.below(3) as usize],
        _ => (dice.below(2_000_000) - 1_000_000) as f64 / 100.0,
    };
    // As large as can be, half of the time.
    let shift = |dice: &mut Dice, most: i64| if dice.one_in(2) { 0 } else { dice.below(most) };
    let bits = |dice: &mut Dice| dice.below(1 << 53) << 10 | dice.below(1 << 10);
    let large = (i128::from(bits(dice)) << 63 | i128::from(bits(dice))).min(10i128.pow(38) - 1);
    Row {
        time,
        key: ["A", "B", "C"][dice.below(3) as usize],
        whole: (!dice.one_in(7)).then(|| bits(dice) >> shift(dice, 60)),
        large: (!dice.one_in(7))
            .then_some(if dice.one_in(2) { large } else { -large } >> shift(dice, 120)),
        float: (!dice.one_in(7)).then_some(float),
        diff: 1,
    }
}

/// What a window's row says of sums and means, and how many sums did not fit.
#[derive(Debug)]
struct Said {
    end: i64,
    n: i64,
    whole: Option<i64>,
    large: Option<i128>,
    float: Option<f64>,
    means: [Option<f64>; 3],
    revision: i64,
}

/// Label, key, start; the end of a window without a start.
type Place = (String, String, Option<i64>, Option<i64>);

struct World {
    spec: WindowsSpec,
    has_diff: bool,
    operators: Vec<WindowsOperator>,
    saved: SavedState,
    epoch: u64,
    said: BTreeMap<Place, Said>,
    nulls: u64,
    unfit: u64,
    letters: u64,
}

impl World {
    fn restart(&mut self, workers: usize) {
        let operator = |worker| {
            let mut operator =
                WindowsOperator::new(self.spec.clone(), &schema(self.has_diff)).unwrap();
            if !self.saved.is_empty() {
                operator.restore(&self.saved, worker, Ownership::new(workers)).unwrap();
            }
            operator
        };
        self.operators = (0..workers).map(operator).collect();
    }

    fn feed(&mut self, rows: &[Row], is_combined: bool) {
        let all = batch(rows, self.has_diff);
        let mut sent = Output::default();
        match self.operators[0].combiner().filter(|_| is_combined) {
            Some(mut combiner) => combiner.on_batch(Epoch(self.epoch + 1), all, &mut sent).unwrap(),
            None => sent.push(all),
        }
        for rows in &sent.rows {
            let key = usize::from(!rows.schema_ref().metadata().contains_key(TOTALS));
            let mut hashes = Vec::new();
            hash_keys(&[rows.column(key).clone()], HASH_SEED, &mut hashes).unwrap();
            let ownership = Ownership::new(self.operators.len());
            for (worker, operator) in self.operators.iter_mut().enumerate() {
                let own = hashes
                    .iter()
                    .enumerate()
                    .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
                let own = UInt32Array::from_iter_values(own.map(|(row, _)| row as u32));
                operator
                    .on_batch(
                        Epoch(self.epoch + 1),
                        take_record_batch(rows, &own).unwrap(),
                        &mut Output::default(),
                    )
                    .unwrap();
            }
        }
    }

    fn close(&mut self, watermark: i64, snapshot: bool) {
        self.epoch += 1;
        let watermark = EventTime(watermark);
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark,
            watermark_before: EventTime::MIN,
            snapshot,
            last: false,
        };
        let (mut changes, mut whole): (Vec<StateBatch>, Vec<StateBatch>) = (Vec::new(), Vec::new());
        for operator in &mut self.operators {
            let mut out = Output::default();
            operator.on_close(&close, &mut out).unwrap();
            changes.extend(operator.changes(&close).unwrap());
            if snapshot {
                whole.extend(operator.snapshot(&close).unwrap());
            }
            self.unfit += out.unfit.values().sum::<u64>();
            self.letters += out.dead.iter().map(|dead| dead.num_rows() as u64).sum::<u64>();
            out.rows.iter().for_each(|rows| take(rows, &mut self.said, &mut self.nulls));
        }
        self.saved.changes.push((close.epoch, changes));
        if snapshot {
            self.saved = SavedState { snapshot: Some((close.epoch, whole)), changes: Vec::new() };
        }
    }
}

fn take(rows: &RecordBatch, said: &mut BTreeMap<Place, Said>, nulls: &mut u64) {
    let column = |name: &str| rows.column_by_name(name).unwrap();
    let time = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>().clone();
    let (starts, ends) = (time("window_start"), time("window_end"));
    let float = |name: &str, row: usize| {
        let floats = column(name).as_primitive::<Float64Type>();
        floats.is_valid(row).then(|| floats.value(row))
    };
    let (whole, large) = (
        column("whole").as_primitive::<Int64Type>(),
        column("large").as_primitive::<Decimal128Type>(),
    );
    for row in 0..rows.num_rows() {
        let text = |name: &str| column(name).as_string::<i32>().value(row).to_owned();
        let start = starts.is_valid(row).then(|| starts.value(row));
        let place = (text("window"), text("key"), start, start.is_none().then(|| ends.value(row)));
        let new = Said {
            end: ends.value(row),
            n: column("n").as_primitive::<Int64Type>().value(row),
            whole: whole.is_valid(row).then(|| whole.value(row)),
            large: large.is_valid(row).then(|| large.value(row)),
            float: float("float", row),
            means: ["mean_whole", "mean_large", "mean_float"].map(|name| float(name, row)),
            revision: column("revision").as_primitive::<Int64Type>().value(row),
        };
        *nulls += u64::from(new.whole.is_none() && new.means[0].is_some())
            + u64::from(new.large.is_none() && new.means[1].is_some());
        let revision = new.revision;
        assert!(
            said.insert(place, new).is_none_or(|old| old.revision < revision),
            "published twice in an epoch"
        );
    }
}

fn check(place: &Place, said: &Said, rows: &[Row]) {
    let within = |row: &&Row| {
        row.key == place.1 && place.2.is_none_or(|start| start <= row.time) && row.time < said.end
    };
    let rows: Vec<&Row> = rows.iter().filter(within).collect();
    let times = |row: &Row| BigRational::from_integer(row.diff.into());
    let count =
        |has: fn(&Row) -> bool| rows.iter().filter(|row| has(row)).map(|row| row.diff).sum::<i64>();
    assert_eq!(said.n, count(|_| true), "{place:?}");
    let about = |mean: Option<f64>, exact: BigRational| {
        let (mean, exact) = (mean.unwrap(), nearest(&exact));
        assert!(
            (mean - exact).abs() <= exact.abs() * 2.0 * f64::EPSILON,
            "{place:?}: {mean} for {exact}"
        );
    };
    let mean =
        |sum: &BigRational, n: i64, unit: i64| sum / BigRational::from_integer((n * unit).into());
    let n = count(|row| row.whole.is_some());
    let sum: BigRational = rows
        .iter()
        .filter_map(|row| Some(BigRational::from_integer(row.whole?.into()) * times(row)))
        .sum();
    let fits = i64::try_from(sum.to_integer()).ok();
    assert_eq!(said.whole, fits.filter(|_| n > 0), "{place:?}");
    if n > 0 {
        about(said.means[0], mean(&sum, n, 1));
    }
    let n = count(|row| row.large.is_some());
    let sum: BigRational = rows
        .iter()
        .filter_map(|row| Some(BigRational::from_integer(row.large?.into()) * times(row)))
        .sum();
    let fits = i128::try_from(sum.to_integer()).ok().filter(|sum| sum.abs() < 10i128.pow(38));
    assert_eq!(said.large, fits.filter(|_| n > 0), "{place:?}");
    if n > 0 {
        about(said.means[1], mean(&sum, n, 100));
    }
    let n = count(|row| row.float.is_some());
    let has = |what: f64| {
        rows.iter()
            .filter(|row| row.float.map(f64::to_bits) == Some(what.to_bits()))
            .map(|row| row.diff)
            .sum::<i64>()
            > 0
    };
    let special = match (has(f64::NAN), has(f64::INFINITY), has(f64::NEG_INFINITY)) {
        (false, false, false) => None,
        (false, true, false) => Some(f64::INFINITY),
        (false, false, true) => Some(f64::NEG_INFINITY),
        _ => Some(f64::NAN),
    };
    match special {
        _ if n <= 0 => assert_eq!(said.float, None, "{place:?}"),
        Some(special) => {
            assert_eq!(said.float.map(f64::to_bits), Some(special.to_bits()), "{place:?}");
            assert_eq!(said.means[2].map(f64::to_bits), Some(special.to_bits()), "{place:?}");
        }
        None => {
            let finite = |row: &&Row| {
                row.float
                    .filter(|float| float.is_finite())
                    .map(|float| fraction(float) * times(row))
            };
            let sum: BigRational = rows.iter().filter_map(finite).sum();
            assert_eq!(said.float, Some(nearest(&sum)), "{place:?}");
            about(said.means[2], mean(&sum, n, 1));
        }
    }
}

fn run(seed: u64, kinds: &[(&str, Extent)], has_diff: bool) -> u64 {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut world = World {
        spec: spec(kinds),
        has_diff,
        operators: Vec::new(),
        saved: SavedState::default(),
        epoch: 0,
        said: BTreeMap::new(),
        nulls: 0,
        unfit: 0,
        letters: 0,
    };
    world.restart(1 + dice.below(3) as usize);
    let mut rows: Vec<Row> = Vec::new();
    let mut now = 0;
    for _ in 0..8 {
        let mut new: Vec<Row> = (0..dice.below(25))
            .map(|_| {
                now += dice.below(2 * MINUTE);
                let behind = if dice.one_in(5) { dice.below(20 * MINUTE) } else { 0 };
                random(&mut dice, now - behind)
            })
            .collect();
        if has_diff {
            // Some of what was there is taken back: what is no longer there leaves no trace.
            let standing: Vec<Row> = rows.iter().filter(|_| dice.one_in(3)).cloned().collect();
            for row in standing {
                let named = |row: &Row| format!("{:?}", Row { diff: 1, ..row.clone() });
                let left: i64 = rows
                    .iter()
                    .chain(&new)
                    .filter(|other| named(other) == named(&row))
                    .map(|other| other.diff)
                    .sum();
                if left > 0 {
                    new.push(Row { diff: -1, ..row });
                }
            }
        }
        if dice.one_in(4) {
            // A run that dies within the epoch: its rows come again.
            world.feed(&new, dice.one_in(2));
            world.restart(1 + dice.below(3) as usize);
        }
        let half = new.len() / 2;
        world.feed(&new[..half], dice.one_in(2));
        world.feed(&new[half..], dice.one_in(2));
        rows.extend(new);
        world.close(now - 5 * MINUTE, dice.one_in(3));
        if dice.one_in(3) {
            world.restart(1 + dice.below(3) as usize);
        }
    }
    world.close(now + 100 * MINUTE, false);
    for (place, said) in world.said.iter().filter(|(_, said)| said.n > 0) {
        check(place, said, &rows);
    }
    assert_eq!(
        (world.unfit, world.letters),
        (world.nulls, world.nulls),
        "seed {seed}: each sum that does not fit is said"
    );
    world.unfit
}

#[test]
fn sums_over_changes_are_exact_or_said_not_to_fit() {
    let kinds = [
        ("10m", Extent::Steps { step: Every::Micros(10 * MINUTE), count: 1 }),
        ("30m by 10m", Extent::Steps { step: Every::Micros(10 * MINUTE), count: 3 }),
        ("always by 10m", Extent::Always { step: Every::Micros(10 * MINUTE) }),
    ];
    let unfit: u64 = (1..=60).map(|seed| run(seed, &kinds, true)).sum();
    assert!(unfit > 100, "{unfit} sums did not fit: too few to say anything");
}

#[test]
fn sums_of_sessions_are_exact_or_said_not_to_fit() {
    let kinds = [
        ("session 5m", Extent::Session { gap: 5 * MINUTE }),
        ("10m", Extent::Steps { step: Every::Micros(10 * MINUTE), count: 1 }),
    ];
    let unfit: u64 = (100..=160).map(|seed| run(seed, &kinds, false)).sum();
    assert!(unfit > 100, "{unfit} sums did not fit: too few to say anything");
}
