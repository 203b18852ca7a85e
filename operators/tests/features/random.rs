//! Random steps, rows, epochs, batches, crashes and worker counts, all equal to the reference bit
//! for bit.

use crate::reference::{Row, Step, Value, features};
use crate::world::{Dice, Keys, World, batch, spec};
use riskstream_engine::ids::Epoch;
use riskstream_operators::features::Function;

const SEEDS: u64 = 60;

pub fn random_step(dice: &mut Dice, arrival: bool) -> Step {
    let mut windows: Vec<i64> = (0..1 + dice.below(4)).map(|_| 1 + dice.below(60)).collect();
    windows.dedup();
    let simple = vec![(Function::Count, None), (Function::Mean, Some("amount"))];
    let all = vec![
        (Function::Count, None),
        (Function::Count, Some("amount")),
        (Function::Count, Some("text")),
        (Function::Sum, Some("amount")),
        (Function::Sum, Some("float")),
        (Function::Mean, Some("amount")),
        (Function::Mean, Some("float")),
        (Function::StdDev, Some("amount")),
        (Function::StdDev, Some("float")),
        (Function::Sum, Some("whole")),
        (Function::Mean, Some("whole")),
        (Function::StdDev, Some("whole")),
        (Function::Sum, Some("large")),
        (Function::Mean, Some("large")),
        (Function::StdDev, Some("large")),
        (Function::Min, Some("amount")),
        (Function::Max, Some("amount")),
        (Function::Min, Some("float")),
        (Function::Max, Some("float")),
        (Function::Distinct, Some("text")),
        (Function::Distinct, Some("amount")),
        (Function::Last, Some("amount")),
        (Function::Last, Some("float")),
        (Function::SecondsSinceLast, None),
    ];
    let features = match dice.below(3) {
        0 => simple,
        1 => all,
        _ => all
            .into_iter()
            .filter(|_| dice.one_in(3))
            .chain([(Function::SecondsSinceLast, None)])
            .collect(),
    };
    Step {
        windows,
        delay: if dice.one_in(2) { 0 } else { dice.below(30) },
        include: dice.one_in(2),
        arrival,
        features,
        empty: dice.one_in(2).then_some(0.0),
    }
}

/// Floats as people have them, and now and then what no one expects.
fn random_float(dice: &mut Dice, wild: bool) -> f64 {
    match dice.below(if wild { 12 } else { 6 }) {
        0..3 => (dice.below(2000) - 1000) as f64 / 8.0,
        3 => dice.below(100_000_000) as f64 / 100.0,
        4 => 1.0 / (1 + dice.below(1_000_000_000)) as f64,
        5 => 1.5e10 + dice.below(1_000) as f64,
        6 => f64::from_bits(0x7fef_ffff_ffff_ffff ^ (dice.below(i64::MAX) as u64 & 0xfffff)),
        7 => 1e-300 * (1 + dice.below(9)) as f64,
        8 => -2e20 * (1 + dice.below(9)) as f64,
        9 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][dice.below(3) as usize],
        10 => f64::from_bits(1 + dice.below(3) as u64),
        _ => -1e-30 * (1 + dice.below(9)) as f64,
    }
}

pub fn random_row(dice: &mut Dice, id: i64, time: i64, late: bool, nulls: bool, wild: bool) -> Row {
    let null = |dice: &mut Dice| nulls && dice.one_in(5);
    Row {
        id,
        time,
        tie: dice.below(3),
        key: if null(dice) { None } else { Some(dice.below(7) - 2) },
        amount: if null(dice) { None } else { Some(dice.below(2000) - 700) },
        float: if null(dice) { None } else { Some(random_float(dice, wild)) },
        whole: if null(dice) {
            None
        } else {
            Some((dice.below(i64::MAX) - i64::MAX / 3) >> if wild { dice.below(62) } else { 40 })
        },
        large: if null(dice) {
            None
        } else {
            Some(random_large(dice) >> if wild { dice.below(126) } else { 100 })
        },
        text: if null(dice) { None } else { Some(format!("t{}", dice.below(5))) },
        late,
    }
}

