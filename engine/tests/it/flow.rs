//! How far the source may run ahead, and sources that have little to say.

use crate::source::{End, Line, LineSource};
use crate::world::{Settings, World, lines, reference, until};
use riskstream_engine::runtime::WhenQuiet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn the_source_runs_ahead_of_commits_by_the_epochs_in_flight_and_the_open_one_and_no_more() {
    let input = lines(1, 3_000);
    for in_flight in [1, 2, 4] {
        let world = World::new();
        let settings = Settings { in_flight, epoch_rows: 40, block_rows: 10, ..Settings::default() };
        settings.mischief.disk_stuck.store(true, Ordering::SeqCst);
        let source = LineSource::new(&input);
        let read = Arc::clone(&source.rows_read);
        let running = world.start(source, &settings);
        let open = || running.control.metrics.open_epoch.load(Ordering::SeqCst);
        until("all epochs in flight are closed", || open() == in_flight + 1);
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert_eq!(open(), in_flight + 1);
        assert!(read.load(Ordering::SeqCst) <= 40 * (in_flight as usize + 1));
        settings.mischief.disk_stuck.store(false, Ordering::SeqCst);
        running.end().expect("a clean run");
        assert!(world.said() == reference(&input));
    }
}

#[test]
fn no_epochs_in_flight_allowed_means_one() {
    let input = lines(1, 100);
    let world = World::new();
    world.run(&input, &Settings { in_flight: 0, ..Settings::default() }).expect("a clean run");
    assert!(world.said() == reference(&input));
}

#[test]
fn a_source_without_partitions_or_rows_ends_at_once() {
    for input in [Arc::new(vec![]), Arc::new(vec![vec![]]), Arc::new(vec![vec![], vec![], vec![]])] {
        let world = World::new();
        for _ in 0..2 {
            world.run(&input, &Settings { workers: 3, ..Settings::default() }).expect("a clean run");
        }
        assert!(world.said().is_empty() && world.dead_rows() == 0);
    }
}

#[test]
fn a_source_of_broken_rows_only_gives_dead_letters_only() {
    let world = World::new();
    world.run(&Arc::new(vec![vec![Line::Broken; 70]]), &Settings::default()).expect("a clean run");
    assert!(world.said().is_empty());
    assert_eq!(world.dead_rows(), 70);
}

#[test]
fn a_quiet_partition_holds_back_neither_the_watermark_nor_the_reading_of_others() {
    let quiet = vec![Line::Row { id: 1, key: 1, time: 1_000 }];
    let busy: Vec<Line> = (0..400).map(|id| Line::Row { id: id + 2, key: id % 5, time: 1_000 + id * 100 }).collect();
    let input = Arc::new(vec![quiet, busy]);
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow, End::Follow];
    let running = world.start(source, &Settings { idle_after: 20_000, skew_max: 500, ..Settings::default() });
    let metrics = Arc::clone(&running.control.metrics);
    until("all rows are committed", || metrics.rows_committed_total.load(Ordering::SeqCst) == 401);
    running.control.stop.store(true, Ordering::SeqCst);
    running.end().expect("a clean stop");
    world.run(&input, &Settings::default()).expect("the end of the input");
    assert_eq!(world.said().iter().filter(|s| s.kind == "row").count(), 401);
}

#[test]
fn event_time_goes_on_by_the_clock_while_nothing_happens_if_so_asked() {
    let input = Arc::new(vec![vec![Line::Row { id: 1, key: 1, time: 1_000 }, Line::Row { id: 2, key: 2, time: 1_010 }]]);
    for when_quiet in [WhenQuiet::Wait, WhenQuiet::Clock] {
        let world = World::new();
        let mut source = LineSource::new(&input);
        source.ends = vec![End::Follow];
        let running = world.start(source, &Settings { idle_after: 20_000, when_quiet, ..Settings::default() });
        let metrics = Arc::clone(&running.control.metrics);
        let quiet = || world.said().iter().filter(|s| s.kind == "quiet").count();
        match when_quiet {
            // The timers of both keys, though no row has come to move the watermark to them.
            WhenQuiet::Clock => until("both keys are said to be quiet", || quiet() == 2),
            WhenQuiet::Wait => {
                until("both rows are committed", || metrics.rows_committed_total.load(Ordering::SeqCst) == 2);
                std::thread::sleep(Duration::from_millis(100));
                assert_eq!(quiet(), 0);
            }
        }
        running.control.stop.store(true, Ordering::SeqCst);
        let committed = running.end().expect("a clean stop").committed;
        assert!(committed < 50, "{committed} epochs for two rows: event time goes on in steps");
    }
}

#[test]
fn reading_keeps_partitions_in_step_in_event_time() {
    let part = |from: i64| (0..300).map(move |i| Line::Row { id: from + i, key: i % 7, time: 1_000 + i * 10 }).collect::<Vec<_>>();
    let input = Arc::new(vec![part(0), part(1_000), part(2_000)]);
    let world = World::new();
    let settings = Settings { workers: 2, epoch_rows: 30, block_rows: 5, skew_max: 200, ..Settings::default() };
    world.run(&input, &settings).expect("a clean run");
    assert!(world.said() == reference(&input));
}
