//! The progress of running pipelines: a bar each on a terminal, a line now and then elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::DateTime;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use riskstream_engine::runtime::Metrics;

use crate::service::{Importance, Voice, logs};

/// Without a terminal, one line per pipeline at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Events per second are taken over this long.
const RATE_OVER: Duration = Duration::from_millis(500);

/// Draws pipelines' metrics.
#[derive(Debug)]
pub struct Progress<'a> {
    bars: MultiProgress,
    pipelines: Vec<Line<'a>>,
    draw: bool,
    line_at: Instant,
}

#[derive(Debug)]
struct Line<'a> {
    name: &'a str,
    metrics: &'a Arc<Metrics>,
    bar: ProgressBar,
    rows: u64,
    rated_at: Instant,
    rate: f64,
}

impl<'a> Progress<'a> {
    /// Progress of named pipelines; nothing is drawn unless `draw`.
    pub fn new(pipelines: impl Iterator<Item = (&'a str, &'a Arc<Metrics>)>, draw: bool) -> Self {
        let bars = MultiProgress::new();
        if !draw || logs::format().is_some() {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template(
            "{prefix:.bold} {bar:24} {percent:>3}%  {msg}  {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let open_ended = ProgressStyle::with_template("{prefix:.bold} {spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let now = Instant::now();
        let lines = pipelines
            .map(|(name, metrics)| {
                let total = metrics.progress_total.load(Ordering::Relaxed);
                let bar = bars.add(ProgressBar::new(total));
                bar.set_style(if total > 0 { style.clone() } else { open_ended.clone() });
                bar.set_prefix(name.to_owned());
                Line { name, metrics, bar, rows: 0, rated_at: now, rate: 0.0 }
            })
            .collect();
        Self { bars, pipelines: lines, draw, line_at: now }
    }

    /// Whether anything is drawn.
    pub(crate) fn draws(&self) -> bool {
        self.draw
    }

    /// The voice that reports what happens, above the bars.
    pub(crate) fn voice(&self) -> Voice {
        Voice::new(self.bars.clone(), self.draw)
    }

    /// Draws the state as it is now.
    pub fn draw(&mut self) {
        if !self.draw {
            return;
        }
        let now = Instant::now();
        let lines_due = self.bars.is_hidden() && now - self.line_at >= LINE_EVERY;
        let voice = self.voice();
        for line in &mut self.pipelines {
            let text = line.text(now);
            let (done, total) = (
                line.metrics.progress_done.load(Ordering::Relaxed),
                line.metrics.progress_total.load(Ordering::Relaxed),
            );
            line.bar.set_length(total);
            line.bar.set_position(done.min(total));
            line.bar.set_message(text.clone());
            if lines_due {
                voice.say_of(Importance::Info, line.name, &text);
            }
        }
        if lines_due {
            self.line_at = now;
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        for line in &self.pipelines {
            line.bar.finish_and_clear();
        }
    }
}

impl Line<'_> {
    fn text(&mut self, now: Instant) -> String {
        let m = self.metrics;
        let rows = m.rows_in_total.load(Ordering::Relaxed);
        if now - self.rated_at >= RATE_OVER {
            self.rate = (rows - self.rows) as f64 / (now - self.rated_at).as_secs_f64();
            self.rows = rows;
            self.rated_at = now;
        }
        let (open, committed) =
            (m.open_epoch.load(Ordering::Relaxed), m.committed_epoch.load(Ordering::Relaxed));
        let mut text = format!(
            "{} rows, {:.0} events/s, event time {}, watermark {}, {} epochs in flight",
            grouped(rows),
            self.rate,
            time(m.event_time_max_micros.load(Ordering::Relaxed)),
            time(m.watermark_micros.load(Ordering::Relaxed)),
            open.saturating_sub(committed + 1),
        );
        let dead = m.dead_committed_total.load(Ordering::Relaxed);
        if dead > 0 {
            text.push_str(&format!(", {} dead letters", grouped(dead)));
        }
        if let Some(reason) = m.degraded.lock().ok().and_then(|d| d.clone()) {
            text.push_str(&format!(", DEGRADED: {reason}"));
        }
        text
    }
}

/// An event time for people; `-` before the first.
pub fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .filter(|_| micros != i64::MIN)
        .map_or_else(|| "-".into(), |t| t.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
