//! Watches pipelines while they run: tells of failures and troubles as soon as they are known,
//! draws the progress, and passes a stop on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::life::{Life, Phase};
use super::supervisor::{Follows, Outcome};
use super::voice::{Importance, Voice};
use crate::config::spec::OnFailure;
use crate::progress::Progress;

/// How often failures are looked for, and the progress is drawn.
const GLANCE: Duration = Duration::from_millis(20);
/// How often where nothing is drawn: the end of a run of a few rows must not be held up.
const GLANCE_UNSEEN: Duration = Duration::from_millis(2);

/// One pipeline of a run.
#[derive(Debug)]
pub(crate) struct Watched<'scope> {
    pub(crate) life: Arc<Life>,
    /// The thread that runs the pipeline.
    pub(crate) thread: std::thread::ScopedJoinHandle<'scope, Outcome>,
    /// What follows from its failures.
    pub(crate) follows: Receiver<Follows>,
    /// Threads of its dataflow.
    pub(crate) workers: usize,
}

/// Trouble that is tried again is reported at once, and then this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What was reported of a pipeline.
#[derive(Clone, Default)]
struct Told {
    /// What was last said to be away, or to hold it up, and when.
    trouble: Option<(Instant, String)>,
    /// The number of the start that was reported to read.
    reads: u64,
    /// The number of the start that was reported to fail.
    fails: u64,
}

impl Told {
    /// Tells of what holds a pipeline up, such as a destination that is away, and that it is over.
    fn trouble(&mut self, life: &Life, voice: &Voice) {
        match (life.degraded(), &self.trouble) {
            (Some(_), Some((at, _))) if at.elapsed() < TELL_EVERY => {}
            (Some(reason), _) => {
                voice.say_of(Importance::Warn, &life.name, &reason);
                self.trouble = Some((Instant::now(), reason));
            }
            (None, Some((_, said))) => {
                voice.say_of(Importance::Warn, &life.name, &format!("this is over: {said}"));
                self.trouble = None;
            }
            (None, None) => {}
        }
    }

    /// Tells, where there is a log, that a pipeline reads.
    fn reads(&mut self, life: &Life) {
        let start = life.started();
        if self.reads != start && life.has_restored() {
            self.reads = start;
            let (pipeline, metrics) = (&life.name, &life.control.metrics);
            let after = metrics.committed_epoch.load(Ordering::Relaxed);
            tracing::info!(pipeline, start, after, "pipeline {pipeline}: reads");
        }
    }

    /// Reports that a pipeline fails, as soon as that is known, and what follows. Returns whether
    /// the pipeline has failed for good.
    fn failure(&mut self, running: &Watched<'_>, voice: &Voice) -> bool {
        let life = &running.life;
        // The supervisor records a failure before it sends what follows. Reading what follows first
        // ensures that it is never reported before its failure.
        let follows: Vec<Follows> = running.follows.try_iter().collect();
        let start = life.started();
        let fails = life.failing();
        if let Some(reason) = &fails
            && self.fails != start
        {
            self.fails = start;
            life.count_failure();
            voice.say_of(Importance::Error, &life.name, reason);
        }
        for follows in follows {
            let text = match follows {
                Follows::StartsAgain(wait) => {
                    format!("starts again in {:.1} s", wait.as_secs_f64())
                }
                Follows::NeedsDecision => {
                    "does not start again: it would fail as before until somebody decides".into()
                }
            };
            voice.say_of(Importance::Warn, &life.name, &text);
        }
        match life.on_failure {
            OnFailure::Stop => fails.is_some(),
            OnFailure::Restart(_) => life.phase() == Phase::Failed,
        }
    }
}

/// Draws the progress until every pipeline has ended, tells of what happens, and passes a stop on.
/// Where a pipeline fails for good, the others stop, too.
pub(crate) fn watch(running: &[Watched<'_>], stop: &AtomicBool, progress: &mut Progress<'_>) {
    let voice = progress.voice();
    let mut told = vec![Told::default(); running.len()];
    let mut stopped = false;
    loop {
        let ended = running.iter().all(|r| r.thread.is_finished());
        let mut failed = None;
        for (told, running) in told.iter_mut().zip(running) {
            told.trouble(&running.life, &voice);
            told.reads(&running.life);
            if told.failure(running, &voice) {
                failed.get_or_insert(&running.life.name);
            }
        }
        if ended {
            break;
        }
        let asked = stop.load(Ordering::Acquire);
        if !stopped && (asked || failed.is_some()) {
            stopped = true;
            if let Some(name) = failed.filter(|_| running.len() > 1) {
                let text =
                    format!("pipeline {name} has failed: the others end after their open epoch");
                voice.say(Importance::Warn, &text);
            } else if asked {
                voice.say(
                    Importance::Info,
                    "stopping after the open epoch; Ctrl-C again leaves at once",
                );
            }
            for r in running {
                r.life.control.stop.store(true, Ordering::Release);
            }
        }
        progress.draw();
        std::thread::sleep(if progress.draws() { GLANCE } else { GLANCE_UNSEEN });
    }
    progress.finish();
}
