//! The first failure of a run; everything stops when there is one.

use crate::contract::{OperatorError, SinkError, SourceError};
use crate::protocol::{Difference, Missing, OriginChange, Writer};
use crate::runtime::metrics::Metrics;
use crate::store::StoreError;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a run ended before its input did.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Reading failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A step failed.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A sink failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too much of the input is broken.
    #[error(
        "epoch {epoch}: {dead} of {total} rows are dead letters, more than the \
         {allowed_percent:.1} % that `dead_rows_max` allows; nothing of this epoch was kept. First \
         reason: {first}"
    )]
    TooManyDead {
        /// The epoch.
        epoch: u64,
        /// Dead rows in it.
        dead: u64,
        /// All rows in it.
        total: u64,
        /// What is allowed.
        allowed_percent: f64,
        /// An example.
        first: String,
    },
    /// A sink has made epochs visible that the store does not know.
    #[error(
        "sink {sink} has epoch {delivered} already, but the data folder is behind it (its last is \
         {committed}): it was deleted, or is an old copy. New rows would be taken for repeats and \
         dropped; bring the data folder back, or give the sink another destination"
    )]
    SinkAhead {
        /// The sink.
        sink: String,
        /// The last epoch that it has made visible.
        delivered: u64,
        /// The last epoch of the store.
        committed: u64,
    },
    /// A sink lacks epochs that the store no longer has.
    #[error(
        "sink {sink}: {destination} has {} of this pipeline, but rows of {} were delivered to it \
         as well, and are no longer in the data folder: the destination was deleted, or is an \
         older copy. They would be missing for good. Bring a newer copy back; or begin the \
         pipeline anew, which reads everything again: `riskstream run --fresh {pipeline}`; or \
         accept that they are missing: `riskstream accept {pipeline}`",
        visible_text(*visible),
        missing_text(missing)
    )]
    SinkBehind {
        /// The pipeline.
        pipeline: String,
        /// The sink.
        sink: String,
        /// Where its rows go.
        destination: String,
        /// The last epoch that it has; 0 for none.
        visible: u64,
        /// What it lacks.
        missing: Vec<Missing>,
    },
    /// The store remembers other names than the configuration says.
    #[error(
        "the data folder of the pipeline `{pipeline}` remembers other names: {}. Nothing was \
         started: what was delivered under the old name would be delivered again, or the history \
         be in two places. Put the old name back; or, once everything is delivered under it, let \
         the rows of new epochs go under the new name: `riskstream accept {pipeline}`; or begin \
         the pipeline anew, which reads everything again: `riskstream run --fresh {pipeline}`",
        changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    OtherOrigin {
        /// The pipeline, as it is called now.
        pipeline: String,
        /// What differs.
        changes: Vec<OriginChange>,
    },
    /// A pipeline that is new would put rows where others have theirs that the configuration does
    /// not have.
    #[error(
        "sink {sink}: {destination} has rows of {}, which the configuration does not have, and the \
         pipeline `{pipeline}` is new: if it was renamed, everything would be read again and be \
         there twice. Give it its old name back; or let the old one go on under the new name: \
         `riskstream state rename OLD {pipeline}`; or let the rows of both be there: \
         `riskstream accept {pipeline}`; or give the sink another destination",
        strangers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Strangers {
        /// The pipeline.
        pipeline: String,
        /// The sink.
        sink: String,
        /// Where its rows go.
        destination: String,
        /// Who has rows there.
        strangers: Vec<Writer>,
    },
    /// Another destination can't be accepted while rows wait for the old one.
    #[error(
        "sink {sink}: rows of epochs up to {last} may not have been delivered to {was} yet: run \
         once with the former configuration, which delivers them, and accept the new one then"
    )]
    StillWaiting {
        /// The sink.
        sink: String,
        /// Where its rows went so far.
        was: String,
        /// The last epoch with rows for it.
        last: u64,
    },
    /// A sink was taken out of the pipeline while rows waited for it.
    #[error(
        "sink {sink} is no longer in the pipeline, but rows of epochs {first} to {last} were \
         committed for it and not delivered: put it back and run again, which delivers them, or \
         delete {marks}, which gives them up"
    )]
    SinkGone {
        /// The sink.
        sink: String,
        /// The first epoch with such rows.
        first: u64,
        /// The last.
        last: u64,
        /// The file that remembers how far the sink has come.
        marks: String,
    },
    /// The store holds state of steps that the pipeline no longer has.
    #[error(
        "the data folder holds state of the step {step:?}, which the pipeline no longer has; give \
         the step its old id back, let the state go on under its new id: \
         `riskstream state rename {pipeline} {step} NEW`, or drop it: \
         `riskstream state drop {pipeline} {step}`"
    )]
    UnknownState {
        /// The pipeline.
        pipeline: String,
        /// The step.
        step: String,
    },
    /// Saved state is of steps that meant something else.
    #[error(transparent)]
    Changed(#[from] StepsChanged),
    /// A mistake of the program, such as a thread that panicked.
    #[error("internal error: {what}; please report it")]
    Bug {
        /// What happened.
        what: String,
    },
}

