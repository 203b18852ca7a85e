//! A machine's clock that is wrong, where event time goes by it.

use crate::source::{End, Line, LineSource};
use crate::world::{Settings, World, until};
use riskstream_engine::runtime::{Clock, SystemClock, WhenQuiet};
use riskstream_engine::store::inspect;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A clock that is wrong by so much.
#[derive(Default)]
struct Astray {
    right: SystemClock,
    ahead: AtomicI64,
}

impl Clock for Astray {
    fn wall_micros(&self) -> i64 {
        self.right.wall_micros() + self.ahead.load(Ordering::SeqCst)
    }

    fn steady_nanos(&self) -> u64 {
        self.right.steady_nanos()
    }
}

fn now() -> i64 {
    SystemClock::default().wall_micros()
}

fn followed(rows: &[i64]) -> LineSource {
    let lines =
        rows.iter().zip(1..).map(|(time, id)| Line::Row { id, key: id % 3, time: *time }).collect();
    let mut source = LineSource::new(&Arc::new(vec![lines]));
    source.ends = vec![End::Follow];
    source
}

fn by(clock: &Arc<Astray>) -> Settings {
    let clock: Arc<dyn Clock> = Arc::<Astray>::clone(clock);
    Settings { idle_after: 20_000, when_quiet: WhenQuiet::Clock, clock, ..Settings::default() }
}

#[test]
fn a_clock_that_jumps_a_day_takes_event_time_no_further_than_time_has_passed_and_is_told_of() {
    let world = World::new();
    let clock = Arc::new(Astray::default());
    let running = world.start(followed(&[1_000]), &by(&clock));
    let metrics = Arc::clone(&running.control.metrics);
    let watermark = || metrics.watermark_micros.load(Ordering::SeqCst);
    let told = || metrics.degraded.lock().expect("free").clone().unwrap_or_default();
    until("event time is the clock's", || watermark() > now() - 10 * SECOND);
    assert_eq!(told(), "");
    clock.ahead.store(DAY, Ordering::SeqCst);
    until("the jump is told", || {
        told().contains("has jumped: it is 86400 s ahead")
            || told().contains("has jumped: it is 86399 s ahead")
    });
    let before = watermark();
    until("event time goes on", || watermark() > before + SECOND / 10);
    assert!(watermark() < now() + 120 * SECOND, "{} s ahead", (watermark() - now()) / SECOND);
    clock.ahead.store(0, Ordering::SeqCst);
    until("it is right again", || told().is_empty());
    running.control.stop.store(true, Ordering::SeqCst);
    running.end().expect("a clean stop");
}

#[test]
fn event_time_that_a_wrong_clock_has_committed_is_put_back_by_the_next_run() {
    let world = World::new();
    let wrong = Arc::new(Astray::default());
    wrong.ahead.store(DAY, Ordering::SeqCst);
    let running = world.start(followed(&[1_000]), &by(&wrong));
    let metrics = Arc::clone(&running.control.metrics);
    until("event time is a day ahead", || {
        metrics.watermark_micros.load(Ordering::SeqCst) > now() + DAY / 2
    });
    running.control.stop.store(true, Ordering::SeqCst);
    running.end().expect("a clean stop");

    let right = Arc::new(Astray::default());
    let mut rows = vec![1_000];
    for run in 1..3 {
        // Of a moment that the clock has not reached when they are read, on a slow machine either.
        let soon = now() + 3 * SECOND;
        rows.extend([soon, soon + 5]);
        let running = world.start(followed(&rows), &by(&right));
        let metrics = Arc::clone(&running.control.metrics);
        let passed = || world.said().iter().filter(|s| s.kind == "row").count();
        until("the new rows are in time, and pass", || passed() == 1 + 2 * run);
        assert_eq!(metrics.late_committed_total.load(Ordering::SeqCst), 0);
        running.control.stop.store(true, Ordering::SeqCst);
        running.end().expect("a clean stop");
        let told = metrics.degraded.lock().expect("free").clone().unwrap_or_default();
        assert_eq!(told.contains("it is put back"), run == 1, "once: {told}");
        let watermark = inspect(world.store())
            .expect("looked")
            .expect("a store")
            .watermark
            .expect("there is one");
        assert!(watermark < now() + 60 * SECOND);
    }
}
