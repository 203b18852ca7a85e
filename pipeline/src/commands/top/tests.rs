//! The picture and the keys, without a program.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Condition, Model, PipelineModel};
use super::page;
use super::view::{Sort, View};
use crate::service::now::{AwayNow, Now, ProgramNow, SinkNow, State, StepNow};
use crate::service::samples::{LastHour, Sample};

const SECOND: i64 = 1_000_000;
/// 2024-05-01 09:00:00.
const AT: i64 = 1_714_554_000 * SECOND;

fn step(id: &str, rows: f64, busy: f64, state_bytes: u64) -> StepNow {
    StepNow {
        step: id.into(),
        rows_in_per_second: rows,
        rows_out_per_second: rows / 2.0,
        busy,
        state_bytes,
        errors: 0,
    }
}

fn sink(id: &str, epochs_waiting: u64, away: Option<AwayNow>) -> SinkNow {
    SinkNow {
        sink: id.into(),
        rows_per_second: 24.0,
        busy: 0.01,
        deliveries_per_second: 1.0,
        delivery_seconds: Some(0.042),
        delivered_epoch: 70 - epochs_waiting,
        epochs_waiting,
        away,
    }
}

fn now() -> Now {
    let program = ProgramNow {
        process: 4_711,
        started_micros: AT - 90 * SECOND,
        has_ended: false,
        memory_bytes: Some(312 << 20),
        cores: Some(1.44),
    };
    Now {
        at_micros: AT,
        program,
        state: State::Runs,
        reason: None,
        workers: 2,
        rows: 1_234_567,
        rows_per_second: 12_345.6,
        read_per_second: 13_000.0,
        late: 8,
        dead: 3,
        restarts: 1,
        read_ratio: Some(0.25),
        event_time_micros: Some(AT - 2 * SECOND),
        watermark_micros: Some(AT - 5 * SECOND),
        committed_epoch: 70,
        epoch_seconds: Some(0.25),
        held_bytes: 1 << 20,
        store_bytes: 4 << 20,
        steps: vec![
            step("source.read", 13_000.0, 0.1, 0),
            step("customer", 12_000.0, 0.62, 5 << 20),
            step("score", 12_500.0, 0.2, 0),
        ],
        sinks: vec![sink("scored", 0, None), sink("alerts", 2, None)],
    }
}

fn model(now: Now) -> Model {
    let mut hour = LastHour::default();
    let sample = Sample { at: AT / SECOND, rows_per_second: 9_000.0, lag_seconds: Some(5.0) };
    hour.push(sample);
    let other = PipelineModel::new("loans", None, LastHour::default(), false, AT);
    let first = PipelineModel::new("card-fraud", Some(now), hour, true, AT);
    Model { name: "bank".into(), data: "data".into(), at_micros: AT, pipelines: vec![first, other] }
}

/// What a terminal of this size shows.
fn screen(model: &Model, view: View, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| page::draw(model, &view, frame.area(), frame.buffer_mut())).unwrap();
    page::lines(terminal.backend().buffer())
}

/// The words of the line that begins with a word.
#[track_caller]
fn words<'t>(text: &'t str, first: &str) -> Vec<&'t str> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(first));
    line.unwrap_or_else(|| panic!("no line of {first}:\n{text}")).split_whitespace().collect()
}

