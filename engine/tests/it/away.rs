//! A sink that is away: waited for, with bounds, and never for longer than the run is wanted.

use crate::sinks::STAGED_BYTES;
use crate::source::{End, Line, LineSource};
use crate::world::{Running, Settings, World, lines, reference, until};
use riskstream_engine::ids::Epoch;
use riskstream_engine::runtime::{Clock, SystemClock};
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
        for part in
            ["sink out: away for", "tried", "the last time", "table: nobody answers", "wait"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(world.said().is_empty());
        let seen = inspect(world.store()).expect("looked").expect("there is a store");
        let note = &seen.away["out"];
        assert!(
            note.tried >= 4
                && note.reason == "table: nobody answers"
                && note.since_micros <= note.tried_micros,
            "{note:?}"
        );
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
    let run =
        follow(&world, &input, &Settings { staged_bytes_max: most * STAGED_BYTES, ..settings(1) });
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

/// A run that is stopped with half of the input read, so that another has something to go on with.
fn run_half(world: &World, input: &Arc<Vec<Vec<Line>>>) -> u64 {
    let half: Vec<Vec<Line>> = input.iter().map(|part| part[..part.len() / 2].to_vec()).collect();
    let mut source = LineSource::new(&Arc::new(half));
    source.ends = vec![End::Follow];
    let run = world.start(source, &settings(1));
    until("half is committed", || committed(&run) >= 5);
    run.control.stop.store(true, Ordering::SeqCst);
    run.end().expect("a clean stop").committed
}

fn set_silent(world: &World, silent: bool) {
    world.table.lock().expect("no panic holds it").silent = silent;
}

#[test]
fn a_sink_that_was_reached_before_is_waited_for_at_the_start() {
    let (input, world) = (lines(1, 600), World::new());
    let before = run_half(&world, &input);
    set_silent(&world, true);
    let run = world.start(LineSource::new(&input), &settings(1));
    until("it is tried again and again", || tried(&world) >= 4);
    let said = degraded(&run).expect("it is said");
    for part in
        ["sink out: away for", "tried", "table: nobody answers", "the run begins when it is back"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let seen = inspect(world.store()).expect("looked").expect("there is a store");
    assert!(
        seen.away["out"].tried >= 3 && seen.away["out"].reason == "table: nobody answers",
        "{:?}",
        seen.away
    );
    // A stop ends the wait, and leaves everything as it is.
    let asked = Instant::now();
    run.control.stop.store(true, Ordering::SeqCst);
    let summary = run.end().expect("a clean stop");
    assert!(asked.elapsed() < PROMPTLY, "{:?}", asked.elapsed());
    assert!(
        summary.stopped && (summary.resumed_after, summary.committed) == (before, before),
        "{summary:?}"
    );

    let run = world.start(LineSource::new(&input), &settings(1));
    until("it is tried", || tried(&world) >= 6);
    set_silent(&world, false);
    let summary = run.end().expect("it came back");
    assert_eq!((summary.resumed_after, summary.delivered), (before, summary.committed));
    assert!(inspect(world.store()).expect("looked").expect("there is a store").away.is_empty());
    assert!(world.said() == reference(&input));
}

/// Time that passes ten thousand times as fast.
struct FastClock(SystemClock);

impl Clock for FastClock {
    fn wall_micros(&self) -> i64 {
        self.0.wall_micros()
    }

    fn steady_nanos(&self) -> u64 {
        self.0.steady_nanos() * 10_000
    }
}

#[test]
fn a_sink_that_no_run_has_reached_is_an_error_after_a_while() {
    let (input, world) = (lines(1, 600), World::new());
    set_silent(&world, true);
    let fast = Settings { clock: Arc::new(FastClock(SystemClock::default())), ..settings(1) };
    let error = world.run(&input, &fast).expect_err("nobody answers").to_string();
    assert_eq!(error, "sink out: table is away: nobody answers");
    assert!(tried(&world) >= 2, "it was tried once only");
    // So is one whose rows go elsewhere than before.
    set_silent(&world, false);
    run_half(&world, &input);
    set_silent(&world, true);
    let elsewhere = Settings { destination: "table other", ..fast };
    let error = world.run(&input, &elsewhere).expect_err("nobody answers").to_string();
    assert_eq!(error, "sink out: table is away: nobody answers");
}

#[test]
fn a_source_that_was_read_before_is_waited_for_at_the_start_and_another_only_for_a_while() {
    let (input, world) = (lines(1, 600), World::new());
    let source = |away: bool| {
        let source = LineSource::new(&input);
        source.away.store(away, Ordering::SeqCst);
        source
    };
    let fast = Settings { clock: Arc::new(FastClock(SystemClock::default())), ..settings(1) };
    let error = world.start(source(true), &fast).end().expect_err("nobody answers").to_string();
    assert_eq!(error, "source lines: part is away: nobody answers");

    let before = run_half(&world, &input);
    let run = world.start(source(true), &fast);
    let says = || {
        degraded(&run).is_some_and(|said| {
            said.starts_with("source lines: away for") && said.contains("part: nobody answers")
        })
    };
    until("it is said", says);
    run.control.stop.store(true, Ordering::SeqCst);
    let summary = run.end().expect("a clean stop");
    assert!(
        summary.stopped && (summary.resumed_after, summary.committed) == (before, before),
        "{summary:?}"
    );

    let away = source(true);
    let flag = Arc::clone(&away.away);
    let run = world.start(away, &fast);
    until("it is said", || {
        degraded(&run).is_some_and(|said| said.starts_with("source lines: away for"))
    });
    flag.store(false, Ordering::SeqCst);
    run.end().expect("it came back");
    assert!(world.said() == reference(&input));
}
