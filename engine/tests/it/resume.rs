//! Stopping and going on.

use crate::source::{End, Line, LineSource};
use crate::world::{Settings, World, broken, lines, reference, until};
use riskstream_engine::runtime::RunError;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[test]
fn a_stopped_run_goes_on_where_it_was_with_other_workers() {
    let input = lines(2, 600);
    let world = World::new();
    let mut resumed_after = 0;
    for (round, workers) in [1, 3, 2].into_iter().enumerate() {
        // The input up to here is there, the rest appears after the restart.
        let upto = 100 * (round + 1);
        let part: Arc<Vec<Vec<Line>>> =
            Arc::new(input.iter().map(|p| p[..upto.min(p.len())].to_vec()).collect());
        let mut source = LineSource::new(&part);
        source.ends = vec![End::Follow; 2];
        let read = Arc::clone(&source.rows_read);
        let running = world.start(source, &Settings { workers, ..Settings::default() });
        until("all was read", || read.load(Ordering::SeqCst) == 200);
        running.control.stop.store(true, Ordering::SeqCst);
        let summary = running.end().expect("a clean stop");
        assert!(summary.stopped);
        assert_eq!((summary.generation, summary.resumed_after), (round as u64 + 1, resumed_after));
        assert!(summary.committed > resumed_after);
        resumed_after = summary.committed;
    }
    let summary = world.run(&input, &Settings::default()).expect("the rest");
    assert!(!summary.stopped);
    assert!(world.said() == reference(&input));
    assert_eq!(world.dead_rows(), broken(&input));
}

#[test]
fn restored_state_is_not_kept_beside_the_steps_that_took_it() {
    let input = lines(2, 600);
    let world = World::new();
    world
        .run(&Arc::new(input.iter().map(|p| p[..100].to_vec()).collect()), &Settings::default())
        .expect("a clean run");
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow; 2];
    let settings = Settings { workers: 3, ..Settings::default() };
    let running = world.start(source, &settings);
    let metrics = Arc::clone(&running.control.metrics);
    until("a row is committed", || metrics.rows_committed_total.load(Ordering::SeqCst) > 0);
    let given = settings.mischief.given.lock().expect("free").clone();
    assert!(!given.is_empty(), "there was state to restore");
    assert!(
        given.iter().all(|column| column.upgrade().is_none()),
        "it is still there while the run goes on"
    );
    running.control.stop.store(true, Ordering::SeqCst);
    running.end().expect("a clean stop");
}

#[test]
fn a_restart_with_nothing_new_ends_at_once_and_delivers_nothing_again() {
    let input = lines(2, 300);
    let world = World::new();
    world.run(&input, &Settings::default()).expect("a clean run");
    let before = world.said();
    for _ in 0..3 {
        let source = LineSource::new(&input);
        let read = Arc::clone(&source.rows_read);
        world.start(source, &Settings::default()).end().expect("a clean run");
        assert_eq!(read.load(Ordering::SeqCst), 0, "nothing is read again");
    }
    assert!(world.said() == before && before == reference(&input));
}

#[test]
fn what_was_committed_and_not_delivered_is_delivered_by_the_next_run() {
    let input = lines(2, 400);
    for under_way in [1, 2, 3] {
        let world = World::new();
        world.table.lock().expect("free").refuse_from = Some(riskstream_engine::ids::Epoch(3));
        let running =
            world.start(LineSource::new(&input), &Settings { under_way, ..Settings::default() });
        let metrics = Arc::clone(&running.control.metrics);
        let error = running.end().expect_err("the table refuses");
        assert!(error.to_string().contains("the table is closed"), "{error}");
        let through = world.table.lock().expect("free").through.map_or(0, |epoch| epoch.0);
        assert!(
            metrics.delivered_epoch.load(Ordering::SeqCst) <= through,
            "only what is visible counts as delivered"
        );
        world.table.lock().expect("free").refuse_from = None;
        world
            .run(&input, &Settings { workers: 3, under_way, ..Settings::default() })
            .expect("a clean run");
        assert!(world.said() == reference(&input));
    }
}

#[test]
fn deliveries_that_overlap_bring_the_same_in_the_same_order() {
    let input = lines(2, 1_000);
    for under_way in [2, 3, 8] {
        let world = World::new();
        let settings = Settings { epoch_rows: 20, block_rows: 5, under_way, ..Settings::default() };
        let running = world.start(LineSource::new(&input), &settings);
        let metrics = Arc::clone(&running.control.metrics);
        let summary = running.end().expect("a clean run");
        assert_eq!(metrics.delivered_epoch.load(Ordering::SeqCst), summary.committed);
        assert!(world.said() == reference(&input));
    }
}

#[test]
fn a_sink_for_which_rows_wait_is_not_taken_out_until_they_are_delivered_or_given_up() {
    for given_up in [false, true] {
        let input = lines(1, 400);
        let world = World::new();
        world.table.lock().expect("free").refuse_from = Some(riskstream_engine::ids::Epoch(3));
        world.run(&input, &Settings::default()).expect_err("the table refuses");
        let without = Settings { with_sink: false, ..Settings::default() };
        let error = world.run(&input, &without).expect_err("rows would be lost");
        assert!(matches!(&error, RunError::SinkGone { sink, .. } if sink == "out"), "{error}");
        if given_up {
            std::fs::remove_file(world.store().join("delivered.json")).expect("deleted");
        } else {
            world.table.lock().expect("free").refuse_from = None;
            world.run(&input, &Settings::default()).expect("a clean run");
            assert!(world.said() == reference(&input));
        }
        world.run(&input, &without).expect("nothing waits");
    }
}

#[test]
fn epochs_and_snapshots_that_nothing_needs_are_collected() {
    let input = lines(1, 2_000);
    let world = World::new();
    let settings =
        Settings { epoch_rows: 20, block_rows: 20, snapshot_every: 4, ..Settings::default() };
    let summary = world.run(&input, &settings).expect("a clean run");
    assert!(summary.committed >= 100);
    assert!(world.files("snapshots").len() <= 2);
    assert!(
        world.files("epochs").len() < 60,
        "{} epoch files are left",
        world.files("epochs").len()
    );
    assert!(world.said() == reference(&input));
}
