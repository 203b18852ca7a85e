//! By which columns compaction sorts the rows of tables.

use std::collections::BTreeMap;

use riskstream_operators::windows;

use crate::config::spec::{
    Destination, DestinationKind, Partitioning, Pipeline, Source, TableDestination,
};
use crate::config::{Config, last_flow};
use crate::steps::Flow;

/// The columns by which compaction sorts the rows of each table that the pipelines write, the first
/// first. Tables that are left out keep the order in which rows came: dead letters, and those that
/// say so. A table may lack columns that are named here; they do not count then.
#[must_use]
pub fn sort_keys(config: &Config) -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::new();
    for pipeline in &config.spec.pipelines {
        let Some(source) = config.spec.source(&pipeline.from.value) else { continue };
        let flow = last_flow(pipeline, &source.event_time.column.value);
        for destination in &pipeline.to {
            let table = match &destination.kind {
                DestinationKind::Delta(table) | DestinationKind::Alerts(table) => table,
                DestinationKind::Console(_) | DestinationKind::Kafka(_) => continue,
            };
            let key = match &table.sort_by {
                Some(columns) => columns.iter().map(|column| column.value.clone()).collect(),
                None => default_key(pipeline, source, &flow, destination, table),
            };
            if !key.is_empty() {
                keys.insert(table.table.value.clone(), key);
            }
        }
    }
    keys
}

/// What a row is about, when it happened, and what orders rows of one instant. Of a date there are
/// few rows of a key, which then lie side by side; in a table that is not divided the time comes
/// first, since nothing else tells old rows from new ones there.
fn default_key(
    pipeline: &Pipeline,
    source: &Source,
    flow: &Flow,
    destination: &Destination,
    table: &TableDestination,
) -> Vec<String> {
    let about = match &flow.window_key {
        Some(key) => key.by.clone(),
        None => pipeline
            .steps
            .iter()
            .map(|step| step.kind.by())
            .find(|by| !by.is_empty())
            .map(|by| by.iter().map(|column| column.value.clone()).collect())
            .unwrap_or_default(),
    };
    let time = flow.event_time.clone();
    let ties: Vec<String> = match &flow.window_key {
        Some(_) => [windows::WINDOW, windows::REVISION].map(str::to_owned).into(),
        None => source.event_time.ties_by.iter().map(|column| column.value.clone()).collect(),
    };
    let mut all = match table.partition_by {
        Partitioning::EventDate => about,
        Partitioning::None => std::iter::once(time.clone()).chain(about).collect(),
    };
    all.push(time);
    all.extend(ties);
    let lands = |column: &String| {
        let columns = destination.columns.as_ref();
        columns.is_none_or(|columns| columns.iter().any(|named| named.value == *column))
    };
    let mut key: Vec<String> = Vec::with_capacity(all.len());
    for column in all {
        if lands(&column) && !key.contains(&column) {
            key.push(column);
        }
    }
    key
}
