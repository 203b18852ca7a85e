//! A pipeline begun anew: `riskstream state drop PIPELINE` and `riskstream run --fresh PIPELINE`.
//!
//! The store stays and counts its epochs on, so that what tables and topics record of the pipeline
//! stays true: no new row is taken for one that was delivered. All state and all positions go. What
//! the pipeline's tables hold stays, and comes a second time, or goes in one commit per table
//! before the first new row, as the user says. Rows that were committed and not delivered are
//! delivered first where tables stay.
//!
//! A store that can't be read, being damaged or of another version, is set aside: its folder gets
//! another name, and a new store begins after the last epoch that the pipeline's tables record. The
//! same happens where there is no store any more but the tables have rows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use riskstream_engine::contract::{PartitionInfo, Position};
use riskstream_engine::ids::Epoch;
use riskstream_engine::store::{
    Inspection, StateEdit, StoreError, begin_after, check_readable, edit, inspect, set_store_aside,
};
use riskstream_ingest::{begun_anew, replication_slot};
use riskstream_sinks::DeltaRuntime;

use super::list::undelivered;
use super::stored::{is_of_source, stored_and_free};
use crate::cli::TablesChoice;
use crate::commands::confirm::{Asked, ask, can_ask};
use crate::commands::{CommandError, failed};
use crate::config::Config;
use crate::config::spec::{Pipeline, SourceKind};
use crate::plan::{
    KnownAs, Looked, NAMES_FILE, Target, begins_at_end, look, origin, store_location,
};
use crate::progress::grouped;

/// A pipeline that is to begin anew.
#[derive(Debug)]
pub(crate) struct Anew {
    pipeline: String,
    edit: StateEdit,
    store: Begins,
}

/// The store in which a pipeline begins anew.
#[derive(Debug)]
enum Begins {
    /// The pipeline's own store.
    InItsOwn,
    /// A new store, which begins after the last epoch that the pipeline's tables record. The folder
    /// of an unreadable store is renamed before.
    InANewOne { after: Epoch, aside: Option<PathBuf>, known_as: KnownAs },
}

/// Finds out what beginning anew would change; `None` where there is nothing of the pipeline to
/// forget.
///
/// # Errors
/// A pipeline that is being run, a table that can't be read, or a choice that the user has to make
/// and did not.
pub(crate) fn plan_anew(
    config: &Config,
    name: &str,
    tables: Option<TablesChoice>,
    runtime: &DeltaRuntime,
) -> Result<Option<(Asked, Anew)>, CommandError> {
    let store = store_location(config, name);
    let pipeline = config.spec.pipeline(name);
    let unreadable = check_readable(&store).and_then(|()| inspect(&store)).map(|found| {
        found
            .and_then(|found| found.in_the_way(Epoch(0), Epoch(u64::MAX)).next().map(str::to_owned))
    });
    match (pipeline, unreadable) {
        (
            Some(pipeline),
            Err(
                error @ (StoreError::Damaged { .. }
                | StoreError::OtherVersion { .. }
                | StoreError::Resume(_)),
            ),
        ) => {
            return in_a_new_store(config, pipeline, Some(error.to_string()), tables, runtime);
        }
        (Some(pipeline), Ok(Some(damage))) => {
            return in_a_new_store(config, pipeline, Some(damage), tables, runtime);
        }
        (Some(pipeline), Ok(None)) if !store.exists() => {
            return in_a_new_store(config, pipeline, None, tables, runtime);
        }
        (_, Err(error)) => return Err(failed(error)),
        (Some(_) | None, Ok(_)) => {}
    }
    let found = stored_and_free(config, name)?;
    if found.committed == Epoch(0) {
        // A refused run may have made this store; nothing was committed to it.
        return pipeline
            .map_or(Ok(None), |pipeline| in_a_new_store(config, pipeline, None, tables, runtime));
    }
    let mut means = Vec::new();
    let steps: Vec<&str> =
        found.state.keys().map(String::as_str).filter(|step| !is_of_source(step)).collect();
    if !steps.is_empty() {
        means.push(format!("the state of {} is dropped", steps.join(", ")));
    }
    let edit = match pipeline {
        Some(pipeline) => {
            means.push(format!(
                "{}: what was read before is forgotten ({})",
                beginning(config, pipeline),
                partitions(&found)
            ));
            let positions = positions(config, pipeline, &found, &mut means);
            of_pipeline(config, pipeline, &found, (tables, positions), runtime, &mut means)?
        }
        None => {
            means.push(format!("how far it was read is forgotten ({})", partitions(&found)));
            means.extend(
                found
                    .positions
                    .values()
                    .filter_map(|(_, position)| replication_slot(position))
                    .map(|slot| slot_stays(&slot)),
            );
            of_gone(name, &found, tables, &mut means)?
        }
    };
    let change = Asked {
        title: format!("pipeline {name} begins anew (its last epoch is {})", found.committed),
        means,
    };
    Ok(Some((change, Anew { pipeline: name.to_owned(), edit, store: Begins::InItsOwn })))
}

