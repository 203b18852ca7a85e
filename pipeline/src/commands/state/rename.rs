//! `riskstream state rename`: a step's state, or a pipeline, goes on under another name.

use std::io::Write;

use riskstream_engine::ids::Epoch;
use riskstream_engine::store::{StateEdit, edit, inspect, rename_store};

use super::stored::{is_of_source, stored_and_free, stored_step};
use crate::cli::StateRenameArgs;
use crate::commands::confirm::{Asked, confirm};
use crate::commands::{CommandError, failed};
use crate::config::{Config, suggest_name};
use crate::plan::{KnownAs, NAMES_FILE, store_location};

/// Renames a step's state, or a pipeline.
///
/// # Errors
/// As [`super::state`].
pub(super) fn rename(
    args: &StateRenameArgs,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    match args.names.as_slice() {
        [step, new] => rename_step(args, (step, new), config, out),
        [new] => rename_pipeline(args, new, config, out),
        _ => Err(usage("name a step and its new id, or the pipeline's new name".into(), None)),
    }
}

fn usage(message: String, help: Option<String>) -> CommandError {
    CommandError::Usage { message, help }
}

fn rename_step(
    args: &StateRenameArgs,
    (step, new): (&str, &str),
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let name = &args.pipeline;
    let found = stored_and_free(config, name)?;
    stored_step(&found, name, step)?;
    if found.state.contains_key(new) || is_of_source(new) {
        let message = format!("pipeline {name} has stored state of `{new}` already");
        return Err(usage(
            message,
            Some(format!("drop that first: riskstream state drop {name} {new}")),
        ));
    }
    if let Some(pipeline) = config.spec.pipeline(name)
        && pipeline.steps.iter().all(|s| s.id.value != new)
    {
        let ids = pipeline.steps.iter().map(|s| s.id.value.as_str());
        let help = suggest_name(new, ids, "the steps are");
        return Err(usage(
            format!(
                "pipeline {name} has no step `{new}` in the configuration: the next run would \
                 refuse its state"
            ),
            help,
        ));
    }
    let means = vec![format!(
        "`{new}` goes on with what `{step}` has seen through epoch {}; nothing is lost",
        found.committed
    )];
    confirm(
        &[Asked {
            title: format!("the state of step {step} of pipeline {name} becomes that of {new}"),
            means,
        }],
        args.yes,
    )?;
    let rename = StateEdit::Rename { from: step.to_owned(), to: new.to_owned() };
    let epoch = edit(store_location(config, name), &rename).map_err(failed)?;
    writeln!(
        out,
        "pipeline {name}: the state of {step} is that of {new} now, as of epoch {epoch}"
    )?;
    Ok(())
}

fn rename_pipeline(
    args: &StateRenameArgs,
    new: &str,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let name = &args.pipeline;
    let found = stored_and_free(config, name)?;
    let to: std::path::PathBuf = store_location(config, new);
    // A refused run may have made this store; nothing was committed to it.
    let is_unused = inspect(&to)
        .map_err(failed)?
        .is_some_and(|there| there.committed == Epoch(0) && there.held_by.is_none());
    if to.exists() && !is_unused {
        let message = format!("the data folder holds a pipeline `{new}` already");
        return Err(usage(message, Some("give this one another name".into())));
    }
    if config.spec.pipeline(new).is_none() {
        let names = config.spec.pipelines.iter().map(|p| p.name.value.as_str());
        return Err(usage(
            format!("the configuration has no pipeline `{new}`"),
            suggest_name(new, names, "the pipelines are"),
        ));
    }
    if config.spec.pipeline(name).is_some() {
        let message = format!(
            "the configuration still has the pipeline `{name}`, which would begin anew into the \
             tables that `{new}` knows"
        );
        return Err(usage(message, Some(format!("take `{name}` out of the configuration first"))));
    }
    // Tables and topics know the pipeline by the names that its store records.
    let known_as = match found.origin {
        Some(origin) => KnownAs { program: origin.program, pipeline: origin.pipeline },
        None => KnownAs::of(config, name).map_err(failed)?,
    };
    let means = vec![
        format!("`{new}` goes on after epoch {} of `{name}`; nothing is lost", found.committed),
        format!(
            "tables and topics go on knowing it as `{}`, and alerts keep their ids",
            known_as.pipeline
        ),
        format!(
            "dead letters from before stay under the name `{name}`, and `riskstream replay` does \
             not take them"
        ),
    ];
    confirm(&[Asked { title: format!("pipeline {name} becomes {new}"), means }], args.yes)?;
    let content = serde_json::to_vec_pretty(&known_as)?;
    if is_unused {
        std::fs::remove_dir_all(&to)?;
    }
    rename_store(&store_location(config, name).into(), &to.into(), (NAMES_FILE, content))
        .map_err(failed)?;
    writeln!(out, "pipeline {name} is {new} now")?;
    Ok(())
}
