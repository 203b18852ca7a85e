//! From the counters of a run to how its pipeline is now.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use riskstream_engine::runtime::{Clock, HistogramCounts, Metrics, READ_STEP, StepMetrics};
use riskstream_engine::store::{held_by, read_away};

use super::gauges::{Process, Shared};
use super::life::{Life, Phase};
use super::now::{AwayNow, Now, ProgramNow, RATE_SECONDS, SinkNow, State, StepNow};
use super::samples::put;

/// Looks at a pipeline again and again, and writes down how it is.
pub(super) struct Observer {
    life: Arc<Life>,
    file: PathBuf,
    shared: Arc<Shared>,
    /// The counters of the last seconds, oldest first.
    before: VecDeque<Counts>,
    /// Whether this program was the last to hold the store; if not, the file holds what another
    /// program has written.
    owns: bool,
    told: bool,
}

/// The counters of which rates are taken.
struct Counts {
    steady_nanos: u64,
    cpu_seconds: Option<f64>,
    rows: u64,
    read: u64,
    epochs: Durations,
    /// Of each step: rows in, rows out, busy nanoseconds.
    steps: Vec<[u64; 3]>,
    sinks: Vec<Durations>,
}

/// A number of durations, and their sum.
#[derive(Clone, Copy)]
struct Durations {
    count: u64,
    seconds: f64,
}

impl From<HistogramCounts> for Durations {
    fn from(counts: HistogramCounts) -> Self {
        Self { count: counts.count, seconds: counts.sum_seconds }
    }
}

impl Durations {
    /// The mean of those since `before`.
    fn mean_since(self, before: Self) -> Option<f64> {
        let count = self.count.saturating_sub(before.count);
        (count > 0).then(|| (self.seconds - before.seconds).max(0.0) / count as f64)
    }
}

impl Observer {
    pub(super) fn new(
        life: &Arc<Life>,
        file: PathBuf,
        shared: &Arc<Shared>,
        clock: &dyn Clock,
    ) -> Self {
        let cpu_seconds = Process::now().map(|process| process.cpu_seconds);
        let before = VecDeque::from([Counts::read(&life.control.metrics, cpu_seconds, clock)]);
        let (life, shared) = (Arc::clone(life), Arc::clone(shared));
        Self { life, file, shared, before, owns: false, told: false }
    }

    /// Whether this program runs the pipeline, or was the last to do so.
    pub(super) fn owns(&self) -> bool {
        self.owns
    }

    /// Looks once more, and writes down how it is; `has_ended`: for the last time.
    pub(super) fn look(&mut self, clock: &dyn Clock, has_ended: bool) {
        let process = Process::now();
        let cpu_seconds = process.as_ref().map(|process| process.cpu_seconds);
        let counts = Counts::read(&self.life.control.metrics, cpu_seconds, clock);
        // Between two starts of a pipeline nobody holds its store.
        if let Some(holder) = held_by(&self.life.store) {
            self.owns = holder == Some(std::process::id());
        }
        if self.owns {
            let now = self.now(&counts, process, clock.wall_micros(), has_ended);
            let written = serde_json::to_vec(&now)
                .map_err(std::io::Error::from)
                .and_then(|bytes| put(&self.file, &bytes));
            if let Err(error) = written
                && !std::mem::replace(&mut self.told, true)
            {
                tracing::warn!("nothing for `top`: {}: {error}", self.file.display());
            }
        }
        self.before.push_back(counts);
        while self.before.len() as u64 > RATE_SECONDS {
            self.before.pop_front();
        }
    }

    fn now(
        &self,
        counts: &Counts,
        process: Option<Process>,
        at_micros: i64,
        has_ended: bool,
    ) -> Now {
        let (life, m) = (&*self.life, &*self.life.control.metrics);
        // `before` is never empty: each look adds its counters.
        let before = self.before.front().unwrap_or(counts);
        let rates = Rates::between(before, counts);
        let micros = |micros: i64| (micros > i64::MIN).then_some(micros);
        let total = load(&m.progress_total);
        let cores = before.cpu_seconds.zip(counts.cpu_seconds);
        let workers = m.steps.first().map_or(0, |step| step.state_bytes.len());
        Now {
            at_micros,
            program: ProgramNow {
                process: std::process::id(),
                started_micros: self.shared.started_micros,
                has_ended,
                memory_bytes: process.map(|process| process.resident_bytes as u64),
                cores: cores.map(|(before, now)| (now - before).max(0.0) / rates.seconds),
            },
            state: state(life),
            reason: life.failing().or_else(|| life.degraded()),
            workers,
            rows: counts.rows,
            rows_per_second: rates.of(before.rows, counts.rows),
            read_per_second: rates.of(before.read, counts.read),
            late: load(&m.late_committed_total),
            dead: load(&m.dead_committed_total),
            restarts: life.restarts(),
            read_ratio: (total > 0).then(|| load(&m.progress_done) as f64 / total as f64),
            event_time_micros: micros(m.event_time_max_micros.load(Ordering::Relaxed)),
            watermark_micros: micros(m.watermark_micros.load(Ordering::Relaxed)),
            committed_epoch: load(&m.committed_epoch),
            epoch_seconds: counts.epochs.mean_since(before.epochs),
            held_bytes: m.held_bytes(),
            store_bytes: load(&life.store_disk_bytes),
            steps: steps(m, &rates, workers),
            sinks: sinks(life, &rates, workers),
        }
    }
}