impl RunError {
    /// Whether another run of the same configuration may go on where this one failed. The others
    /// are refusals, which wait for somebody's decision, and runs that another one has taken over.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(StoreError::Io { .. } | StoreError::DiskFull { .. })
            | Self::Source(SourceError::Unreadable { .. } | SourceError::Away { .. })
            | Self::Source(SourceError::Bug { .. })
            | Self::Sink(SinkError::Write { .. } | SinkError::Away { .. })
            | Self::Operator(_)
            | Self::TooManyDead { .. }
            | Self::Bug { .. } => true,
            Self::Store(
                StoreError::InUse { .. }
                | StoreError::OtherVersion { .. }
                | StoreError::Damaged { .. }
                | StoreError::Fenced { .. }
                | StoreError::Resume(_),
            )
            | Self::Source(SourceError::Changed { .. })
            | Self::Sink(SinkError::Mismatch { .. })
            | Self::SinkAhead { .. }
            | Self::SinkBehind { .. }
            | Self::OtherOrigin { .. }
            | Self::Strangers { .. }
            | Self::StillWaiting { .. }
            | Self::SinkGone { .. }
            | Self::UnknownState { .. }
            | Self::Changed(_) => false,
        }
    }
}

/// Steps whose saved state can't go on with what the configuration says now. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.tell())]
pub struct StepsChanged {
    /// The pipeline.
    pub pipeline: String,
    /// By the step's id, what is not as it was.
    pub steps: BTreeMap<String, Vec<Difference>>,
}

impl StepsChanged {
    fn tell(&self) -> String {
        let steps: Vec<String> =
            self.steps.iter().map(|(step, differences)| Self::message(step, differences)).collect();
        let first = self.steps.keys().next().map_or("", String::as_str);
        format!("{}\n  {}", steps.join("\n"), self.ways_out(first))
    }

    /// What is wrong with a step.
    #[must_use]
    pub fn message(step: &str, differences: &[Difference]) -> String {
        let differences: Vec<String> = differences.iter().map(Difference::to_string).collect();
        format!(
            "the saved state of the step `{step}` is of another configuration: {}",
            differences.join("; ")
        )
    }

    /// What can be done about a step.
    #[must_use]
    pub fn ways_out(&self, step: &str) -> String {
        let pipeline = &self.pipeline;
        format!(
            "put the old value back; or give the changed step another id, with which it begins \
             empty (`riskstream state drop {pipeline} {step}` then drops the old state); or begin \
             the pipeline anew: `riskstream run --fresh {pipeline}`"
        )
    }
}

fn visible_text(visible: u64) -> String {
    if visible == 0 { "nothing".to_owned() } else { format!("epochs up to {visible}") }
}

fn missing_text(missing: &[Missing]) -> String {
    let epochs = missing.iter().map(Missing::to_string).collect::<Vec<_>>().join(", ");
    match missing {
        [one] if one.first == one.last => format!("epoch {epochs}"),
        _ => format!("epochs {epochs}"),
    }
}

/// Set once, by whoever fails first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    set: Arc<AtomicBool>,
    first: Arc<Mutex<Option<First>>>,
    /// The metrics that are told of a failure at once.
    told: Option<Arc<Metrics>>,
}

/// What was said first.
#[derive(Debug)]
struct First {
    error: RunError,
    /// Whether the failure may only be a consequence of a thread's panic, such as a channel without
    /// its other end. The panic itself is reported only afterwards.
    is_aftermath: bool,
}

impl Failure {
    /// A failure that the metrics know of at once.
    pub(crate) fn told_to(metrics: &Arc<Metrics>) -> Self {
        Self { told: Some(Arc::clone(metrics)), ..Self::default() }
    }

    pub(crate) fn set(&self, error: impl Into<RunError>) {
        let error = error.into();
        let is_aftermath = matches!(error, RunError::Bug { .. });
        self.say(First { error, is_aftermath });
    }

    /// A thread is gone that should not be.
    pub(crate) fn set_gone(&self, thread: &str) {
        self.set(RunError::Bug { what: format!("the {thread} thread is gone") });
    }

    /// A thread has panicked.
    pub(crate) fn set_panicked(&self, thread: &str, panic: &(dyn Any + Send)) {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let error = RunError::Bug {
            what: format!("{thread} panicked: {}", said.unwrap_or("it gave no reason")),
        };
        self.say(First { error, is_aftermath: false });
    }

    fn say(&self, said: First) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = first.as_ref().is_none_or(|f| f.is_aftermath && !said.is_aftermath);
        if is_new {
            // The cause of an aftermath may follow; without one it is told when the run has ended.
            if let (Some(metrics), false) = (&self.told, said.is_aftermath) {
                metrics.set_failing(said.error.to_string());
            }
            *first = Some(said);
        }
        self.set.store(true, Ordering::Release);
    }

    /// Does something, and takes a panic of it for the failure of the run, at once: whoever waits
    /// for it hears of it.
    pub(crate) fn watch(&self, thread: &str, body: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            self.set_panicked(thread, panic.as_ref());
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    pub(crate) fn take(&self) -> Option<RunError> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take().map(|first| first.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_and_a_panic_before_what_it_leaves_behind() {
        let failure = Failure::default();
        failure.set_gone("committer");
        assert!(failure.is_set());
        failure.watch("committer", || panic!("out of luck"));
        failure.watch("feed", || panic!("later"));
        failure.set_gone("housekeeper");
        let told = failure.take().expect("a failure").to_string();
        assert!(told.contains("committer panicked: out of luck"), "{told}");
    }
}
