//! Whether the state that a data folder holds goes on with the steps that the file has now.
//!
//! The engine decides it, and refuses such a run by itself; here a refusal gets its place in the
//! file, before any pipeline is started.

use std::collections::BTreeMap;

use riskstream_engine::contract::Shapes;
use riskstream_engine::protocol::{Evolution, StepEvolution, decide_evolutions};
use riskstream_engine::runtime::StepsChanged;
use riskstream_engine::store::saved_shapes;

use super::error::PlanError;
use super::places::store_location;
use crate::config::spec::Pipeline;
use crate::config::{Config, Problem, Span, closest_name};

/// Decides what becomes of the saved state of each step, by id: of the steps that have state now,
/// with the shapes `present`, and of those that had state.
///
/// # Errors
/// With a problem for every step whose saved state means something else, or that is gone; or when
/// the data folder can't be read.
pub fn check_state(
    config: &Config,
    pipeline: &Pipeline,
    present: &Shapes,
) -> Result<BTreeMap<String, StepEvolution>, PlanError> {
    let decided = decide_state(config, pipeline, present)?;
    let (mut evolutions, mut problems) = (BTreeMap::new(), Vec::new());
    for (step, evolution, problem) in decided {
        problems.extend(problem);
        evolutions.insert(step, evolution);
    }
    if problems.is_empty() { Ok(evolutions) } else { Err(PlanError::Config(problems)) }
}

/// As [`check_state`]: each step, what becomes of its state, and what is wrong with that.
///
/// # Errors
/// When the data folder can't be read.
pub(crate) fn decide_state(
    config: &Config,
    pipeline: &Pipeline,
    present: &Shapes,
) -> Result<Vec<(String, StepEvolution, Option<Problem>)>, PlanError> {
    let name = &pipeline.name.value;
    let saved = saved_shapes(store_location(config, name))?;
    let decided = decide_evolutions(&saved, present);
    let advice = StepsChanged { pipeline: name.clone(), steps: BTreeMap::new() };
    let problem = |step: &str, evolution: &StepEvolution| match evolution {
        StepEvolution::Kept(Evolution::Refused(differences)) => {
            let message = StepsChanged::message(step, differences);
            Some(Problem::new(place(config, pipeline, step), message).help(advice.ways_out(step)))
        }
        StepEvolution::Gone => Some(gone(pipeline, step, &decided, &saved, present)),
        StepEvolution::Kept(Evolution::Same | Evolution::TakenWith(_)) | StepEvolution::New => None,
    };
    Ok(decided
        .iter()
        .map(|(step, evolution)| (step.clone(), evolution.clone(), problem(step, evolution)))
        .collect())
}

/// What a run says of state that goes on with changes, and of new steps that miss earlier rows.
pub fn notices(pipeline: &str, decided: &BTreeMap<String, StepEvolution>) -> Vec<String> {
    let has_run = decided.values().any(|evolution| matches!(evolution, StepEvolution::Kept(_)));
    let of_step = |(step, evolution): (&String, &StepEvolution)| match evolution {
        StepEvolution::Kept(Evolution::TakenWith(taken)) => taken
            .iter()
            .map(|taken| format!("pipeline {pipeline}, step {step}: {taken}"))
            .collect::<Vec<_>>(),
        StepEvolution::New if has_run => {
            vec![format!(
                "pipeline {pipeline}, step {step} is new: it begins empty, and does not know the \
                 rows that came before"
            )]
        }
        StepEvolution::Kept(Evolution::Same | Evolution::Refused(_))
        | StepEvolution::New
        | StepEvolution::Gone => Vec::new(),
    };
    decided.iter().flat_map(of_step).collect()
}

/// The place in the file of the step or source state with this id.
fn place(config: &Config, pipeline: &Pipeline, step: &str) -> Span {
    let own = pipeline.steps.iter().find(|s| s.id.value == step).map(|s| s.id.span);
    let source = config
        .spec
        .source(&pipeline.from.value)
        .filter(|_| step.starts_with("source."))
        .map(|s| s.event_time.column.span);
    own.or(source).unwrap_or(pipeline.name.span)
}

/// A step that has state and is no longer there, or no longer keeps state.
fn gone(
    pipeline: &Pipeline,
    step: &str,
    decided: &BTreeMap<String, StepEvolution>,
    saved: &Shapes,
    present: &Shapes,
) -> Problem {
    let name = &pipeline.name;
    let still = pipeline.steps.iter().find(|s| s.id.value == step);
    let message = match still {
        Some(_) => format!(
            "the data folder holds state of a step `{step}`, but the step of this id keeps none now"
        ),
        None => format!(
            "the data folder holds state of the step `{step}`, which the pipeline `{name}` no \
             longer has"
        ),
    };
    let new: Vec<&str> = decided
        .iter()
        .filter(|(_, evolution)| **evolution == StepEvolution::New)
        .map(|(id, _)| id.as_str())
        .collect();
    let alike = new.iter().find(|id| present.get(**id) == saved.get(step)).copied();
    let help = match alike.or_else(|| closest_name(step, new.iter().copied())) {
        Some(new) => format!(
            "if `{new}` is its new id: `riskstream state rename {name} {step} {new}`; else "
        ),
        None => String::new(),
    };
    let problem = Problem::new(still.map_or(name.span, |s| s.id.span), message);
    problem.help(format!(
        "{help}put the step back, or drop its state: `riskstream state drop {name} {step}`"
    ))
}