/// Lets the pipeline begin anew; returns the epoch after which it begins.
///
/// # Errors
/// The store is in use or can't be written. Then nothing has changed, or the change can be
/// repeated.
pub(crate) fn begin_anew(config: &Config, anew: &Anew) -> Result<Epoch, CommandError> {
    let store = store_location(config, &anew.pipeline);
    let Begins::InANewOne { after, aside, known_as } = &anew.store else {
        return edit(&store, &anew.edit).map_err(failed);
    };
    if let Some(aside) = aside {
        set_store_aside(&store.as_path().into(), &aside.as_path().into()).map_err(failed)?;
    }
    let is_renamed =
        known_as.pipeline != anew.pipeline || known_as.program != config.spec.riskstream.name.value;
    let names =
        if is_renamed { Some((NAMES_FILE, serde_json::to_vec_pretty(known_as)?)) } else { None };
    begin_after(&store, *after, &anew.edit, names).map_err(failed)
}

/// Plans a new store for a pipeline whose store can't be read, with the reason, or that has none.
fn in_a_new_store(
    config: &Config,
    pipeline: &Pipeline,
    unreadable: Option<String>,
    tables: Option<TablesChoice>,
    runtime: &DeltaRuntime,
) -> Result<Option<(Asked, Anew)>, CommandError> {
    let name = &pipeline.name.value;
    let known_as = KnownAs::of(config, name).map_err(failed)?;
    let looked = look(config, pipeline, &known_as, runtime).map_err(failed)?;
    let after =
        Epoch(looked.iter().filter_map(|sink| sink.table.as_ref()?.recorded).max().unwrap_or(0));
    if unreadable.is_none() && after == Epoch(0) {
        return Ok(None);
    }
    let mut means = Vec::new();
    let aside = unreadable.is_some().then(|| free_name(config, name));
    match (&unreadable, &aside) {
        (Some(why), Some(aside)) => {
            means.push(format!("what is stored of it can't be read: {why}"));
            means.push(format!(
                "{} is renamed to {}; nothing in it is deleted",
                store_location(config, name).display(),
                aside.display()
            ));
            means.push(
                "all state and all positions are lost, and rows that were committed and not \
                 delivered"
                    .to_owned(),
            );
        }
        _ => {
            means.push("nothing is stored of it any more, but its tables have its rows".to_owned())
        }
    }
    means.push(beginning(config, pipeline));
    if let Some(SourceKind::Postgres(postgres)) =
        config.spec.source(&pipeline.from.value).map(|source| &source.kind)
    {
        let slot = &postgres.slot.value;
        means.push(format!(
            "nobody knows any more that the replication slot {slot} was its own: {}",
            drop_slot(slot)
        ));
    }
    let edit = of_pipeline(
        config,
        pipeline,
        &Inspection::default(),
        (tables, BTreeMap::new()),
        runtime,
        &mut means,
    )?;
    let change = Asked { title: format!("pipeline {name} begins anew, in a new store"), means };
    Ok(Some((
        change,
        Anew { pipeline: name.clone(), edit, store: Begins::InANewOne { after, aside, known_as } },
    )))
}

