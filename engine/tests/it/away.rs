//! A sink that is away: waited for, with bounds, and never for longer than the run is wanted.

use crate::sinks::STAGED_BYTES;
use crate::source::{End, Line, LineSource};
use crate::world::{Running, Settings, World, lines, reference, until};
use riskstream_engine::ids::Epoch;
use riskstream_engine::store::inspect;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A run ends within this when it is asked to, whatever is away.
const PROMPTLY: Duration = Duration::from_secs(5);

fn settings(under_way: usize) -> Settings {
    Settings { workers: 1, epoch_rows: 20, block_rows: 10, under_way, ..Settings::default() }
}

fn set_away(world: &World, away: bool) {
    world.table.lock().expect("no panic holds it").away = away;
}

fn tried(world: &World) -> usize {
    world.table.lock().expect("no panic holds it").tried
}

fn committed(run: &Running) -> u64 {
    run.control.metrics.committed_epoch.load(Ordering::SeqCst)
}

fn degraded(run: &Running) -> Option<String> {
    run.control.metrics.degraded.lock().expect("no panic holds it").clone()
}

/// A run of a source that is followed, whose table is away from the start.
fn follow(world: &World, input: &Arc<Vec<Vec<Line>>>, settings: &Settings) -> Running {
    set_away(world, true);
    let mut source = LineSource::new(input);
    source.ends = vec![End::Follow];
    world.start(source, settings)
}

#[test]
fn what_waited_for_a_sink_that_was_away_is_delivered_once_and_it_is_said_meanwhile() {
    for under_way in [1, 3] {
        let (input, world) = (lines(1, 600), World::new());
        set_away(&world, true);
        let run = world.start(LineSource::new(&input), &settings(under_way));
        until("it is tried again and again", || tried(&world) >= 4);
        let said = degraded(&run).expect("it is said");
        for part in ["sink out: away for", "tried", "the last time", "table: nobody answers", "wait"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(world.said().is_empty());
        let seen = inspect(world.store()).expect("looked").expect("there is a store");
        let note = &seen.away["out"];
        assert!(note.tried >= 4 && note.reason == "table: nobody answers" && note.since_micros <= note.tried_micros, "{note:?}");
        let waiting = seen.waiting["out"];
        assert!(waiting.epochs > 5 && waiting.bytes > waiting.epochs * STAGED_BYTES, "{waiting:?}");
        set_away(&world, false);
        run.end().expect("it came back");
        let seen = inspect(world.store()).expect("looked").expect("there is a store");
        assert!(seen.away.is_empty() && seen.waiting.is_empty(), "{:?}", seen.waiting);
        assert!(world.said() == reference(&input), "{under_way} under way");
    }
}

#[test]
fn a_stop_while_a_sink_is_away_ends_promptly_and_the_next_run_delivers() {
    for under_way in [1, 3] {
        let (input, world) = (lines(1, 600), World::new());
        let run = follow(&world, &input, &settings(under_way));
        until("it is away", || tried(&world) >= 2);
        let asked = Instant::now();
        run.control.stop.store(true, Ordering::SeqCst);
        let summary = run.end().expect("a clean stop");
        assert!(asked.elapsed() < PROMPTLY, "{:?}", asked.elapsed());
        assert!(summary.stopped && summary.delivered == 0 && summary.committed > 0, "{summary:?}");
        assert!(world.said().is_empty());
        set_away(&world, false);
        let next = world.run(&input, &settings(under_way)).expect("a clean run");
        assert_eq!((next.resumed_after, next.delivered), (summary.committed, next.committed));
        assert!(world.said() == reference(&input));
    }
}

#[test]
fn staged_bytes_that_wait_hold_up_the_feed() {
    let (input, world) = (lines(1, 2_000), World::new());
    let most = 10;
    // What the committer, the hand-over and the open epochs have in their hands comes to it.
    let in_hands = 4 + 1 + 3 + 1;
    let run = follow(&world, &input, &Settings { staged_bytes_max: most * STAGED_BYTES, ..settings(1) });
    until("it is full", || committed(&run) >= most);
    until("it is tried again and again", || tried(&world) >= 5);
    assert!(committed(&run) <= most + in_hands, "{} epochs were committed", committed(&run));
    set_away(&world, false);
    until("it goes on", || committed(&run) > 2 * (most + in_hands));
    until("all is delivered", || {
        let through = world.table.lock().expect("no panic holds it").through;
        through == Some(Epoch(committed(&run))) && world.said().len() > 1_800
    });
    assert_eq!(degraded(&run), None);
    run.control.stop.store(true, Ordering::SeqCst);
    run.end().expect("a clean stop");
}

#[test]
fn a_full_hand_over_does_not_keep_a_run_from_stopping() {
    let (input, world) = (lines(1, 2_000), World::new());
    let run = follow(&world, &input, &Settings { staged_bytes_max: STAGED_BYTES, ..settings(1) });
    until("it is away and full", || tried(&world) >= 4);
    let asked = Instant::now();
    run.control.stop.store(true, Ordering::SeqCst);
    run.end().expect("a clean stop");
    assert!(asked.elapsed() < PROMPTLY, "{:?}", asked.elapsed());
    set_away(&world, false);
    world.run(&input, &settings(1)).expect("a clean run");
    assert!(world.said() == reference(&input));
}

#[test]
fn a_refusal_for_good_ends_the_run_at_once_also_after_it_was_away() {
    let (input, world) = (lines(1, 600), World::new());
    set_away(&world, true);
    let run = world.start(LineSource::new(&input), &settings(1));
    until("it is away", || tried(&world) >= 2);
    {
        let mut table = world.table.lock().expect("no panic holds it");
        (table.refuse_from, table.away) = (Some(Epoch(1)), false);
    }
    let error = run.end().expect_err("it is closed").to_string();
    assert_eq!(error, "sink out: can't write table: the table is closed");
}
