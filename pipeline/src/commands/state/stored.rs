//! What a pipeline has stored.

use riskstream_engine::store::{Inspection, StoredState, inspect};

use crate::commands::{CommandError, failed};
use crate::config::{Config, suggest_name};
use crate::plan::{KnownAs, store_location, stores};

/// Whether the state is the engine's own: rows that wait for the watermark, and event time.
pub(crate) fn is_of_source(step: &str) -> bool {
    step.starts_with("source.")
}

/// What a pipeline has stored.
///
/// # Errors
/// When it has nothing, or its store can't be read.
pub(super) fn stored(config: &Config, pipeline: &str) -> Result<Inspection, CommandError> {
    if let Some(found) = inspect(store_location(config, pipeline)).map_err(failed)? {
        return Ok(found);
    }
    let known: Vec<String> =
        stores(config).map_err(failed)?.into_iter().map(|(name, _)| name).collect();
    for store in &known {
        if KnownAs::of(config, store).map_err(failed)?.pipeline == pipeline {
            let help = format!(
                "`{store}` is what was `{pipeline}` first, as tables and topics know it: say \
                 `{store}`"
            );
            return Err(CommandError::Usage {
                message: format!("the data folder holds nothing of a pipeline `{pipeline}`"),
                help: Some(help),
            });
        }
    }
    let help = suggest_name(pipeline, known.iter().map(String::as_str), "the data folder holds");
    Err(CommandError::Usage {
        message: format!("the data folder holds nothing of a pipeline `{pipeline}`"),
        help,
    })
}

/// As [`stored`], for a change of the store: an error if a program runs the pipeline.
pub(super) fn stored_and_free(config: &Config, pipeline: &str) -> Result<Inspection, CommandError> {
    let found = stored(config, pipeline)?;
    match found.held_by {
        None => Ok(found),
        Some(process) => {
            let process = process.map(|number| format!(" (process {number})")).unwrap_or_default();
            let message =
                format!("pipeline {pipeline} is being run by another riskstream{process}");
            Err(CommandError::Usage {
                message,
                help: Some("stop it first; nothing was changed".into()),
            })
        }
    }
}

/// A step of which state is stored.
///
/// # Errors
/// When there is none, with the nearest that has some.
pub(super) fn stored_step<'a>(
    found: &'a Inspection,
    pipeline: &str,
    step: &str,
) -> Result<&'a StoredState, CommandError> {
    if let Some(state) = found.state.get(step).filter(|_| !is_of_source(step)) {
        return Ok(state);
    }
    let known: Vec<&str> =
        found.state.keys().map(String::as_str).filter(|step| !is_of_source(step)).collect();
    let help = suggest_name(step, known.iter().copied(), "the steps with state are");
    Err(CommandError::Usage {
        message: format!("pipeline {pipeline} has stored no state of a step `{step}`"),
        help,
    })
}
