//! Starting, driving and ending a run.

use crate::runtime::clock::Clock;
use crate::runtime::control::{RunControl, RunSummary};
use crate::runtime::failure::RunError;
use crate::runtime::plan::{EngineConfig, Plan};
use crate::runtime::recover::{Beginning, resume};
use crate::runtime::threads::drive;
use std::sync::Arc;

/// Runs a pipeline until its input ends, it is stopped, or something fails; blocks. What was
/// committed stays, whatever happens.
///
/// # Errors
/// The first failure of any part.
pub fn run(
    plan: Plan,
    config: EngineConfig,
    control: &RunControl,
    time: Arc<dyn Clock>,
) -> Result<RunSummary, RunError> {
    match resume(plan, &config, control, time.as_ref())? {
        Beginning::Resumed(resumed) => drive(*resumed, config, control, &time),
        Beginning::Stopped(summary) => Ok(summary),
    }
}
