//! A pipeline begun anew: `riskstream state drop PIPELINE` and `riskstream run --fresh PIPELINE`.
//!
//! The store stays and counts its epochs on, so that what tables and topics record of the pipeline stays true: no new row is taken for one that
//! was delivered. All state and all positions go. What the pipeline's tables hold stays, and comes a second time, or goes in one commit per table
//! before the first new row, as the user says. Rows that were committed and not delivered are delivered first where tables stay.

use std::collections::BTreeMap;

use riskstream_engine::ids::Epoch;
use riskstream_engine::store::{Inspection, StateEdit, edit};
use riskstream_sinks::DeltaRuntime;

use super::list::undelivered;
use super::{is_of_source, stored_and_free};
use crate::cli::TablesChoice;
use crate::commands::confirm::{Change, ask, can_ask};
use crate::commands::{CommandError, failed};
use crate::config::Config;
use crate::config::spec::Pipeline;
use crate::plan::{KnownAs, Looked, Target, look, origin, store_location};
use crate::progress::grouped;

/// A pipeline that is to begin anew.
#[derive(Debug)]
pub(crate) struct Anew {
    pipeline: String,
    edit: StateEdit,
}

/// Looks what beginning anew would mean; `None` where nothing is stored of the pipeline.
///
/// # Errors
/// A pipeline that is being run, a store or table that can't be read, or a choice that the user has to make and did not.
pub(crate) fn plan_anew(
    config: &Config,
    name: &str,
    tables: Option<TablesChoice>,
    runtime: &DeltaRuntime,
) -> Result<Option<(Change, Anew)>, CommandError> {
    let found = stored_and_free(config, name)?;
    if found.committed == Epoch(0) {
        return Ok(None);
    }
    let pipeline = config.spec.pipeline(name);
    let mut means = Vec::new();
    let steps: Vec<&str> = found.state.keys().map(String::as_str).filter(|step| !is_of_source(step)).collect();
    if !steps.is_empty() {
        means.push(format!("the state of {} is dropped", steps.join(", ")));
    }
    means.push(match pipeline {
        Some(_) => format!("the next run begins at its source's beginning: {} are forgotten", partitions(&found)),
        None => format!("{} are forgotten", partitions(&found)),
    });
    let edit = match pipeline {
        Some(pipeline) => of_pipeline(config, pipeline, &found, tables, runtime, &mut means)?,
        None => of_gone(name, &found, tables, &mut means)?,
    };
    let change = Change { title: format!("pipeline {name} begins anew (its last epoch is {})", found.committed), means };
    Ok(Some((change, Anew { pipeline: name.to_owned(), edit })))
}

/// Does it; gives the epoch after which the pipeline begins anew.
///
/// # Errors
/// When the store is in use or can't be written; then nothing has changed.
pub(crate) fn begin_anew(config: &Config, anew: &Anew) -> Result<Epoch, CommandError> {
    edit(&store_location(config, &anew.pipeline), &anew.edit).map_err(failed)
}

fn partitions(found: &Inspection) -> String {
    match found.positions.len() {
        1 => "the position in 1 partition".to_owned(),
        count => format!("the positions in {} partitions", grouped(count as u64)),
    }
}

