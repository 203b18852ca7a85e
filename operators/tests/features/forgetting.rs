//! Keys come and go: those whose rows no window can reach are forgotten, their numbers given again,
//! and nobody sees it.

use crate::random::{batches, random_row, random_step};
use crate::reference::{Row, Step, Value, features};
use crate::world::{Dice, Keys, World, batch, spec};
use riskstream_engine::contract::Operator;
use riskstream_engine::ids::Epoch;
use riskstream_operators::features::Function;

const SEEDS: u64 = 25;

fn check_seed(seed: u64, arrival: bool) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..5).for_each(|_| _ = dice.below(2));
    let mut step = random_step(&mut dice, arrival);
    step.features.retain(|feature| feature.0 != Function::SecondsSinceLast);
    let keys = [Keys::Integer, Keys::Text, Keys::Both][dice.below(3) as usize];
    let folder = tempfile::tempdir().unwrap();
    let memory = if dice.one_in(3) { 1 << 20 } else { 1 };
    let horizon = if dice.one_in(2) { 0 } else { dice.below(80) };
    let mut world =
        World::new(spec(&step, keys, memory), folder.path(), 1 + dice.below(3) as usize, horizon);
    let (lifetime, snapshots) = (1 + dice.below(60), 2 + dice.below(6));
    let (mut watermark, mut id) = (1_000, 0);
    let mut processed: Vec<(Row, bool)> = Vec::new();
    for epoch in 1..=60 {
        let next = watermark + 1 + dice.below(40);
        let mut rows = Vec::new();
        for _ in 0..dice.below(25) {
            let late = epoch > 1 && dice.one_in(6);
            let time = if late {
                watermark - dice.below(150)
            } else {
                watermark + 1 + dice.below(next - watermark)
            };
            id += 1;
            // A key is there for a time, and now and then one from before comes back.
            let key =
                if dice.one_in(10) { dice.below(40) } else { time / lifetime + dice.below(3) };
            rows.push(Row {
                key: Some(key),
                ..random_row(&mut dice, id, time, late, false, false)
            });
        }
        let (snapshot, crash) = (dice.one_in(snapshots), dice.one_in(8));
        world.loses_snapshots = dice.one_in(2);
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
        let seen = watermark;
        processed.extend(rows.into_iter().map(|row| {
            let is_known = epoch == 1 || row.time >= seen - horizon;
            (row, is_known)
        }));
        watermark = next;
    }
    let rows: Vec<Row> = processed.iter().map(|(row, _)| row.clone()).collect();
    for (at, (row, is_known)) in processed.iter().enumerate() {
        let mut expected = features(&step, &rows, at);
        if !is_known {
            expected.iter_mut().for_each(|value| *value = Value::Null);
        }
        assert_eq!(
            world.shown[&row.id], expected,
            "seed {seed}, arrival {arrival}, horizon {horizon}, row {at} {row:?} of {step:?}"
        );
    }
}

#[test]
fn in_event_time_order_nobody_sees_that_keys_are_forgotten() {
    (1..=SEEDS).for_each(|seed| check_seed(seed, false));
}

#[test]
fn in_arrival_order_nobody_sees_that_keys_are_forgotten() {
    (1..=SEEDS).for_each(|seed| check_seed(seed, true));
}

fn row(id: i64, time: i64, key: i64) -> Row {
    Row {
        id,
        time,
        tie: 0,
        key: Some(key),
        amount: Some(id),
        float: Some(0.1),
        whole: None,
        large: None,
        text: Some("t".into()),
        late: false,
    }
}

/// Bytes held after each of 100 epochs of so many new keys each, whose rows are in the window for
/// five epochs.
fn bytes(step: &Step, keys: Keys, restart_every: i64, new_in: fn(i64) -> i64) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(spec(step, keys, 1 << 20), folder.path(), 2, 0);
    let mut next = 1_000;
    let epochs = (1..=100).map(|epoch: i64| {
        let rows: Vec<Row> = (next..next + new_in(epoch)).map(|n| row(n, epoch * 10, n)).collect();
        next += new_in(epoch);
        world.epoch(Epoch(epoch as u64), &[batch(&rows)], epoch * 10, epoch % 4 == 0, false);
        if epoch % restart_every == 0 {
            world.start(2 + (epoch % 2) as usize);
        }
        world.operators.iter().map(Operator::state_bytes).sum()
    });
    epochs.collect()
}

#[test]
fn ever_new_keys_do_not_take_ever_more_memory() {
    let sums = vec![(Function::Count, None), (Function::Sum, Some("amount"))];
    let all = [
        sums.clone(),
        vec![
            (Function::Mean, Some("float")),
            (Function::Distinct, Some("text")),
            (Function::Last, Some("amount")),
        ],
    ]
    .concat();
    for (features, delay) in [(sums, 0), (all.clone(), 0), (all, 20)] {
        let step = Step {
            windows: vec![10, 50],
            delay,
            include: delay == 0,
            arrival: false,
            features,
            empty: None,
        };
        for (keys, restart_every) in
            [(Keys::Integer, 1_000), (Keys::Text, 1_000), (Keys::Both, 1_000), (Keys::Integer, 3)]
        {
            let bytes = bytes(&step, keys, restart_every, |_| 1_000);
            let most = |epochs: std::ops::Range<usize>| {
                bytes[epochs].iter().max().copied().unwrap_or_default()
            };
            assert!(most(75..100) <= most(25..50) * 11 / 10, "{keys:?}, delay {delay}: {bytes:?}");
        }
    }
}

#[test]
fn a_burst_of_new_keys_leaves_no_memory_behind() {
    let features = vec![(Function::Count, None), (Function::Sum, Some("amount"))];
    let step = Step {
        windows: vec![10, 50],
        delay: 0,
        include: true,
        arrival: false,
        features,
        empty: None,
    };
    for keys in [Keys::Integer, Keys::Text, Keys::Both] {
        let bytes =
            bytes(
                &step,
                keys,
                1_000,
                |epoch| if (45..50).contains(&epoch) { 10_000 } else { 1_000 },
            );
        let most = |epochs: std::ops::Range<usize>| {
            bytes[epochs].iter().max().copied().unwrap_or_default()
        };
        assert!(most(45..60) > most(25..44) * 3, "{keys:?}: {bytes:?}");
        assert!(most(85..100) <= most(25..44) * 11 / 10, "{keys:?}: {bytes:?}");
    }
}

#[test]
fn the_time_of_a_keys_last_row_is_remembered_for_ever() {
    let features = vec![(Function::SecondsSinceLast, None), (Function::Count, None)];
    let step =
        Step { windows: vec![10], delay: 0, include: true, arrival: false, features, empty: None };
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(spec(&step, Keys::Integer, 1), folder.path(), 1, 0);
    world.epoch(Epoch(1), &[batch(&[row(1, 10, 7)])], 10, true, false);
    for epoch in 2..20 {
        world.epoch(
            Epoch(epoch),
            &[batch(&[row(epoch as i64, epoch as i64 * 1_000_000, 8)])],
            epoch as i64 * 1_000_000,
            true,
            false,
        );
    }
    world.epoch(Epoch(20), &[batch(&[row(20, 20_000_010, 7)])], 20_000_010, true, false);
    assert_eq!(world.shown[&20], [Value::Float(20f64.to_bits()), Value::Integer(1)]);
}