/// A name for an unreadable store's folder, outside of the folder of stores.
fn free_name(config: &Config, pipeline: &str) -> PathBuf {
    let folder = config.spec.riskstream.data.value.join("set-aside");
    let first = folder.join(pipeline);
    let further = (2_u32..).map(|number| folder.join(format!("{pipeline}.{number}")));
    std::iter::once(first.clone()).chain(further).find(|name| !name.exists()).unwrap_or(first)
}

/// Where the next run begins.
fn beginning(config: &Config, pipeline: &Pipeline) -> String {
    match config.spec.source(&pipeline.from.value) {
        Some(source) if begins_at_end(source) => {
            "the next run begins with the messages that come from then on (`start = \"latest\"`)"
                .into()
        }
        Some(_) | None => "the next run begins at its source's beginning".into(),
    }
}

/// Positions that a pipeline keeps though it begins anew: the position of a PostgreSQL table still
/// records that the replication slot is the pipeline's own.
fn positions(
    config: &Config,
    pipeline: &Pipeline,
    found: &Inspection,
    means: &mut Vec<String>,
) -> BTreeMap<u32, (PartitionInfo, Position)> {
    let mut positions = BTreeMap::new();
    let source = config.spec.source(&pipeline.from.value).map(|source| &source.kind);
    for (number, (_, position)) in &found.positions {
        let Some(slot) = replication_slot(position) else { continue };
        let own = match source {
            Some(SourceKind::Postgres(postgres)) => {
                begun_anew(&postgres.table.value, &postgres.slot.value, position)
            }
            Some(SourceKind::File(_) | SourceKind::Kafka(_) | SourceKind::Generator(_)) | None => {
                None
            }
        };
        match own {
            Some(own) => {
                means.push(format!(
                    "the replication slot {slot} is made anew on the server, and the table is read \
                     as it is by then"
                ));
                positions.insert(*number, own);
            }
            None => means.push(slot_stays(&slot)),
        }
    }
    positions
}

/// The note on a replication slot that stays; the server keeps all changes for a slot without a
/// reader.
fn slot_stays(slot: &str) -> String {
    format!(
        "the replication slot {slot} stays on its server, which keeps every change for it: {}",
        drop_slot(slot)
    )
}

fn drop_slot(slot: &str) -> String {
    format!("run there: select pg_drop_replication_slot('{slot}')")
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
    (tables, positions): (Option<TablesChoice>, BTreeMap<u32, (PartitionInfo, Position)>),
    runtime: &DeltaRuntime,
    means: &mut Vec<String>,
) -> Result<StateEdit, CommandError> {
    let known_as = KnownAs::of(config, &pipeline.name.value).map_err(failed)?;
    let looked = look(config, pipeline, &known_as, runtime).map_err(failed)?;
    let is_table = |sink: &Looked| matches!(&sink.target, Target::Table(_));
    let recorded = looked.iter().filter(|sink| is_table(sink)).map(|sink| {
        let recorded = sink.table.as_ref().and_then(|table| table.recorded);
        (sink.sink.clone(), Epoch(recorded.unwrap_or(0)))
    });
    let waiting = undelivered(found, Some(pipeline), &recorded.collect());
    let waits = |sink: &str| waiting.iter().find(|w| w.sink == sink).map_or(0, |w| w.rows);
    let holds = |sink: &Looked| {
        sink.table.as_ref().is_some_and(|table| table.rows != Some(0)) || waits(&sink.sink) > 0
    };
    let full: Vec<String> =
        looked.iter().filter(|sink| is_table(sink) && holds(sink)).map(in_words).collect();
    let choice = match tables {
        Some(choice) => choice,
        None if full.is_empty() => TablesChoice::Keep,
        None => ask_for(pipeline, &full)?,
    };
    let present = origin(pipeline, &known_as);
    let other_name = |sink: &str| {
        found.origin.as_ref().is_some_and(|was| {
            was.destinations.contains_key(sink) && !was.delivers_as(&present, sink)
        })
    };
    let (mut empties, mut forgets) = (Vec::new(), Vec::new());
    for sink in &looked {
        let (id, target, rows) = (&sink.sink, &sink.target, waits(&sink.sink));
        let held = sink.table.as_ref().and_then(|table| table.rows);
        let shared = if *id == crate::config::defaults::DEAD_LETTER_TABLE {
            ", of those that this pipeline wrote"
        } else {
            ""
        };
        match (choice, is_table(sink)) {
            (TablesChoice::Empty, true) => {
                empties.push(id.clone());
                if holds(sink) {
                    means.push(format!("{target} is emptied of its {}{shared}", told_rows(held)));
                }
                if rows > 0 {
                    means.push(format!(
                        "{} rows that wait for {target} are not delivered",
                        grouped(rows)
                    ));
                }
            }
            (TablesChoice::Keep, true) if holds(sink) => {
                means.push(format!(
                    "{target} keeps its {}{shared}; rows that are read again come a second time",
                    told_rows(held)
                ));
            }
            (_, false) if matches!(target, Target::Topic(_)) => {
                means.push(format!(
                    "{target} keeps its messages; rows that are read again come a second time"
                ));
            }
            (TablesChoice::Keep | TablesChoice::Empty, _) => {}
        }
        if other_name(id) && !empties.contains(id) {
            forgets.push(id.clone());
            if rows > 0 {
                means.push(format!(
                    "{} rows that wait for {id} under its old name are not delivered",
                    grouped(rows)
                ));
            }
        } else if rows > 0 && !empties.contains(id) {
            means
                .push(format!("{} rows that wait for {target} are delivered first", grouped(rows)));
        }
    }
    for gone in waiting.iter().filter(|w| !w.in_configuration) {
        means.push(format!(
            "{} rows of epochs {} to {} still wait for destination {}, which the pipeline no \
             longer has: the next run is refused until it is back",
            grouped(gone.rows),
            gone.first_epoch,
            gone.last_epoch,
            gone.sink
        ));
    }
    Ok(StateEdit::BeginAnew { empties, forgets, clears: false, positions, origin: Some(present) })
}

