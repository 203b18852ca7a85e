//! A pipeline's life: it is run, and where it may start again after a failure, it is planned anew
//! and run again, until its input ends, it is stopped, or it fails for good.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use riskstream_engine::runtime::{self, Clock, RunError, RunSummary};
use riskstream_sinks::LastRows;

use super::backoff::Backoff;
use super::life::{Life, Phase};
use crate::config::spec::OnFailure;
use crate::plan::{Planned, PlannedTable};

/// How soon a pipeline that waits sees that it is to stop.
const GLANCE: Duration = Duration::from_millis(20);

/// What the supervisor does after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follows {
    /// The pipeline starts again after this long.
    StartsAgain(Duration),
    /// The pipeline does not start again: it would fail again until somebody decides.
    NeedsDecision,
}

/// What came of a pipeline.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How its last run ended; none: it has failed.
    pub(crate) summary: Option<RunSummary>,
    /// When the pipeline ended.
    pub(crate) ended: Instant,
    /// Its tables, the dead letters' last.
    pub(crate) tables: Vec<PlannedTable>,
    /// Console sinks: id and the newest rows.
    pub(crate) consoles: Vec<(String, Arc<Mutex<LastRows>>)>,
}

/// Runs a pipeline until it has ended for good. A failure is in the metrics of `life.control` as
/// soon as it is known; `watch` reports it, and what follows.
pub(crate) fn supervise(
    life: &Life,
    planned: Planned,
    plan_again: impl Fn() -> Result<Planned, String>,
    clock: &Arc<dyn Clock>,
    follows: &Sender<Follows>,
) -> Outcome {
    let Planned { plan, engine, mut tables, mut consoles, .. } = planned;
    let mut next = Some((plan, engine));
    let mut backoff = Backoff::default();
    loop {
        life.starts();
        let began = Instant::now();
        let ready = match next.take() {
            Some(ready) => Ok(ready),
            None => plan_again().map(|planned| {
                (tables, consoles) = (planned.tables, planned.consoles);
                (planned.plan, planned.engine)
            }),
        };
        let ended = match ready {
            Ok((plan, engine)) => {
                let run = || runtime::run(plan, engine, &life.control, Arc::clone(clock));
                match catch_unwind(AssertUnwindSafe(run)) {
                    Ok(ended) => ended.map_err(|error| Failure::from(&error)),
                    // The message of the panic was printed already.
                    Err(_) => Err(Failure::from(&RunError::Bug { what: "a panic".into() })),
                }
            }
            Err(text) => Err(Failure { may_pass: true, text }),
        };
        let failure = match ended {
            Ok(summary) => {
                life.set_phase(Phase::Ended);
                let summary = Some(summary);
                return Outcome { summary, ended: Instant::now(), tables, consoles };
            }
            Err(failure) => failure,
        };
        let ran = if life.has_restored() { began.elapsed() } else { Duration::ZERO };
        fail(life, failure.text);
        let restart = match life.on_failure {
            OnFailure::Restart(restart) if failure.may_pass => restart,
            OnFailure::Restart(_) => {
                // If the receiver is gone, nobody is left to tell.
                let _gone = follows.send(Follows::NeedsDecision);
                break;
            }
            OnFailure::Stop => break,
        };
        let pause = backoff.failed(ran, &restart, rand::random::<f64>());
        life.set_phase(Phase::Waiting);
        let _gone = follows.send(Follows::StartsAgain(pause));
        if !wait(life, pause) {
            break;
        }
    }
    life.set_phase(Phase::Failed);
    Outcome { summary: None, ended: Instant::now(), tables, consoles }
}

/// Why a start failed.
struct Failure {
    may_pass: bool,
    text: String,
}

impl From<&RunError> for Failure {
    fn from(error: &RunError) -> Self {
        Self { may_pass: error.may_pass(), text: error.to_string() }
    }
}

/// Records why the pipeline has failed, unless the engine has done so.
fn fail(life: &Life, text: String) {
    let failing = &life.control.metrics.failing;
    failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(text);
}

/// Waits; false when the pipeline is to stop meanwhile.
fn wait(life: &Life, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        if life.control.stop.load(Ordering::Acquire) {
            return false;
        }
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => std::thread::sleep(left.min(GLANCE)),
            _ => return true,
        }
    }
}