/// Up to 38 digits.
fn random_large(dice: &mut Dice) -> i128 {
    let value = i128::from(dice.below(i64::MAX)) << 62 | i128::from(dice.below(1 << 62));
    (value - (1 << 124)).clamp(-10i128.pow(38) + 1, 10i128.pow(38) - 1)
}

/// Splits rows into batches at random; in event-time order also shuffles them, now and then.
pub fn batches(dice: &mut Dice, rows: &[Row], arrival: bool) -> Vec<arrow::array::RecordBatch> {
    let mut rows = rows.to_vec();
    if !arrival && dice.one_in(2) {
        for i in (1..rows.len()).rev() {
            rows.swap(i, dice.below(i as i64 + 1) as usize);
        }
    }
    let mut out = Vec::new();
    let mut rest = &rows[..];
    while !rest.is_empty() {
        let (some, others) = rest.split_at(1 + dice.below(rest.len() as i64) as usize);
        out.push(batch(some));
        rest = others;
    }
    if !arrival && dice.one_in(2) {
        out.reverse();
    }
    out
}

fn check_seed(seed: u64, arrival: bool) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..5).for_each(|_| _ = dice.below(2));
    let step = random_step(&mut dice, arrival);
    let keys = [Keys::Integer, Keys::Text, Keys::Both][dice.below(3) as usize];
    let folder = tempfile::tempdir().unwrap();
    let memory = if dice.one_in(3) { 1 << 20 } else { 1 };
    let mut world = World::new(
        spec(&step, keys, memory),
        folder.path(),
        1 + dice.below(3) as usize,
        i64::MAX / 4,
    );
    let (epochs, most, late_rows, spread) =
        (1 + dice.below(25), 1 + dice.below(60), dice.one_in(2), 1 + dice.below(25));
    let wild_from = if dice.one_in(2) { dice.below(25) } else { 100 };
    let nulls_from = if dice.one_in(2) { dice.below(25) } else { 100 };
    let (mut watermark, mut id) = (1_000, 0);
    let mut processed: Vec<Row> = Vec::new();
    for epoch in 1..=epochs {
        let next = watermark + dice.below(40);
        let mut rows = Vec::new();
        for _ in 0..dice.below(most) {
            let late = late_rows && epoch > 1 && dice.one_in(8);
            let time = if late {
                watermark - dice.below(70)
            } else if arrival {
                watermark + 1 + dice.below(next - watermark + spread)
            } else if next > watermark {
                watermark + 1 + dice.below(next - watermark)
            } else {
                continue;
            };
            id += 1;
            rows.push(random_row(
                &mut dice,
                id,
                time,
                late,
                epoch >= nulls_from,
                epoch >= wild_from,
            ));
        }
        let (snapshot, crash) = (dice.one_in(4), dice.one_in(5));
        if crash {
            let lost = batches(&mut dice, &rows, arrival);
            world.epoch(Epoch(epoch as u64), &lost, next, snapshot, true);
            world.start(1 + dice.below(3) as usize);
        }
        let given = batches(&mut dice, &rows, arrival);
        assert!(world.epoch(Epoch(epoch as u64), &given, next, snapshot, false));
        if !arrival {
            rows.sort_by_key(|r| (r.time, r.tie, r.id));
        }
        processed.extend(rows);
        watermark = next;
    }
    assert_eq!(world.shown.len(), processed.len(), "seed {seed}: rows");
    let mut unfit = 0;
    for (at, row) in processed.iter().enumerate() {
        let expected = features(&step, &processed, at);
        unfit += expected.iter().filter(|value| matches!(value, Value::Unfit)).count();
        assert_eq!(
            world.shown[&row.id], expected,
            "seed {seed}, arrival {arrival}, row {at} {row:?} of {step:?}"
        );
    }
    assert_eq!(
        (world.unfit as usize, world.letters.len()),
        (unfit, unfit),
        "seed {seed}: sums that do not fit"
    );
}

#[test]
fn event_time_order_equals_the_reference_through_late_rows_crashes_and_rescaling() {
    (1..=SEEDS).for_each(|seed| check_seed(seed, false));
}

#[test]
fn arrival_order_equals_the_reference_through_late_rows_crashes_and_rescaling() {
    (1..=SEEDS).for_each(|seed| check_seed(seed, true));
}
