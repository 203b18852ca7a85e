//! A destination that lacks what the store says was delivered, and names that change between two runs.

use crate::source::Line;
use crate::world::{Settings, World, lines, reference};
use riskstream_engine::ids::Epoch;
use riskstream_engine::runtime::RunError;
use std::sync::Arc;

/// Runs of about 30 epochs.
fn settings(snapshot_every: u64) -> Settings {
    Settings { workers: 1, epoch_rows: 20, block_rows: 10, snapshot_every, ..Settings::default() }
}

/// A finished run, the newest epoch of which is given.
fn finished(snapshot_every: u64) -> (World, Arc<Vec<Vec<Line>>>, u64) {
    let (input, world) = (lines(1, 600), World::new());
    let committed = world.run(&input, &settings(snapshot_every)).expect("a clean run").committed;
    assert!(committed > 20 && world.said() == reference(&input));
    (world, input, committed)
}

/// The table as it was when it had epochs up to here.
fn restore(world: &World, through: u64) {
    let mut table = world.table.lock().expect("no panic holds it");
    table.through = (through > 0).then_some(Epoch(through));
    table.batches.retain(|(epoch, _)| epoch.0 <= through);
}

fn epochs(world: &World) -> Vec<u64> {
    let name = |path: &std::path::PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    world.files("epochs").iter().map(|path| name(path).split_once('-').expect("a name").0.parse().expect("a number")).collect()
}

#[test]
fn a_table_that_was_deleted_or_is_an_old_copy_is_filled_from_the_store_where_that_still_has_everything() {
    let (world, input, _) = finished(u64::MAX);
    for through in [0, 1, 7] {
        restore(&world, through);
        world.run(&input, &settings(u64::MAX)).expect("everything is still there");
        assert!(world.said() == reference(&input), "through {through}");
    }
}

#[test]
fn a_table_that_lacks_what_the_store_has_no_more_is_refused_with_the_missing_epochs() {
    let (world, input, _) = finished(3);
    let first_kept = epochs(&world)[0];
    assert!(first_kept > 5, "epochs were collected: {first_kept} is the first");
    for through in [0, 1, first_kept - 2] {
        restore(&world, through);
        let before = world.said();
        for _ in 0..2 {
            let error = world.run(&input, &settings(3)).expect_err("rows would be missing");
            let RunError::SinkBehind { sink, visible, missing, .. } = &error else { panic!("{error}") };
            assert_eq!((sink.as_str(), *visible), ("out", through));
            let missing: Vec<_> = missing.iter().map(|m| (m.first.0, m.last.0)).collect();
            assert_eq!(missing, [(through + 1, first_kept - 1)]);
            let text = error.to_string();
            for said in ["table out", "Bring a newer copy back", "run --fresh test", "state accept test"] {
                assert!(text.contains(said), "{said}: {text}");
            }
            assert!(world.said() == before, "nothing was delivered");
        }
    }
    // A copy that has what was collected is as good as the table itself.
    let (world, input, committed) = finished(3);
    restore(&world, epochs(&world)[0] - 1);
    world.run(&input, &settings(3)).expect("everything is still there");
    assert!(world.said() == reference(&input));
    assert!(world.table.lock().expect("free").through >= Some(Epoch(committed)));
}

#[test]
fn an_epoch_that_is_gone_from_before_the_snapshot_is_missed_by_the_sink_that_lacks_it() {
    // One snapshot, so that nothing is collected.
    let (world, input, _) = finished(20);
    assert_eq!(epochs(&world)[0], 1);
    assert!(world.files("snapshots").len() == 1);
    let gone = world.files("epochs")[7].clone();
    let content = std::fs::read(&gone).expect("there");
    std::fs::remove_file(&gone).expect("deleted");
    restore(&world, 8);
    world.run(&input, &settings(u64::MAX)).expect("the table has epoch 8 already");
    restore(&world, 5);
    let error = world.run(&input, &settings(u64::MAX)).expect_err("epoch 8 is in neither");
    assert!(error.to_string().contains("rows of epoch 8 were delivered"), "{error}");
    std::fs::write(&gone, content).expect("written");
    world.run(&input, &settings(u64::MAX)).expect("everything is still there");
    assert!(world.said() == reference(&input));
}

#[test]
fn other_names_are_refused_with_what_they_were_and_are() {
    let (world, input, _) = finished(u64::MAX);
    let before = world.said();
    let as_before = settings(u64::MAX);
    for (changed, said) in [
        (Settings { program: "renamed", ..as_before.clone() }, "the program (`riskstream.name`) was `tests` and is `renamed`"),
        (Settings { destination: "table other", ..as_before.clone() }, "the destination `out` was table out and is table other"),
    ] {
        let error = world.run(&input, &changed).expect_err("another name");
        assert!(matches!(error, RunError::OtherOrigin { .. }), "{error}");
        assert!(error.to_string().contains(said) && error.to_string().contains("state accept test"), "{error}");
        assert!(world.said() == before);
    }
    world.run(&input, &as_before).expect("the old names");
    assert!(world.said() == before);
}