fn told_rows(rows: Option<u64>) -> String {
    rows.map_or_else(|| "rows".to_owned(), |rows| format!("{} rows", grouped(rows)))
}

/// A table and its rows.
fn in_words(sink: &Looked) -> String {
    let rows = sink.table.as_ref().and_then(|table| table.rows);
    rows.map_or_else(
        || sink.target.to_string(),
        |rows| format!("{}, {} rows", sink.target, grouped(rows)),
    )
}

fn ask_for(pipeline: &Pipeline, full: &[String]) -> Result<TablesChoice, CommandError> {
    let name = &pipeline.name;
    let message = format!(
        "pipeline {name} has rows in its tables ({}): what is to become of these?",
        full.join("; ")
    );
    let help = "--tables empty: they go, and the tables hold what is read from now on; --tables \
                keep: they stay, and what is read again comes a second time";
    if !can_ask() {
        return Err(CommandError::Usage { message, help: Some(help.into()) });
    }
    match ask(&format!("{message}\n  {help}\nempty or keep? "))?.as_str() {
        "empty" => Ok(TablesChoice::Empty),
        "keep" => Ok(TablesChoice::Keep),
        _ => Err(CommandError::Usage { message: "nothing was changed".into(), help: None }),
    }
}

/// The edit for a pipeline that the configuration no longer has. Its waiting rows are given up,
/// since no run would deliver them.
fn of_gone(
    name: &str,
    found: &Inspection,
    tables: Option<TablesChoice>,
    means: &mut Vec<String>,
) -> Result<StateEdit, CommandError> {
    if tables == Some(TablesChoice::Empty) {
        let message =
            format!("the configuration has no pipeline `{name}`, so that nobody knows its tables");
        return Err(CommandError::Usage {
            message,
            help: Some("put it back, or say --tables keep".into()),
        });
    }
    for waiting in undelivered(found, None, &BTreeMap::new()) {
        let (rows, first, last) = (grouped(waiting.rows), waiting.first_epoch, waiting.last_epoch);
        means.push(format!(
            "{rows} rows of epochs {first} to {last} that may wait for destination {} are given up",
            waiting.sink
        ));
    }
    means.push(
        "its tables stay as they are; a pipeline of this name that writes them again goes on with \
         its number of epochs"
            .into(),
    );
    Ok(StateEdit::BeginAnew {
        empties: Vec::new(),
        forgets: Vec::new(),
        clears: true,
        positions: BTreeMap::new(),
        origin: None,
    })
}
