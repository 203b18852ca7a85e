use std::time::{Duration, Instant};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const ENDLESS: &str = "select * from generate_series(1, 1000000000)";

fn few() -> Limits {
    Limits { statements_max: 2, queue_max: 5, open_max: 6, ..Limits::default() }
}

/// An answer of which a row was taken, and no more.
fn idle(tried: &Tried) -> Answer {
    let (mut session, statement) = (tried.session(), statement(ENDLESS));
    let cancel = Cancel::default();
    let ran = session.run(&statement, &[], &cancel);
    let mut answer = tried.service.block_on(ran).unwrap();
    assert!(answer.next_blocking().unwrap().is_ok());
    answer
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn answers_that_nobody_takes_keep_no_statement_from_running() {
    let tried = Tried::with(few(), None);
    let mut answers: Vec<_> = (0..5).map(|_| idle(&tried)).collect();
    wait_for("they give their turns back", || tried.service.counts().running == 0);
    let mut session = tried.session();
    assert_eq!(tried.ask(&mut session, "select 1 as one").unwrap(), ["1"]);
    let asked = "select count(*) from generate_series(1, 1000)";
    assert_eq!(tried.ask(&mut session, asked).unwrap(), ["1000"]);
    // They go on where they were.
    for answer in &mut answers {
        for _ in 0..20 {
            assert!(answer.next_blocking().unwrap().is_ok());
        }
    }
    // They hold memory, and so are bounded.
    answers.push(idle(&tried));
    let refused = tried.ask(&mut session, "select 1 as one");
    assert!(matches!(refused, Err(QueryError::Busy { .. })), "{refused:?}");
    answers.clear();
    wait_for("all is given back", || tried.service.counts().open == 0);
    assert_eq!(tried.ask(&mut session, "select 1 as one").unwrap(), ["1"]);
}

#[test]
fn time_stands_still_while_the_client_does_not_ask() {
    let tried = Tried::new();
    let mut session = tried.session();
    session.settings.statement_timeout = Some(Duration::from_millis(300));
    let (endless, cancel) = (statement(ENDLESS), Cancel::default());
    let ran = session.run(&endless, &[], &cancel);
    let mut answer = tried.service.block_on(ran).unwrap();
    assert!(answer.next_blocking().unwrap().is_ok());
    answer.pause();
    std::thread::sleep(Duration::from_millis(600));
    answer.resume();
    assert!(answer.next_blocking().unwrap().is_ok(), "it was not asked");
    std::thread::sleep(Duration::from_millis(600));
    let last = std::iter::from_fn(|| answer.next_blocking()).last();
    assert!(matches!(last, Some(Err(QueryError::Stopped(Stopped::TimedOut)))), "{last:?}");
}

#[test]
fn what_waits_for_its_turn_has_its_time_too() {
    let tried = Tried::with(Limits { statements_max: 1, ..Limits::default() }, None);
    let (mut busy, mut late) = (tried.session(), tried.session());
    let long = statement("select count(*) from generate_series(1, 10000000000000)");
    let _answer = tried.service.block_on(busy.run(&long, &[], &Cancel::default())).unwrap();
    late.settings.statement_timeout = Some(Duration::from_millis(100));
    let began = Instant::now();
    let refused = tried.ask(&mut late, "select 1 as one");
    assert!(matches!(refused, Err(QueryError::Stopped(Stopped::TimedOut))), "{refused:?}");
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn statements_are_counted_and_shown() {
    let tried = Tried::new();
    let mut session = tried.session();
    tried.ask(&mut session, "select * from generate_series(1, 10)").unwrap();
    assert!(tried.ask(&mut session, "select nothing").is_err());
    assert!(tried.ask(&mut session, "select 1 / 0").is_err());
    let counted = tried.service.counts().counted;
    let ended: Vec<_> =
        counted.ended.iter().map(|one| (one.port, one.sqlstate_class, one.count)).collect();
    assert_eq!(ended, [("cli", "00", 1), ("cli", "22", 1), ("cli", "42", 1)]);
    assert_eq!((counted.rows, counted.durations.count), (10, 3));
    let shown = tried.ask(&mut session, "select state, rows, statement from system.queries");
    let shown = shown.unwrap();
    assert_eq!(shown[0], "done,10,SELECT * FROM generate_series(1, 10)");
    assert!(shown[1].starts_with("failed,0,SELECT nothing"), "{shown:?}");
    assert!(shown[3].starts_with("running,0,SELECT state"), "{shown:?}");
}