fn of_pipeline(
    config: &Config,
    pipeline: &Pipeline,
    found: &Inspection,
    tables: Option<TablesChoice>,
    runtime: &DeltaRuntime,
    means: &mut Vec<String>,
) -> Result<StateEdit, CommandError> {
    let known_as = KnownAs::of(config, &pipeline.name.value).map_err(failed)?;
    let looked = look(config, pipeline, &known_as, runtime).map_err(failed)?;
    let recorded = looked.iter().filter_map(|sink| Some((sink.sink.clone(), Epoch(sink.table.as_ref()?.recorded.unwrap_or(0)))));
    let waiting = undelivered(found, Some(pipeline), &recorded.collect());
    let of_tables = |sink: &Looked| matches!(&sink.target, Target::Table(_));
    let waits = |sink: &str| waiting.iter().find(|w| w.sink == sink).map_or(0, |w| w.rows);
    let holds = |sink: &Looked| sink.table.as_ref().is_some_and(|table| table.rows != Some(0)) || waits(&sink.sink) > 0;
    let choice = if looked.iter().any(|sink| of_tables(sink) && holds(sink)) { chosen(pipeline, tables)? } else { TablesChoice::Keep };
    let present = origin(pipeline, &known_as);
    let other_name =
        |sink: &str| found.origin.as_ref().is_some_and(|was| was.destinations.contains_key(sink) && !was.delivers_as(&present, sink));
    let (mut empties, mut forgets) = (Vec::new(), Vec::new());
    for sink in &looked {
        let (id, target, rows) = (&sink.sink, &sink.target, waits(&sink.sink));
        let held = sink.table.as_ref().and_then(|table| table.rows);
        let shared = if *id == crate::config::defaults::DEAD_LETTER_TABLE { ", of those that this pipeline wrote" } else { "" };
        match (choice, of_tables(sink)) {
            (TablesChoice::Empty, true) => {
                empties.push(id.clone());
                if holds(sink) {
                    means.push(format!("{target} is emptied of its {}{shared}", told_rows(held)));
                }
                if rows > 0 {
                    means.push(format!("{} rows that wait for {target} are not delivered", grouped(rows)));
                }
            }
            (TablesChoice::Keep, true) if holds(sink) => {
                means.push(format!("{target} keeps its {}{shared}; rows that are read again come a second time", told_rows(held)));
            }
            (_, false) if matches!(target, Target::Topic(_)) => {
                means.push(format!("{target} keeps its messages; rows that are read again come a second time"));
            }
            _ => {}
        }
        if other_name(id) && !empties.contains(id) {
            forgets.push(id.clone());
            if rows > 0 {
                means.push(format!("{} rows that wait for {id} under its old name are not delivered", grouped(rows)));
            }
        } else if rows > 0 && !empties.contains(id) {
            means.push(format!("{} rows that wait for {target} are delivered first", grouped(rows)));
        }
    }
    for gone in waiting.iter().filter(|w| !w.in_configuration) {
        means.push(format!(
            "{} rows of epochs {} to {} still wait for destination {}, which the pipeline no longer has: the next run is refused until it is back",
            grouped(gone.rows),
            gone.first_epoch,
            gone.last_epoch,
            gone.sink
        ));
    }
    Ok(StateEdit::BeginAnew { empties, forgets, clears: false })
}

fn told_rows(rows: Option<u64>) -> String {
    rows.map_or_else(|| "rows".to_owned(), |rows| format!("{} rows", grouped(rows)))
}

fn chosen(pipeline: &Pipeline, tables: Option<TablesChoice>) -> Result<TablesChoice, CommandError> {
    if let Some(choice) = tables {
        return Ok(choice);
    }
    let message = format!("the tables of pipeline {} hold rows, or rows wait for them: what is to become of these?", pipeline.name);
    let help = "--tables empty: they go, and the tables hold what is read from now on; --tables keep: they stay, and what is read again comes a second time";
    if !can_ask() {
        return Err(CommandError::Usage { message, help: Some(help.into()) });
    }
    match ask(&format!("{message}\n  {help}\nempty or keep? "))?.as_str() {
        "empty" => Ok(TablesChoice::Empty),
        "keep" => Ok(TablesChoice::Keep),
        _ => Err(CommandError::Usage { message: "nothing was changed".into(), help: None }),
    }
}

/// Of a pipeline that the configuration no longer has: nobody would deliver what waits.
fn of_gone(name: &str, found: &Inspection, tables: Option<TablesChoice>, means: &mut Vec<String>) -> Result<StateEdit, CommandError> {
    if tables == Some(TablesChoice::Empty) {
        let message = format!("the configuration has no pipeline `{name}`, so that nobody knows its tables");
        return Err(CommandError::Usage { message, help: Some("put it back, or say --tables keep".into()) });
    }
    for waiting in undelivered(found, None, &BTreeMap::new()) {
        let (rows, first, last) = (grouped(waiting.rows), waiting.first_epoch, waiting.last_epoch);
        means.push(format!("{rows} rows of epochs {first} to {last} that may wait for destination {} are given up", waiting.sink));
    }
    means.push("its tables stay as they are; a pipeline of this name that writes them again goes on with its number of epochs".into());
    Ok(StateEdit::BeginAnew { empties: Vec::new(), forgets: Vec::new(), clears: true })
}
