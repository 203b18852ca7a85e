//! `riskstream state drop`: a step's state, or all that a pipeline has stored.

use std::io::Write;

use bytesize::ByteSize;
use riskstream_engine::store::{StateEdit, edit};
use riskstream_sinks::DeltaRuntime;

use super::anew::{begin_anew, plan_anew};
use super::stored::{stored_and_free, stored_step};
use crate::cli::StateDropArgs;
use crate::commands::confirm::{Asked, confirm};
use crate::commands::{CommandError, failed};
use crate::config::Config;
use crate::plan::store_location;

/// Drops a step's state, or all that a pipeline has stored.
///
/// # Errors
/// As [`super::state`].
pub(super) fn drop(
    args: &StateDropArgs,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    match &args.step {
        Some(step) => drop_step(args, step, config, out),
        None => drop_pipeline(args, config, out),
    }
}

fn drop_step(
    args: &StateDropArgs,
    step: &str,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let name = &args.pipeline;
    let found = stored_and_free(config, name)?;
    let state = stored_step(&found, name, step)?;
    let pipeline = config.spec.pipeline(name);
    let has_step = pipeline.is_some_and(|p| p.steps.iter().any(|s| s.id.value == step));
    let mut means = vec![format!(
        "{} of state and {} of files go",
        ByteSize(state.bytes),
        ByteSize(state.file_bytes)
    )];
    means.push(match (pipeline, has_step) {
        (Some(_), true) => {
            format!(
                "the step begins empty with the next run: it has seen nothing of what came through \
                 epoch {}",
                found.committed
            )
        }
        (Some(_), false) => {
            "the pipeline no longer has the step: the next run goes on without it".to_owned()
        }
        (None, _) => "the configuration no longer has the pipeline".to_owned(),
    });
    means.push("what other steps have, what was read, and all tables stay as they are".into());
    confirm(
        &[Asked {
            title: format!("the state of step {step} of pipeline {name} is dropped"),
            means,
        }],
        args.yes,
    )?;
    let epoch = edit(store_location(config, name), &StateEdit::Drop { step: step.to_owned() })
        .map_err(failed)?;
    writeln!(out, "pipeline {name}: step {step} has no state any more, as of epoch {epoch}")?;
    Ok(())
}

fn drop_pipeline(
    args: &StateDropArgs,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let name = &args.pipeline;
    let runtime = DeltaRuntime::new().map_err(failed)?;
    let Some((change, anew)) = plan_anew(config, name, args.tables, &runtime)? else {
        writeln!(out, "pipeline {name} has committed nothing yet: there is nothing to drop")?;
        return Ok(());
    };
    confirm(&[change], args.yes)?;
    let epoch = begin_anew(config, &anew)?;
    match config.spec.pipeline(name) {
        Some(_) => writeln!(out, "pipeline {name} begins anew after epoch {epoch}")?,
        None => writeln!(
            out,
            "nothing is stored of pipeline {name} any more but the number of its last epoch, \
             {epoch}"
        )?,
    }
    Ok(())
}