impl Counts {
    fn read(m: &Metrics, cpu_seconds: Option<f64>, clock: &dyn Clock) -> Self {
        let step = |s: &StepMetrics| [load(&s.rows_in), load(&s.rows_out), load(&s.busy_nanos)];
        Self {
            steady_nanos: clock.steady_nanos(),
            cpu_seconds,
            rows: load(&m.rows_committed_total),
            read: load(&m.rows_in_total),
            epochs: m.epoch.counts().into(),
            steps: m.steps.iter().map(step).collect(),
            sinks: m.sinks.iter().map(|sink| sink.delivery.counts().into()).collect(),
        }
    }
}

/// What happened between two looks.
struct Rates<'a> {
    seconds: f64,
    before: &'a Counts,
    after: &'a Counts,
}

impl<'a> Rates<'a> {
    fn between(before: &'a Counts, after: &'a Counts) -> Self {
        let nanos = after.steady_nanos.saturating_sub(before.steady_nanos);
        Self { seconds: (nanos as f64 / 1e9).max(1e-9), before, after }
    }

    fn of(&self, before: u64, after: u64) -> f64 {
        after.saturating_sub(before) as f64 / self.seconds
    }

    /// Rows in, rows out and seconds of work per second of a step.
    fn of_step(&self, number: usize) -> [f64; 3] {
        let (before, after) = (self.before.steps.get(number), self.after.steps.get(number));
        let (Some(before), Some(after)) = (before, after) else { return [0.0; 3] };
        let [rows_in, rows_out, nanos] = [0, 1, 2].map(|i| self.of(before[i], after[i]));
        [rows_in, rows_out, nanos / 1e9]
    }
}

fn state(life: &Life) -> State {
    match life.phase() {
        Phase::Running if life.has_restored() => State::Runs,
        Phase::Running => State::Starts,
        Phase::Waiting => State::StartsAgain,
        Phase::Failed => State::Failed,
        Phase::Ended => State::Ended,
    }
}

/// The steps that are no destinations.
fn steps(m: &Metrics, rates: &Rates<'_>, workers: usize) -> Vec<StepNow> {
    let is_sink = |id: &str| m.sinks.iter().any(|sink| sink.id == id);
    let step = |(number, step): (usize, &StepMetrics)| {
        let [rows_in, rows_out, busy] = rates.of_step(number);
        let threads = if step.id == READ_STEP { 1 } else { workers.max(1) };
        StepNow {
            step: step.id.clone(),
            rows_in_per_second: rows_in,
            rows_out_per_second: rows_out,
            busy: busy / threads as f64,
            state_bytes: step.state_bytes_total(),
            errors: load(&step.dead),
        }
    };
    m.steps.iter().enumerate().filter(|(_, s)| !is_sink(&s.id)).map(step).collect()
}

fn sinks(life: &Life, rates: &Rates<'_>, workers: usize) -> Vec<SinkNow> {
    let m = &*life.control.metrics;
    let mut notes = match life.degraded() {
        Some(_) => read_away(&life.store),
        None => Default::default(),
    };
    let committed = load(&m.committed_epoch);
    let mut all = Vec::new();
    for (number, sink) in m.sinks.iter().enumerate() {
        let step = m.steps.iter().position(|step| step.id == sink.id);
        let [_, rows, busy] = step.map_or([0.0; 3], |step| rates.of_step(step));
        let none = Durations { count: 0, seconds: 0.0 };
        let [before, after] = [rates.before, rates.after]
            .map(|counts| counts.sinks.get(number).copied().unwrap_or(none));
        let delivered = load(&sink.delivered_epoch);
        all.push(SinkNow {
            sink: sink.id.clone(),
            rows_per_second: rows,
            busy: busy / workers.max(1) as f64,
            deliveries_per_second: rates.of(before.count, after.count),
            delivery_seconds: after.mean_since(before),
            delivered_epoch: delivered,
            epochs_waiting: committed.saturating_sub(delivered),
            away: notes.remove(&sink.id).map(|note| AwayNow {
                since_micros: note.since_micros,
                tried: note.tried,
                reason: note.reason,
            }),
        });
    }
    all
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(seconds: u64, rows: u64, busy_nanos: u64) -> Counts {
        Counts {
            steady_nanos: seconds * 1_000_000_000,
            cpu_seconds: None,
            rows,
            read: 0,
            epochs: Durations { count: rows / 10, seconds: rows as f64 / 20.0 },
            steps: vec![[rows, rows / 2, busy_nanos]],
            sinks: Vec::new(),
        }
    }

    #[test]
    fn rates_are_those_between_two_looks() {
        let (before, after) = (counts(10, 100, 1_000_000_000), counts(14, 300, 3_000_000_000));
        let rates = Rates::between(&before, &after);
        assert_eq!(rates.of(before.rows, after.rows), 50.0);
        assert_eq!(rates.of_step(0), [50.0, 25.0, 0.5]);
        assert_eq!(rates.of_step(1), [0.0; 3], "a step that the counters do not have");
        assert_eq!(after.epochs.mean_since(before.epochs), Some(0.5));
        assert_eq!(after.epochs.mean_since(after.epochs), None);
        // A counter of a program that has started again is smaller.
        assert_eq!(rates.of(after.rows, before.rows), 0.0);
    }
}
