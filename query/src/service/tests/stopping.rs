use std::time::{Duration, Instant};

use super::*;

/// How long work may go on that must not. The machine may be busy.
const SOON: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// Statements that take longer than any test, each in another operator. `million a` stands for the
/// whole numbers from 1 to a million, in a column `value`.
const LONG: [(&str, &str); 11] = [
    ("cross join", "select count(*) from million a, million b, million c"),
    (
        "aggregate over a cross join",
        "select a.value % 1000, sum(b.value), count(distinct a.value * b.value % 7) \
         from million a, million b group by 1",
    ),
    (
        "sort that spills",
        "select a.value * b.value as x from million a, \
         million b order by x desc, a.value",
    ),
    (
        "the first rows of a sort",
        "select a.value * b.value % 7919 as x from million a, \
         million b order by x limit 5",
    ),
    (
        "nested loops",
        "select count(*) from million a join million b \
         on a.value < b.value and a.value + b.value < 0",
    ),
    (
        "hash join with a condition",
        "select count(*) from million a join million b \
         on a.value % 2 = b.value % 2 and a.value + b.value < 0",
    ),
    (
        "semi join",
        "select count(*) from million a where exists (select 1 from \
         million b where b.value % 2 = a.value % 2 and a.value + b.value < 0)",
    ),
    (
        "outer join",
        "select count(*) from million a full join \
         million b on a.value % 2 = b.value % 2 and a.value + b.value < 0",
    ),
    (
        "window",
        "select max(s) from (select sum(a.value) over (order by b.value) as s \
         from million a, million b)",
    ),
    (
        "recursion",
        "with recursive t(n) as (select 1 as n union all select n + 1 from t) \
         select count(*) from t",
    ),
    ("rows that nobody takes", "select a.value from million a, million b"),
];

/// The statement of such a text.
fn long(text: &str) -> Statement {
    let series = |text: String, name| {
        let table = format!("generate_series(1, 1000000) {name} (value)");
        text.replace(&format!("million {name}"), &table)
    };
    statement(&["a", "b", "c"].into_iter().fold(text.to_owned(), series))
}

fn small() -> Limits {
    Limits { memory_bytes: 64 << 20, ..Limits::default() }
}

/// Waits until no statement works, and gives how long that was.
fn ended(service: &QueryService) -> Duration {
    let began = Instant::now();
    while service.working() > 0 {
        assert!(began.elapsed() < PATIENCE, "the work goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

#[test]
fn work_ends_soon_after_it_is_cancelled_in_every_operator() {
    let tried = Tried::with(small(), None);
    for (what, text) in LONG {
        let (mut session, cancel) = (tried.session(), Cancel::default());
        let statement = long(text);
        let ran = tried.service.block_on(session.run(&statement, &[], &cancel));
        let mut answer = ran.unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(tried.service.working(), 1, "{what}");
        let began = Instant::now();
        cancel.stop(Stopped::Cancelled);
        let took = ended(&tried.service);
        // Run with `--nocapture` to see them.
        println!("{what}: {took:?}");
        assert!(took < SOON, "{what}: {took:?}");
        // What it gave before may still be there.
        let last = std::iter::from_fn(|| answer.next_blocking()).last();
        let is_over = matches!(last, Some(Err(QueryError::Stopped(Stopped::Cancelled))));
        assert!(is_over, "{what}: {last:?}");
        assert!(began.elapsed() < 2 * SOON, "{what}");
    }
    let counts = tried.service.counts();
    assert_eq!((counts.running, counts.open, counts.memory_bytes), (0, 0, 0), "all is given back");
}

#[test]
fn work_ends_when_its_time_is_over_or_nobody_wants_it() {
    let tried = Tried::with(small(), None);
    for (what, text) in LONG {
        let mut session = tried.session();
        session.settings.statement_timeout = Some(Duration::from_millis(200));
        let statement = long(text);
        let cancel = Cancel::default();
        let ran = session.run(&statement, &[], &cancel);
        let last = match tried.service.block_on(ran) {
            Ok(mut answer) => std::iter::from_fn(|| answer.next_blocking()).last(),
            // The machine was so busy that it was not even planned.
            Err(error) => Some(Err(error)),
        };
        let is_over = matches!(last, Some(Err(QueryError::Stopped(Stopped::TimedOut))));
        assert!(is_over, "{what}: {last:?}");
        ended(&tried.service);
        // Another one whose answer is dropped.
        session.settings.statement_timeout = None;
        let cancel = Cancel::default();
        drop(tried.service.block_on(session.run(&statement, &[], &cancel)).unwrap());
        assert!(ended(&tried.service) < SOON, "{what}");
    }
}

#[test]
fn others_run_beside_statements_that_never_end() {
    let tried = Tried::with(small(), None);
    let mut answers = Vec::new();
    for (_, text) in LONG.iter().take(6) {
        let (mut session, statement) = (tried.session(), long(text));
        let cancel = Cancel::default();
        let ran = session.run(&statement, &[], &cancel);
        answers.push(tried.service.block_on(ran).unwrap());
    }
    let mut session = tried.session();
    let began = Instant::now();
    assert_eq!(tried.ask(&mut session, "select 1 as one").unwrap(), ["1"]);
    assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
}