#[test]
fn a_page_says_how_pipelines_steps_and_destinations_are() {
    let text = page::text(&model(now()), 100);
    assert_eq!(text.lines().next(), Some("bank   data data"));
    assert_eq!(
        text.lines().nth(1),
        Some("process 4711   up 90.0 s   312.0 MiB of memory   1.4 cores busy")
    );
    let table: Vec<Vec<&str>> = ["PIPELINE", "card-fraud", "loans"].map(|w| words(&text, w)).into();
    let heading = "PIPELINE STATE ROWS/S ROWS LATE DEAD LAG CLOCK LAG EPOCH RESTARTS";
    assert_eq!(table[0].join(" "), heading);
    assert_eq!(table[1].join(" "), "card-fraud runs 12,346 1,234,567 8 3 3.0 s 5.0 s 250 ms 1");
    assert_eq!(table[2].join(" "), "loans down - - - - - - - -");
    let title = text.lines().find(|line| line.starts_with("card-fraud   epoch")).unwrap();
    let told = "card-fraud   epoch 70   25 % read   1.0 MiB held   4.0 MiB on disk   2 workers";
    assert_eq!(title, told);
    assert!(words(&text, "rows/s").ends_with(&["last", "9,000,", "at", "most", "9,000"]), "{text}");
    assert_eq!(words(&text, "customer").join(" "), "customer 12,000 6,000 62 % ██████ 5.0 MiB 0");
    assert_eq!(words(&text, "score").join(" "), "score 12,500 6,250 20 % ██ - 0");
    assert_eq!(words(&text, "alerts").join(" "), "alerts 24 1.0 42 ms 68 2");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn what_is_away_and_what_failed_is_told_with_the_reason() {
    let mut waits = now();
    let reason = "warehouse: connection refused by 10.0.0.7:9092, which may be down ".repeat(3);
    let away = AwayNow { since_micros: AT - 60 * SECOND, tried: 7, reason };
    waits.sinks[1].away = Some(away);
    waits.reason = Some("sink alerts: away for 60 s".into());
    let text = page::text(&model(waits), 80);
    let said = "card-fraud: alerts is away since 2024-05-01 08:59:00, tried 7 times:";
    assert!(text.contains(said) && text.contains("which may be"), "{text}");
    assert!(!text.contains("away for 60 s"), "it is told of once\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let mut failed = now();
    failed.state = State::Failed;
    failed.reason = Some("in/2.csv has changed".into());
    let text = page::text(&model(failed.clone()), 100);
    assert!(text.contains("card-fraud: in/2.csv has changed"), "{text}");
    // The failure has ended the program, and its reason is still shown.
    failed.program.has_ended = true;
    let first = PipelineModel::new("card-fraud", Some(failed), LastHour::default(), false, AT);
    let down = Model { pipelines: vec![first], ..model(now()) };
    assert!(!down.runs());
    let text = page::text(&down, 100);
    assert!(text.contains("no program runs any more") && text.contains("has changed"), "{text}");
}

#[test]
fn whether_a_pipeline_runs_is_seen_by_who_holds_its_store_and_when_it_was_last_told() {
    let old = Now { at_micros: AT - 11 * SECOND, ..now() };
    let mut ended = now();
    ended.program.has_ended = true;
    for (now, is_held, condition) in [
        (Some(now()), true, Condition::Said(State::Runs)),
        (
            Some(Now { state: State::StartsAgain, ..now() }),
            false,
            Condition::Said(State::StartsAgain),
        ),
        (Some(old.clone()), true, Condition::Silent),
        (Some(old), false, Condition::Down),
        (Some(ended.clone()), true, Condition::Silent),
        (Some(ended), false, Condition::Down),
        (None, true, Condition::Silent),
        (None, false, Condition::Down),
    ] {
        let seen = PipelineModel::new("p", now.clone(), LastHour::default(), is_held, AT);
        assert_eq!(seen.condition, condition, "{is_held} {now:?}");
    }
}

#[test]
fn a_terminal_shows_the_chosen_pipeline_the_keys_and_what_there_is_room_for() {
    let model = model(now());
    let view = View::default();
    let all = screen(&model, view, 100, 30);
    assert_eq!(words(&all, "q").join(" "), "q quit p pause s steps by flow up down pipeline");
    assert!(all.contains("customer") && all.contains("DESTINATION"), "{all}");
    // The second pipeline is down: it has no steps.
    let second = screen(&model, View { selected: 1, ..view }, 100, 30);
    assert!(!second.contains("customer") && !second.contains("DESTINATION"), "{second}");
    let paused = screen(&model, View { paused: true, sort: Sort::Busy, ..view }, 100, 30);
    assert!(paused.contains("paused") && paused.contains("p go on   s steps by busy"), "{paused}");
    let order: Vec<&str> = paused
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| ["source.read", "customer", "score"].contains(word))
        .collect();
    assert_eq!(order, ["customer", "score", "source.read"]);

    let many = (0..40).map(|i| step(&format!("step-{i}"), 1.0, 0.0, 0)).collect();
    let mut crowded = model.clone();
    crowded.pipelines[0].now = Some(Now { steps: many, ..now() });
    let low = screen(&crowded, view, 100, 30);
    let shown = low.lines().filter(|line| line.starts_with("step-")).count();
    assert!(low.contains(&format!("and {} more steps", 40 - shown)), "{low}");
    assert!(low.contains("alerts") && low.contains("q quit"), "{low}");
    // However small it is, nothing fails.
    for (columns, rows) in [(1, 1), (3, 2), (10, 5), (40, 8), (200, 9)] {
        assert_eq!(screen(&crowded, view, columns, rows).lines().count(), usize::from(rows));
    }
}

#[test]
fn keys_quit_pause_sort_and_move() {
    let mut view = View::default();
    let mut press = |code: KeyCode| (view.press(KeyEvent::from(code), 3), view);
    assert!(press(KeyCode::Char('p')).1.paused);
    assert!(!press(KeyCode::Char(' ')).1.paused);
    let sorts = [Sort::Busy, Sort::Rows, Sort::State, Sort::Flow];
    assert_eq!(sorts.map(|_| press(KeyCode::Char('s')).1.sort), sorts);
    let moves = [
        (KeyCode::Up, 0),
        (KeyCode::Down, 1),
        (KeyCode::Char('j'), 2),
        (KeyCode::Down, 2),
        (KeyCode::Tab, 0),
        (KeyCode::Tab, 1),
        (KeyCode::Char('k'), 0),
        (KeyCode::F(1), 0),
    ];
    for (code, selected) in moves {
        let (quits, view) = press(code);
        assert_eq!((quits, view.selected), (false, selected), "{code:?}");
    }
    assert!(press(KeyCode::Char('q')).0 && press(KeyCode::Esc).0);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(view.press(control_c, 3) && !view.press(KeyEvent::from(KeyCode::Char('c')), 3));
}
