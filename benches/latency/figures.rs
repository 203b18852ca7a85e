//! Every latency, kept, and the page about them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use riskstream_engine::runtime::Metrics;
use serde_json::{Value, json};

use crate::arrivals::Schedule;

/// The goals, p99 in milliseconds.
const GOAL_IMMEDIATE_MS: f64 = 5.0;
const GOAL_COMMITTED_MS: f64 = 50.0;
/// Clock ticks per second in /proc on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Latencies in nanoseconds, of all payments but those of the warm-up.
#[derive(Debug)]
pub(crate) struct Figures {
    schedule: Arc<Schedule>,
    warm_up_rows: u64,
    immediate: Mutex<Noted>,
    committed: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    nanos: Vec<u64>,
    /// The number of calls, each of which brings a batch.
    batches: u64,
}

/// What a run took.
pub(crate) struct Spent {
    /// CPU seconds of this process.
    pub(crate) cpu: f64,
    pub(crate) took: Duration,
    /// Seconds that the machine's host gave to others while a thread here could have run (all
    /// processors together).
    pub(crate) taken: f64,
}

/// The report as text, and its figures as JSON.
pub(crate) struct Report {
    pub(crate) text: String,
    json: Value,
}

impl Figures {
    pub(crate) fn new(schedule: Arc<Schedule>, warm_up_rows: u64) -> Self {
        Self { schedule, warm_up_rows, immediate: Mutex::default(), committed: Mutex::default() }
    }

    /// Decisions reached the sink on their worker.
    pub(crate) fn immediate(&self, arrivals: &[i64]) {
        self.note(&self.immediate, arrivals);
    }

    /// Decisions of a committed epoch were handed out.
    pub(crate) fn committed(&self, arrivals: &[i64]) {
        self.note(&self.committed, arrivals);
    }

    fn note(&self, noted: &Mutex<Noted>, arrivals: &[i64]) {
        let now = self.schedule.now_nanos();
        let counted = arrivals.iter().map(|a| a.unsigned_abs()).filter(|a| *a >= self.warm_up_rows);
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.nanos.extend(counted.map(|a| now.saturating_sub(self.schedule.arrives_at(a))));
        noted.batches += 1;
    }

    /// Builds the report; an error unless every payment was delivered in both ways.
    pub(crate) fn report(
        &self,
        metrics: &Metrics,
        epochs: u64,
        rows: u64,
        Spent { cpu, took, taken }: Spent,
        control: &mut [u64],
    ) -> anyhow::Result<Report> {
        let mut text = String::new();
        writeln!(text, "arrival to decision, ms      p50      p99    p99.9      max    goal p99")?;
        let mut json = json!({
            "bench": "latency",
            "epochs": epochs,
            "rows": rows,
            "cpu_s": cpu,
            "taken_s": taken,
            "wall_s": took.as_secs_f64(),
        });
        let mut batch_rows = 0.0;
        for (name, noted, goal) in [
            ("immediate", &self.immediate, GOAL_IMMEDIATE_MS),
            ("committed", &self.committed, GOAL_COMMITTED_MS),
        ] {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            let expected = rows.saturating_sub(self.warm_up_rows);
            anyhow::ensure!(
                noted.nanos.len() as u64 == expected,
                "{} of {expected} decisions came out ({name})",
                noted.nanos.len()
            );
            anyhow::ensure!(
                expected > 0,
                "nothing is left after the warm-up: ask for more seconds"
            );
            let shares = shares_of(&mut noted.nanos);
            let met = if shares[1] < goal { "met" } else { "missed" };
            writeln!(text, "{}    < {goal} {met}", line(name, shares))?;
            json[name] = shares_json(shares);
            if name == "immediate" {
                batch_rows = rows as f64 / noted.batches.max(1) as f64;
            }
        }
        if !control.is_empty() {
            let shares = shares_of(control);
            writeln!(
                text,
                "{}    two threads and no engine, before and after",
                line("control", shares)
            )?;
            json["control"] = shares_json(shares);
        }
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let commit_ms = metrics.commit.sum_nanos() as f64 / 1e6 / epochs.max(1) as f64;
        let bytes = load(&metrics.store_bytes_total) / rows.max(1) as f64;
        writeln!(text)?;
        writeln!(
            text,
            "{batch_rows:.1} payments per batch; {epochs} epochs of {:.0} payments; a commit takes \
             {commit_ms:.2} ms",
            rows as f64 / epochs.max(1) as f64
        )?;
        writeln!(
            text,
            "{bytes:.0} bytes written to the store per payment; {cpu:.1} CPU s in {:.1} s",
            took.as_secs_f64()
        )?;
        writeln!(text, "{taken:.2} s in which the host of this machine let its processors wait")?;
        writeln!(text, "\nstep                      µs per payment")?;
        for step in metrics.steps.iter().filter(|s| s.rows_in.load(Ordering::Relaxed) > 0) {
            writeln!(
                text,
                "{:<24} {:>15.2}",
                step.id,
                load(&step.busy_nanos) / 1e3 / rows.max(1) as f64
            )?;
        }
        json["payments_per_batch"] = json!(batch_rows);
        json["commit_ms"] = json!(commit_ms);
        Ok(Report { text, json })
    }
}

/// p50, p99, p99.9 and the maximum, in milliseconds.
fn shares_of(nanos: &mut [u64]) -> [f64; 4] {
    nanos.sort_unstable();
    [0.5, 0.99, 0.999, 1.0].map(|share| {
        let place = (nanos.len() as f64 * share) as usize;
        nanos[place.min(nanos.len() - 1)] as f64 / 1e6
    })
}

fn line(name: &str, [p50, p99, p999, max]: [f64; 4]) -> String {
    format!("{name:<24} {p50:>8.3} {p99:>8.3} {p999:>8.3} {max:>8.3}")
}

fn shares_json([p50, p99, p999, max]: [f64; 4]) -> Value {
    json!({ "p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "max_ms": max })
}

impl Report {
    /// Appends the figures as one line.
    pub(crate) fn append_to(&self, path: &Path, setup: &str) -> anyhow::Result<()> {
        let mut json = self.json.clone();
        json["setup"] = json!(setup);
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{json}")?;
        Ok(())
    }
}

/// CPU seconds of this process so far; 0 where /proc is not Linux's.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in parentheses, may hold spaces; user and system ticks are the 12th and
    // 13th fields after it.
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks =
        |at: usize| after.split(' ').nth(at).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Seconds so far that the host of a virtual machine gave to others ("steal"); 0 elsewhere.
pub(crate) fn taken_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // The first line: `cpu`, then user, nice, system, idle, iowait, irq, softirq, steal.
    let steal = stat.lines().next().and_then(|line| line.split_whitespace().nth(8));
    steal.and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / TICKS_PER_SECOND
}
