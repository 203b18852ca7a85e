//! How far the source may run ahead, and sources that have little to say.

use crate::source::{End, Line, LineSource};
use crate::world::{Settings, World, lines, reference, until};
use riskstream_engine::runtime::WhenQuiet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn the_source_runs_ahead_of_commits_by_the_epochs_in_flight_and_the_open_one_and_no_more() {
    let input = lines(1, 3_000);
    for in_flight in [1, 2, 4] {
        let world = World::new();
        let settings =
            Settings { in_flight, epoch_rows: 40, block_rows: 10, ..Settings::default() };
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
    for input in [Arc::new(vec![]), Arc::new(vec![vec![]]), Arc::new(vec![vec![], vec![], vec![]])]
    {
        let world = World::new();
        for _ in 0..2 {
            world
                .run(&input, &Settings { workers: 3, ..Settings::default() })
                .expect("a clean run");
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
    let busy: Vec<Line> =
        (0..400).map(|id| Line::Row { id: id + 2, key: id % 5, time: 1_000 + id * 100 }).collect();
    let input = Arc::new(vec![quiet, busy]);
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow, End::Follow];
    let running =
        world.start(source, &Settings { idle_after: 20_000, skew_max: 500, ..Settings::default() });
    let metrics = Arc::clone(&running.control.metrics);
    until("all rows are committed", || metrics.rows_committed_total.load(Ordering::SeqCst) == 401);
    running.control.stop.store(true, Ordering::SeqCst);
    running.end().expect("a clean stop");
    world.run(&input, &Settings::default()).expect("the end of the input");
    assert_eq!(world.said().iter().filter(|s| s.kind == "row").count(), 401);
}

#[test]
fn event_time_goes_on_by_the_clock_while_nothing_happens_if_so_asked() {
    let input = Arc::new(vec![vec![
        Line::Row { id: 1, key: 1, time: 1_000 },
        Line::Row { id: 2, key: 2, time: 1_010 },
    ]]);
    for when_quiet in [WhenQuiet::Wait, WhenQuiet::Clock] {
        let world = World::new();
        let mut source = LineSource::new(&input);
        source.ends = vec![End::Follow];
        let running = world
            .start(source, &Settings { idle_after: 20_000, when_quiet, ..Settings::default() });
        let metrics = Arc::clone(&running.control.metrics);
        let quiet = || world.said().iter().filter(|s| s.kind == "quiet").count();
        match when_quiet {
            // The timers of both keys, though no row has come to move the watermark to them.
            WhenQuiet::Clock => until("both keys are said to be quiet", || quiet() == 2),
            WhenQuiet::Wait => {
                until("both rows are committed", || {
                    metrics.rows_committed_total.load(Ordering::SeqCst) == 2
                });
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
fn an_endless_source_without_partitions_waits_until_it_is_stopped() {
    let world = World::new();
    let input = Arc::new(vec![vec![Line::Row { id: 1, key: 1, time: 1_000 }]]);
    let found = Arc::new(AtomicBool::new(false));
    let mut source = LineSource::new(&input);
    source.endless = true;
    source.found_later = Some((0, Arc::clone(&found)));
    let running = world.start(source, &Settings::default());
    let metrics = Arc::clone(&running.control.metrics);
    until("it is ready", || metrics.ready_nanos.load(Ordering::SeqCst) > 0);
    // The feed asks for partitions again in each round; a run that takes "none" for the end ends in
    // the first.
    std::thread::sleep(Duration::from_millis(50));
    found.store(true, Ordering::SeqCst);
    until("the row of the partition that came is committed", || {
        metrics.rows_committed_total.load(Ordering::SeqCst) == 1
    });
    running.control.stop.store(true, Ordering::SeqCst);
    assert!(
        running.end().expect("a clean stop").stopped,
        "all partitions have ended, but others may come"
    );
}

#[test]
fn no_partition_is_read_further_ahead_of_the_slowest_than_the_skew_allows() {
    let row = |from: i64, i: i64| Line::Row { id: from + i, key: i % 7, time: 1_000 + i * 10 };
    let slow: Vec<Line> = (0..10).map(|i| row(0, i)).collect();
    let fast = |from: i64| (0..300).map(|i| row(from, i)).collect::<Vec<_>>();
    let input = Arc::new(vec![slow, fast(1_000), fast(2_000)]);
    let world = World::new();
    let settings = Settings {
        workers: 2,
        epoch_rows: 30,
        block_rows: 5,
        skew_max: 200,
        ..Settings::default()
    };
    let mut source = LineSource::new(&input);
    source.ends[0] = End::Stuck;
    let (polls, freed) = (Arc::clone(&source.polls), Arc::clone(&source.freed));
    let running = world.start(source, &settings);
    // Rows 0 to 9 of the slow one, so the others may be read while what was decoded of them is
    // within 200 of row 9: up to row 29. A block that an epoch has little room for is a short one,
    // so that blocks begin at any row.
    until("the others are as far as they may be", || {
        let polls = polls.lock().expect("free");
        (1..3).all(|p| polls.iter().any(|(partition, first)| *partition == p && *first >= 25))
    });
    std::thread::sleep(Duration::from_millis(50));
    let furthest = polls.lock().expect("free").iter().map(|(_, first)| *first).max();
    assert!(
        furthest <= Some(40),
        "row {furthest:?}: beyond row 29, the one that shows it, and two blocks that are not \
         decoded yet"
    );
    freed.store(true, Ordering::SeqCst);
    running.end().expect("a clean run");
    assert!(world.said() == reference(&input));
}

/// One partition that says nothing, and one with many rows.
fn silent_beside_busy() -> Arc<Vec<Vec<Line>>> {
    Arc::new(vec![
        vec![],
        (0..20_000).map(|id| Line::Row { id: id + 1, key: id % 5, time: 1_000 + id }).collect(),
    ])
}

#[test]
fn rows_that_wait_for_a_silent_partition_are_bounded_and_the_wait_is_told() {
    let input = silent_beside_busy();
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.ends[0] = End::Stuck;
    let (read, freed) = (Arc::clone(&source.rows_read), Arc::clone(&source.freed));
    let settings = Settings {
        epoch_rows: 500,
        block_rows: 100,
        hold_bytes: 256 << 10,
        skew_max: i64::MAX,
        ..Settings::default()
    };
    let running = world.start(source, &settings);
    let metrics = Arc::clone(&running.control.metrics);
    let told = || metrics.degraded.lock().expect("free").clone().unwrap_or_default();
    until("it is told", || told().contains("part-0 has shown nothing yet"));
    assert!(told().contains("hold_memory"), "{}", told());
    let held = read.load(Ordering::SeqCst);
    // A row is about 40 bytes; some are counted in two places while their epoch is committed.
    assert!((2_000..12_000).contains(&held), "{held} rows of 40 bytes in 256 KiB");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(read.load(Ordering::SeqCst), held, "no more are read");
    freed.store(true, Ordering::SeqCst);
    running.end().expect("a clean run");
    assert_eq!(told(), "", "nothing waits any more");
    assert!(world.said() == reference(&input));
}

#[test]
fn a_silent_partition_that_becomes_idle_lets_go_of_what_waits_for_it() {
    let input = silent_beside_busy();
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow, End::Follow];
    let settings = Settings {
        epoch_rows: 500,
        block_rows: 100,
        hold_bytes: 64 << 10,
        idle_after: 200_000,
        ..Settings::default()
    };
    let running = world.start(source, &settings);
    let metrics = Arc::clone(&running.control.metrics);
    until("all rows are committed", || {
        metrics.rows_committed_total.load(Ordering::SeqCst) == 20_000
    });
    running.control.stop.store(true, Ordering::SeqCst);
    running.end().expect("a clean stop");
}

#[test]
fn event_time_goes_on_when_the_others_become_idle_though_no_row_comes() {
    let rows = |from: i64, to: i64| {
        (from..to)
            .map(|id| Line::Row { id, key: id % 3, time: 1_000 + id * 10 })
            .collect::<Vec<_>>()
    };
    let input = Arc::new(vec![rows(0, 10), rows(10, 60), vec![]]);
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow; 3];
    let running = world.start(source, &Settings { idle_after: 50_000, ..Settings::default() });
    // The watermark of rows up to 1,590, less the bound of 20 and one more.
    until("the rows behind the newest are out", || {
        world.said().iter().filter(|s| s.kind == "row").count() == 57
    });
    running.control.stop.store(true, Ordering::SeqCst);
    let committed = running.end().expect("a clean stop").committed;
    assert!(committed < 20, "{committed} epochs: those without rows are few");
}
