//! The folder: held by one, of one version, damaged.

use crate::source::{End, Line, LineSource};
use crate::world::{Settings, World, lines, reference, until};
use riskstream_engine::runtime::RunError;
use riskstream_engine::store::{StoreError, inspect};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs into a failure at row `poison`, so that the folder holds only a part.
fn part_of(world: &World, input: &std::sync::Arc<Vec<Vec<crate::source::Line>>>, poison: i64) {
    part_with(world, input, poison, &Settings::default());
}

/// The same without a snapshot: which epoch is the last before the failure is a matter of time, and
/// a snapshot of it would stand in for the file.
fn part_without_snapshot(
    world: &World,
    input: &std::sync::Arc<Vec<Vec<crate::source::Line>>>,
    poison: i64,
) {
    part_with(world, input, poison, &Settings { snapshot_every: u64::MAX, ..Settings::default() });
    assert!(world.files("snapshots").is_empty());
}

fn part_with(
    world: &World,
    input: &std::sync::Arc<Vec<Vec<crate::source::Line>>>,
    poison: i64,
    settings: &Settings,
) {
    let mut settings = Settings { workers: 1, epoch_rows: 20, block_rows: 10, ..settings.clone() };
    settings.mischief.fails_at = Some(poison);
    let error = world.run(input, &settings).expect_err("the row is poison");
    assert!(error.to_string().contains("poison"), "{error}");
}

#[test]
fn a_second_run_on_the_folder_is_refused_and_harms_nothing() {
    let input = lines(1, 300);
    let world = World::new();
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow];
    let first = world.start(source, &Settings::default());
    until("the first run commits", || {
        first.control.metrics.committed_epoch.load(Ordering::SeqCst) > 0
    });
    let error = world.run(&input, &Settings::default()).expect_err("in use");
    assert!(matches!(error, RunError::Store(StoreError::InUse { .. })), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    first.control.stop.store(true, Ordering::SeqCst);
    first.end().expect("a clean stop");
    world.run(&input, &Settings::default()).expect("free again");
    assert!(world.said() == reference(&input));
}

#[test]
fn a_run_that_was_fenced_stops_and_the_newer_run_is_right() {
    let input = lines(1, 600);
    let world = World::new();
    let settings = Settings { epoch_rows: 10, block_rows: 10, in_flight: 1, ..Settings::default() };
    settings.mischief.shut.store(true, Ordering::SeqCst);
    let zombie = world.start(LineSource::new(&input), &settings);
    until("it has claimed", || zombie.control.metrics.open_epoch.load(Ordering::SeqCst) > 1);
    // As if another machine had taken over a shared folder on which the lock does not hold.
    std::fs::write(world.store().join("generations/0000000007.claim"), "{}").expect("written");
    std::fs::write(world.store().join("generations/0000000007.resumed"), r#"{"after":0}"#)
        .expect("written");
    settings.mischief.shut.store(false, Ordering::SeqCst);
    let error = zombie.end().expect_err("fenced");
    assert!(matches!(error, RunError::Store(StoreError::Fenced { mine: 1, newer: 7 })), "{error}");
    assert!(world.said().is_empty(), "a fenced run delivers nothing");
    let summary = world.run(&input, &Settings::default()).expect("the newer run");
    assert_eq!((summary.generation, summary.resumed_after), (8, 0));
    assert!(world.said() == reference(&input));
}

#[test]
fn a_store_of_another_version_is_refused() {
    let input = lines(1, 50);
    let world = World::new();
    world.run(&input, &Settings::default()).expect("a clean run");
    let identity = world.store().join("identity.json");
    let text = std::fs::read_to_string(&identity).expect("there");
    let mut theirs: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    theirs["version"] = 99.into();
    std::fs::write(&identity, theirs.to_string()).expect("written");
    let error = world.run(&input, &Settings::default()).expect_err("another version");
    assert!(matches!(error, RunError::Store(StoreError::OtherVersion { .. })), "{error}");
    assert!(error.to_string().contains("version 99"), "{error}");
    std::fs::write(&identity, "{").expect("written");
    let error = world.run(&input, &Settings::default()).expect_err("cut short");
    assert!(matches!(error, RunError::Store(StoreError::Damaged { .. })), "{error}");
}

#[test]
fn a_torn_newest_epoch_that_nobody_saw_was_never_committed() {
    let input = lines(1, 600);
    let world = World::new();
    part_of(&world, &input, 400);
    // The newest epoch again, as a power loss would leave it: its name is there, its content is
    // not.
    let newest = world.files("epochs").pop().expect("epochs");
    let name = newest.file_name().expect("a name").to_string_lossy().into_owned();
    let (epoch, rest) = name.split_once('-').expect("epoch and generation");
    let next = format!("{:020}-{rest}", epoch.parse::<u64>().expect("a number") + 1);
    std::fs::write(world.store().join("epochs").join(next), b"ARROW1").expect("written");
    world.run(&input, &Settings::default()).expect("a clean run");
    assert!(world.said() == reference(&input));
}

#[test]
fn a_damaged_newest_epoch_that_a_sink_has_seen_stops_the_run() {
    let input = lines(1, 600);
    let world = World::new();
    part_without_snapshot(&world, &input, 400);
    let before = world.said();
    let newest = world.files("epochs").pop().expect("epochs");
    let bytes = std::fs::read(&newest).expect("there");
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).expect("written");
    let error = world.run(&input, &Settings::default()).expect_err("rows would be lost");
    assert!(matches!(error, RunError::Store(StoreError::Damaged { .. })), "{error}");
    assert!(newest.exists() && world.said() == before, "nothing is thrown away");
}

