//! Whatever fails, the run ends with the reason, keeps what was committed, and the next one goes
//! on.

use crate::operator::Mischief;
use crate::source::{End, LineSource};
use crate::world::{Settings, World, broken, lines, reference};
use riskstream_engine::ids::Epoch;
use riskstream_engine::runtime::{Clock, RunError, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn goes_on(world: &World, input: &std::sync::Arc<Vec<Vec<crate::source::Line>>>) {
    world.run(input, &Settings { workers: 3, ..Settings::default() }).expect("a clean run");
    assert!(world.said() == reference(input));
    assert_eq!(world.dead_rows(), broken(input));
}

#[test]
fn a_failing_step_ends_the_run_with_its_error() {
    let input = lines(2, 500);
    for workers in [1, 2, 3] {
        let world = World::new();
        let mut settings = Settings { workers, ..Settings::default() };
        settings.mischief.fails_at = Some(301);
        let error = world.run(&input, &settings).expect_err("poison");
        assert!(matches!(error, RunError::Operator(_)), "{error}");
        assert_eq!(error.to_string(), "step count: row 301 is poison");
        goes_on(&world, &input);
    }
}

#[test]
fn a_panicking_step_ends_the_run_with_its_message_and_no_hang() {
    let input = lines(2, 500);
    for workers in [1, 2, 3] {
        let world = World::new();
        let mut settings = Settings { workers, ..Settings::default() };
        settings.mischief.panics_at = Some(301);
        let error = world.run(&input, &settings).expect_err("a bug");
        assert!(matches!(error, RunError::Bug { .. }), "{error}");
        assert!(error.to_string().contains("row 301 makes the step panic"), "{error}");
        goes_on(&world, &input);
    }
}

#[test]
fn a_failing_or_panicking_source_ends_the_run_with_its_error() {
    let input = lines(2, 500);
    for panics in [false, true] {
        let world = World::new();
        let mut source = LineSource::new(&input);
        source.fails_after = Some(200);
        source.panics = panics;
        let error = world.start(source, &Settings::default()).end().expect_err("unreadable");
        if panics {
            assert!(matches!(error, RunError::Bug { .. }), "{error}");
        } else {
            assert_eq!(error.to_string(), "source lines: can't read part: it fell off");
        }
        goes_on(&world, &input);
    }
}

/// A clock at which a thread of the run panics once it has looked at it a few times.
struct Stumbling {
    thread: &'static str,
    looks: AtomicU64,
    clock: SystemClock,
}

impl Clock for Stumbling {
    fn wall_micros(&self) -> i64 {
        self.clock.wall_micros()
    }

    fn steady_nanos(&self) -> u64 {
        let here = std::thread::current().name() == Some(self.thread);
        assert!(
            !here || self.looks.fetch_add(1, Ordering::SeqCst) < 3,
            "{} fell over the clock",
            self.thread
        );
        self.clock.steady_nanos()
    }
}

#[test]
fn a_panic_of_any_thread_ends_the_run_at_once_and_says_which() {
    let input = lines(1, 400);
    for thread in ["feed", "committer", "housekeeper", "sink out"] {
        let world = World::new();
        let mut source = LineSource::new(&input);
        // It never ends by itself: nobody waits for its end to tell.
        source.ends = vec![End::Follow];
        let clock = Stumbling { thread, looks: AtomicU64::new(0), clock: SystemClock::default() };
        let settings = Settings {
            clock: Arc::new(clock),
            epoch_rows: 20,
            block_rows: 10,
            snapshot_every: 2,
            ..Settings::default()
        };
        let error = world.start(source, &settings).end().expect_err("a bug").to_string();
        assert!(
            error.contains(&format!("{thread} panicked: {thread} fell over the clock")),
            "{error}"
        );
        goes_on(&world, &input);
    }
}

#[test]
fn a_failing_decoder_ends_the_run_with_its_error() {
    let input = lines(1, 500);
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.decoder_fails_at = Some(250);
    let error = world.start(source, &Settings::default()).end().expect_err("a bug");
    assert!(error.to_string().contains("the decoder gives up"), "{error}");
    goes_on(&world, &input);
}

#[test]
fn a_failing_sink_writer_ends_the_run_with_its_error() {
    let input = lines(2, 500);
    let world = World::new();
    let running = world.start(
        LineSource::new(&input),
        &Settings { writer_fails_from: Some(Epoch(4)), ..Settings::default() },
    );
    let metrics = std::sync::Arc::clone(&running.control.metrics);
    let error = running.end().expect_err("no room");
    assert_eq!(error.to_string(), "sink out: can't write stage: no room");
    let committed = metrics.committed_epoch.load(std::sync::atomic::Ordering::SeqCst);
    assert!(committed <= 3);
    assert_eq!(
        world.table.lock().expect("free").through.map_or(0, |e| e.0),
        committed,
        "what was committed is delivered"
    );
    goes_on(&world, &input);
}

#[test]
fn a_step_that_cant_be_built_on_one_worker_ends_the_run() {
    let input = lines(1, 100);
    for bad in 0..3 {
        let world = World::new();
        let error = world
            .run(&input, &Settings { workers: 3, build_fails_on: Some(bad), ..Settings::default() })
            .expect_err("not built");
        assert!(error.to_string().contains("it can't be built"), "{error}");
        goes_on(&world, &input);
    }
}

#[test]
fn too_many_dead_rows_stop_the_run_and_keep_what_was_committed() {
    let mut rows = lines(1, 300).to_vec();
    rows[0].retain(|l| *l != crate::source::Line::Broken);
    rows[0].splice(200..200, vec![crate::source::Line::Broken; 30]);
    let input = std::sync::Arc::new(rows);
    let world = World::new();
    let settings =
        Settings { dead_rows_max: 0.2, epoch_rows: 20, block_rows: 10, ..Settings::default() };
    let error = world.run(&input, &settings).expect_err("too many");
    let RunError::TooManyDead { dead, ref first, .. } = error else { panic!("{error}") };
    assert!(dead > 4 && first.contains("malformed in part-0: not three numbers"), "{error}");
    assert!(world.table.lock().expect("free").through >= Some(Epoch(5)));
    goes_on(&world, &input);
}

#[test]
fn state_is_not_taken_by_a_step_that_means_something_else() {
    let input = lines(1, 300);
    // With snapshots and without; many epochs after the first of the run, and few.
    for (snapshot_every, epoch_rows) in [(4, 50), (1_000, 50), (1_000, 2), (3, 2)] {
        let world = World::new();
        let settings = Settings { snapshot_every, epoch_rows, ..Settings::default() };
        world.run(&input, &settings).expect("a clean run");
        world.run(&input, &settings).expect("another, with nothing to do");
        let shapes = riskstream_engine::store::saved_shapes(world.store()).expect("read");
        assert_eq!(shapes.keys().collect::<Vec<_>>(), ["count", "source.clock"]);
        let before = content(&world.store());
        let mischief = Mischief { counts_by: Some("id"), ..Mischief::default() };
        let error = world
            .run(&input, &Settings { mischief, ..settings })
            .expect_err("it counts by something else");
        let RunError::Changed(changed) = &error else { panic!("{error}") };
        assert_eq!(changed.steps["count"][0].to_string(), "by: was key, is id");
        assert!(error.to_string().contains("`riskstream state drop test count`"), "{error}");
        assert_eq!(content(&world.store()), before, "a refused run leaves the folder as it was");
        goes_on(&world, &input);
    }
}

/// All files below a folder but the lock, which names the process, and needless files that wait to
/// be written over.
fn content(folder: &std::path::Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.ends_with("lock") || path.ends_with("spares") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("read");
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn a_step_whose_state_is_in_the_folder_can_not_just_disappear() {
    let input = lines(1, 100);
    let world = World::new();
    world.run(&input, &Settings::default()).expect("a clean run");
    let error = world
        .run(&input, &Settings { with_step: false, ..Settings::default() })
        .expect_err("state of a step that is gone");
    assert!(matches!(error, RunError::UnknownState { .. }), "{error}");
}
