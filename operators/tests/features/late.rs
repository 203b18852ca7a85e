//! Edges of time: boundaries, rows beyond the horizon, files that are given up, values near the
//! ends of their types, specs that do not fit.

use crate::reference::{Row, Step, Value};
use crate::world::{Keys, World, batch, schema, spec};
use riskstream_engine::ids::{Epoch, Generation};
use riskstream_operators::features::{FeaturesOperator, Function};

fn row(id: i64, time: i64, amount: i64) -> Row {
    Row {
        id,
        time,
        tie: 0,
        key: Some(1),
        amount: Some(amount),
        float: Some(1.5),
        whole: None,
        large: None,
        text: None,
        late: false,
    }
}

fn step() -> Step {
    let features = vec![(Function::Count, None), (Function::Sum, Some("amount"))];
    Step { windows: vec![10], delay: 0, include: true, arrival: false, features, empty: None }
}

fn counts(world: &World<'_>, ids: std::ops::RangeInclusive<i64>) -> Vec<Value> {
    ids.map(|id| world.shown[&id][0].clone()).collect()
}

#[test]
fn a_row_exactly_a_window_earlier_is_out_and_exactly_a_delay_earlier_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [row(1, 0, 1), row(2, 1, 1), row(3, 10, 1), row(4, 11, 1)];
    let mut world = World::new(spec(&step(), Keys::Integer, 0), folder.path(), 1, 0);
    world.epoch(Epoch(1), &[batch(&rows)], 11, false, false);
    assert_eq!(counts(&world, 1..=4), [1, 2, 2, 2].map(Value::Integer));

    let delayed = Step { delay: 1, ..step() };
    let mut world = World::new(spec(&delayed, Keys::Integer, 0), folder.path(), 1, 0);
    world.epoch(Epoch(1), &[batch(&rows)], 11, false, false);
    assert_eq!(counts(&world, 1..=4), [0, 1, 2, 2].map(Value::Integer));
}

#[test]
fn a_row_beyond_the_horizon_gets_nulls_but_is_processed() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(spec(&step(), Keys::Integer, 0), folder.path(), 1, 5);
    world.epoch(Epoch(1), &[batch(&[row(1, 100, 1)])], 100, false, false);
    let late = |id, time| Row { late: true, ..row(id, time, 1) };
    world.epoch(Epoch(2), &[batch(&[late(2, 94), late(3, 95), row(4, 101, 1)])], 101, false, false);
    assert_eq!(world.shown[&2], [Value::Null, Value::Null]);
    assert_eq!(world.shown[&3], [Value::Integer(2), Value::Integer(2)]);
    assert_eq!(world.shown[&4], [Value::Integer(4), Value::Integer(4)]);
}

#[test]
fn segments_behind_every_window_are_given_up_and_memory_stays_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(spec(&step(), Keys::Integer, 4096), folder.path(), 2, 10);
    let (mut id, mut most) = (0, 0);
    for epoch in 1..=200 {
        let rows: Vec<Row> = (0..50)
            .map(|_| {
                id += 1;
                Row { key: Some(id % 5), ..row(id, id / 25, 1) }
            })
            .collect();
        world.epoch(Epoch(epoch), &[batch(&rows)], id / 25, epoch % 10 == 0, false);
        most = most.max(
            world.operators.iter().map(riskstream_engine::contract::Operator::state_bytes).sum(),
        );
    }
    assert!(world.files() < 60, "{} files of {} rows", world.files(), id);
    assert!(most < 128 << 10, "{most} bytes");
}

#[test]
fn sums_beyond_64_bits_go_on_in_128() {
    let folder = tempfile::tempdir().unwrap();
    let all = Step { windows: vec![2, 1000], ..step() };
    let mut world = World::new(spec(&all, Keys::Integer, 0), folder.path(), 1, 0);
    let large = 999_999_999_999_999_999 / 10;
    let mut id = 0;
    for epoch in 1..=5u64 {
        let rows: Vec<Row> = (0..60)
            .map(|_| {
                id += 1;
                row(id, id, if epoch == 1 { -7 } else { large })
            })
            .collect();
        world.epoch(Epoch(epoch), &[batch(&rows)], id, epoch % 2 == 0, false);
        if epoch == 3 {
            world.start(2);
        }
    }
    let expected = -7 * 60 + i128::from(large) * 240;
    assert_eq!(world.shown[&300], [2, 300, i128::from(large) * 2, expected].map(Value::Integer));
}

#[test]
fn a_step_that_does_not_fit_its_input_is_refused_with_advice() {
    let build = |change: fn(&mut riskstream_operators::features::FeaturesSpec)| {
        let mut spec = spec(&step(), Keys::Integer, 0);
        change(&mut spec);
        let dir = riskstream_engine::contract::StateDir {
            root: "unused".into(),
            generation: Generation(1),
            worker: 0,
        };
        FeaturesOperator::new(spec, &schema(), dir).map(|_| ()).unwrap_err().to_string()
    };
    assert!(build(|s| s.by = vec!["float".into()]).contains("float"));
    assert!(build(|s| s.by.clear()).contains("by ="));
    assert!(build(|s| s.features[1].column = Some("text".into())).contains("cast it"));
    assert!(
        build(|s| s.features[1].column = Some("nothing".into())).contains("there are: time, tie")
    );
    assert!(build(|s| s.windows.clear()).contains("over"));
    assert!(build(|s| s.windows[0].micros = 0).contains("too short"));
    assert!(build(|s| s.features[1].name = "f0".into()).contains("two columns f0_w0"));
    assert!(build(|s| s.event_time = 1).contains("timestamp"));
}
