//! What steers a run, and what it says of itself at its end.

use crate::runtime::metrics::{DECODE_STEP, HOLD_STEP, Metrics, READ_STEP, SPLIT_STEP};
use crate::runtime::plan::Plan;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Steers and watches a run from another thread.
#[derive(Debug, Clone)]
pub struct RunControl {
    /// Set it to end the run cleanly after the open epoch.
    pub stop: Arc<AtomicBool>,
    /// What the run is doing.
    pub metrics: Arc<Metrics>,
}

impl RunControl {
    /// Control of a run of `plan`.
    #[must_use]
    pub fn new(plan: &Plan, workers: usize) -> Self {
        let mut ids = vec![READ_STEP.to_owned(), DECODE_STEP.to_owned(), HOLD_STEP.to_owned()];
        ids.extend(plan.steps.iter().map(|s| s.id.clone()));
        for sink in plan.sinks.iter().chain([&plan.dead_letters]) {
            ids.extend(sink.steps.iter().map(|s| s.id.clone()));
            ids.push(sink.id.clone());
        }
        ids.push(SPLIT_STEP.to_owned());
        let sinks = plan.sinks.iter().chain([&plan.dead_letters]).map(|s| s.id.clone());
        Self {
            stop: Arc::new(AtomicBool::new(false)),
            metrics: Arc::new(Metrics::new(ids, sinks, workers)),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its generation.
    pub generation: u64,
    /// The epoch that it went on after; 0 for a new store.
    pub resumed_after: u64,
    /// Its last committed epoch.
    pub committed: u64,
    /// The last epoch that every sink has made visible; what was committed after it waits in the
    /// store for the next run.
    pub delivered: u64,
    /// It was stopped before the input ended.
    pub stopped: bool,
}
