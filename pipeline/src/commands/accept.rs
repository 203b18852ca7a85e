//! `riskstream accept`: accepts a pipeline's present names and destinations, or that rows are
//! missing for good, where a run refuses to start because of them.

use std::io::Write;
use std::sync::Arc;

use riskstream_engine::runtime::{self, Clock, Plan, Standing, SystemClock};
use riskstream_sinks::DeltaRuntime;

use super::run::{default_workers, plan};
use super::{CommandError, failed, load};
use crate::cli::AcceptArgs;
use crate::config::spec::Pipeline;
use crate::config::{Config, suggest_name};
use crate::plan::{Stored, store_location};

/// Says what accepting would mean, and does it where the user has said `--yes`.
///
/// # Errors
/// An unknown pipeline, a configuration that can't be run, a store in use, rows that wait for an
/// old destination; or no `--yes`.
pub fn accept(args: &AcceptArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&(&args.config).into())?;
    let Some(pipeline) = config.spec.pipeline(&args.pipeline) else {
        let help = suggest_name(
            &args.pipeline,
            config.spec.pipelines.iter().map(|p| p.name.value.as_str()),
            "the file has",
        );
        return Err(CommandError::Usage {
            message: format!("there is no pipeline `{}`", args.pipeline),
            help,
        });
    };
    let name = &pipeline.name.value;
    let store = store_location(&config, name);
    let standing = runtime::standing(planned(&config, pipeline)?, &store).map_err(failed)?;
    if standing.is_as_before() {
        writeln!(out, "pipeline {name}: there is nothing to accept, a run goes on as before")?;
        return Ok(());
    }
    let means: String = means(&standing).iter().map(|line| format!("\n  - {line}")).collect();
    if !args.yes && standing.waiting.is_empty() {
        let message =
            format!("accepting the configuration of pipeline {name} as it is means:{means}");
        return Err(CommandError::Usage {
            message,
            help: Some("nothing was changed; say --yes to accept it".into()),
        });
    }
    let accepted = runtime::accept(planned(&config, pipeline)?, &store).map_err(failed)?;
    writeln!(out, "pipeline {name}: accepted, as of epoch {}:{means}", accepted.committed.next())?;
    Ok(())
}

fn planned(config: &Config, pipeline: &Pipeline) -> Result<Plan, CommandError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let runtime = DeltaRuntime::new().map_err(failed)?;
    Ok(plan(config, pipeline, Stored::GoesOn, default_workers(config), &runtime, &clock)?.plan)
}

/// What accepting would change, one sentence for each change.
fn means(standing: &Standing) -> Vec<String> {
    let mut means = Vec::new();
    for change in &standing.changes {
        means.push(format!(
            "{change}: rows of epochs after {} go under the new name, those before stay where they \
             are",
            standing.committed
        ));
    }
    for (sink, behind) in &standing.behind {
        let missing: Vec<String> = behind.missing.iter().map(ToString::to_string).collect();
        means.push(format!(
            "destination {sink}: the rows of epochs {} are missing for good, all others are \
             delivered",
            missing.join(", ")
        ));
    }
    for (sink, strangers) in &standing.strangers {
        let writers: Vec<String> = strangers.iter().map(ToString::to_string).collect();
        means.push(format!(
            "destination {sink}: the pipeline's rows are added to those of {}",
            writers.join(", ")
        ));
    }
    means
}
