//! A destination that lacks what the store says was delivered, and names that change between two
//! runs.

use crate::source::{End, Line, LineSource};
use crate::world::{Settings, World, lines, reference, until};
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::Writer;
use riskstream_engine::runtime::{RunError, Standing, accept, standing};
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
    let name = |path: &std::path::PathBuf| {
        path.file_name().expect("a name").to_string_lossy().into_owned()
    };
    world
        .files("epochs")
        .iter()
        .map(|path| name(path).split_once('-').expect("a name").0.parse().expect("a number"))
        .collect()
}

#[test]
fn a_table_that_lacks_rows_is_filled_from_the_store_where_that_still_has_everything() {
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
            let RunError::SinkBehind { sink, visible, missing, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!((sink.as_str(), *visible), ("out", through));
            let missing: Vec<_> = missing.iter().map(|m| (m.first.0, m.last.0)).collect();
            assert_eq!(missing, [(through + 1, first_kept - 1)]);
            let text = error.to_string();
            for said in [
                "table out",
                "Bring a newer copy back",
                "run --fresh test",
                "riskstream accept test",
            ] {
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
        (
            Settings { program: "renamed", ..as_before.clone() },
            "the program (`riskstream.name`) was `tests` and is `renamed`",
        ),
        (
            Settings { destination: "table other", ..as_before.clone() },
            "the destination `out` was table out and is table other",
        ),
    ] {
        let error = world.run(&input, &changed).expect_err("another name");
        assert!(matches!(error, RunError::OtherOrigin { .. }), "{error}");
        assert!(
            error.to_string().contains(said)
                && error.to_string().contains("riskstream accept test"),
            "{error}"
        );
        assert!(world.said() == before);
    }
    world.run(&input, &as_before).expect("the old names");
    assert!(world.said() == before);
}

fn accepts(
    world: &World,
    input: &Arc<Vec<Vec<Line>>>,
    settings: &Settings,
) -> Result<Standing, RunError> {
    let stands = standing(world.plan(LineSource::new(input), settings), world.store())?;
    let accepted = accept(world.plan(LineSource::new(input), settings), world.store())?;
    assert_eq!(stands, accepted, "what is told is what is done");
    Ok(accepted)
}

#[test]
fn a_gap_that_was_accepted_is_no_longer_missed_but_a_larger_one_is() {
    let (world, input, _) = finished(3);
    let first_kept = epochs(&world)[0];
    let whole = world.said().len();
    restore(&world, 2);
    world.run(&input, &settings(3)).expect_err("rows would be missing");
    let accepted = accepts(&world, &input, &settings(3)).expect("accepted");
    let behind = &accepted.behind["out"];
    assert_eq!(
        (behind.visible.0, behind.missing[0].first.0, behind.missing[0].last.0),
        (2, 3, first_kept - 1)
    );
    for _ in 0..2 {
        world.run(&input, &settings(3)).expect("the gap was accepted");
    }
    let has: Vec<u64> =
        world.table.lock().expect("free").batches.iter().map(|(epoch, _)| epoch.0).collect();
    assert!(
        has.iter().all(|epoch| *epoch <= 2 || *epoch >= first_kept) && has.len() > 3,
        "{has:?}"
    );
    assert!(world.said().len() < whole);
    // Nothing is left to accept, and nothing is written.
    let committed = accepts(&world, &input, &settings(3)).expect("as before").committed;
    assert_eq!(accepts(&world, &input, &settings(3)).expect("as before").committed, committed);
    restore(&world, 1);
    let error = world.run(&input, &settings(3)).expect_err("it lacks more than was accepted");
    assert!(matches!(error, RunError::SinkBehind { visible: 1, .. }), "{error}");
}

/// A run that fails in the middle, everything that it committed being delivered.
fn half(world: &World, input: &Arc<Vec<Vec<Line>>>) {
    let mut poisoned = settings(u64::MAX);
    poisoned.mischief.fails_at = Some(300);
    world.run(input, &poisoned).expect_err("the row is poison");
    assert!(world.table.lock().expect("free").through > Some(Epoch(5)));
}

#[test]
fn another_destination_that_was_accepted_gets_what_comes_after_and_no_more() {
    let (input, world) = (lines(1, 600), World::new());
    half(&world, &input);
    let other = Settings { destination: "table other", ..settings(u64::MAX) };
    let old = std::mem::take(&mut *world.table.lock().expect("free"));
    world.run(&input, &other).expect_err("another destination");
    let accepted = accepts(&world, &input, &other).expect("everything was delivered");
    assert_eq!(
        accepted.changes[0].to_string(),
        "the destination `out` was table out and is table other"
    );
    for _ in 0..2 {
        world.run(&input, &other).expect("it was accepted");
    }
    let mut table = world.table.lock().expect("free");
    assert!(
        !table.batches.is_empty()
            && table.batches.iter().all(|(epoch, _)| Some(*epoch) > old.through)
    );
    table.batches.extend(old.batches);
    drop(table);
    assert!(world.said() == reference(&input), "each row is in one of them");
    // The way back is a change too.
    world.run(&input, &settings(u64::MAX)).expect_err("another destination again");
}

#[test]
fn another_program_that_was_accepted_goes_on_where_the_old_one_was() {
    let (input, world) = (lines(1, 600), World::new());
    half(&world, &input);
    let renamed = Settings { program: "renamed", ..settings(u64::MAX) };
    accepts(&world, &input, &renamed).expect("everything was delivered");
    world.run(&input, &renamed).expect("it was accepted");
    assert!(world.said() == reference(&input));
}

#[test]
fn nothing_is_accepted_while_rows_wait_for_the_old_destination() {
    let (input, world) = (lines(1, 600), World::new());
    world.table.lock().expect("free").away = true;
    let mut source = LineSource::new(&input);
    source.ends = vec![End::Follow];
    let run = world.start(source, &settings(u64::MAX));
    until("it is away", || world.table.lock().expect("free").tried > 0);
    run.control.stop.store(true, std::sync::atomic::Ordering::SeqCst);
    run.end().expect("a clean stop");
    world.table.lock().expect("free").away = false;
    let other = Settings { destination: "table other", ..settings(u64::MAX) };
    let error =
        accept(world.plan(LineSource::new(&input), &other), world.store()).expect_err("rows wait");
    assert!(matches!(error, RunError::StillWaiting { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("may not have been delivered to table out yet: run once with the former"),
        "{error}"
    );
    world.run(&input, &settings(u64::MAX)).expect("the former configuration");
    accepts(&world, &input, &other).expect("everything was delivered");
    assert!(world.said() == reference(&input));
}

#[test]
fn rows_of_a_pipeline_that_is_gone_refuse_a_new_one_unless_both_are_to_be_there() {
    let (input, world) = (lines(1, 300), World::new());
    let gone = Writer { program: "tests".into(), pipeline: "old".into() };
    let strange = Settings { strangers: vec![gone], ..settings(u64::MAX) };
    for _ in 0..2 {
        let error = world.run(&input, &strange).expect_err("it may be renamed");
        assert!(matches!(error, RunError::Strangers { .. }), "{error}");
        for said in [
            "table out has rows of `tests/old`",
            "the pipeline `test` is new",
            "riskstream accept test",
        ] {
            assert!(error.to_string().contains(said), "{said}: {error}");
        }
        assert!(world.said().is_empty());
    }
    assert_eq!(
        accepts(&world, &input, &strange).expect("accepted").strangers["out"][0].pipeline,
        "old"
    );
    world.run(&input, &strange).expect("it was accepted");
    assert!(world.said() == reference(&input));
}