#[test]
fn a_folder_that_is_behind_its_sinks_is_refused() {
    let input = lines(1, 300);
    let world = World::new();
    world.run(&input, &Settings { epoch_rows: 20, ..Settings::default() }).expect("a clean run");
    let before = world.said();
    std::fs::remove_dir_all(world.store()).expect("deleted");
    let error = world
        .run(&input, &Settings { epoch_rows: 20, ..Settings::default() })
        .expect_err("new epochs would be taken for old ones");
    assert!(matches!(error, RunError::SinkAhead { .. }), "{error}");
    assert!(world.said() == before);
}

#[test]
fn a_damaged_epoch_in_the_middle_is_an_error_and_not_a_loss() {
    let input = lines(1, 600);
    let world = World::new();
    part_without_snapshot(&world, &input, 400);
    let files = world.files("epochs");
    std::fs::remove_file(&files[files.len() - 2]).expect("deleted");
    let error = world.run(&input, &Settings::default()).expect_err("a gap");
    assert!(matches!(error, RunError::Store(StoreError::Resume(_))), "{error}");
}

#[test]
fn a_damaged_snapshot_falls_back_to_the_one_before_even_twice() {
    let input = lines(1, 900);
    let world = World::new();
    for poison in [300, 600] {
        part_of(&world, &input, poison);
        let newest = world.files("snapshots").pop().expect("snapshots");
        let mut bytes = std::fs::read(&newest).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        bytes.truncate(middle + 10);
        std::fs::write(&newest, bytes).expect("written");
    }
    world.run(&input, &Settings::default()).expect("a clean run");
    assert!(world.said() == reference(&input));
}

/// Many partitions of two rows each, and more of them.
fn tiny_partitions(count: i64) -> Arc<Vec<Vec<Line>>> {
    let row = |id: i64| Line::Row { id, key: id % 7, time: 1_000 + id };
    Arc::new((0..count).map(|p| vec![row(p * 2), row(p * 2 + 1)]).collect())
}

#[test]
fn an_epoch_file_does_not_grow_with_the_partitions_that_were_ever_read() {
    let world = World::new();
    let many = Settings { epoch_rows: 2_000, snapshot_every: 1_000_000, ..Settings::default() };
    world.run(&tiny_partitions(5_000), &many).expect("a clean run");
    let before = world.files("epochs").len();
    world.run(&tiny_partitions(5_001), &many).expect("a clean run");
    let size = |path: &std::path::PathBuf| path.metadata().expect("a file").len();
    let newest: Vec<u64> = world.files("epochs")[before..].iter().map(size).collect();
    assert!(
        !newest.is_empty() && newest.iter().all(|bytes| *bytes < 16 << 10),
        "{newest:?} bytes for two rows of one partition"
    );
    // A snapshot holds all positions; what came after it adds to them.
    world
        .run(
            &tiny_partitions(5_002),
            &Settings { epoch_rows: 1, block_rows: 1, snapshot_every: 1, ..many.clone() },
        )
        .expect("a clean run");
    assert!(!world.files("snapshots").is_empty());
    world.run(&tiny_partitions(5_003), &many).expect("a clean run");
    let seen = inspect(world.store()).expect("looked").expect("there is a store");
    assert_eq!(seen.positions.len(), 5_003);
    assert!(
        seen.positions.values().all(|(_, position)| position.finished && position.next_offset == 2)
    );
    assert!(world.said() == reference(&tiny_partitions(5_003)));
}
