//! What the configuration says of tables, for those who query them.

use riskstream_operators::windows;
use riskstream_query::{TableFact, TableFacts};

use super::dead_letters::PIPELINE_COLUMN;
use crate::config::spec::{Destination, DestinationKind, Partitioning, Pipeline};
use crate::config::{Config, defaults, last_flow};
use crate::steps::{Flow, WindowKey};

/// What the configuration says of each table that its pipelines write.
#[must_use]
pub fn table_facts(config: &Config) -> TableFacts {
    let mut facts = TableFacts::new();
    for pipeline in &config.spec.pipelines {
        let Some(source) = config.spec.source(&pipeline.from.value) else { continue };
        let flow = last_flow(pipeline, &source.event_time.column.value);
        for destination in &pipeline.to {
            if let Some(table) = destination.table() {
                let mut fact = fact(pipeline, destination, &flow);
                let before = facts.remove(&table.value).unwrap_or_default();
                fact.pipelines.extend(before.pipelines);
                facts.insert(table.value.clone(), fact);
            }
        }
    }
    let dead = TableFact {
        about: Some("records that could not be read, and rows that were refused".to_owned()),
        pipelines: config.spec.pipelines.iter().map(|one| one.name.value.clone()).collect(),
        pipeline_column: Some(PIPELINE_COLUMN.to_owned()),
        ..TableFact::default()
    };
    facts.insert(defaults::DEAD_LETTER_TABLE.to_owned(), dead);
    facts
}

fn fact(pipeline: &Pipeline, destination: &Destination, flow: &Flow) -> TableFact {
    let is_by_date = match &destination.kind {
        DestinationKind::Delta(table) | DestinationKind::Alerts(table) => {
            table.partition_by == Partitioning::EventDate
        }
        DestinationKind::Console(_) | DestinationKind::Kafka(_) => false,
    };
    let lands = |column: &str| {
        destination
            .columns
            .as_ref()
            .is_none_or(|columns| columns.iter().any(|named| named.value == column))
    };
    let key = flow.window_key.as_ref().and_then(|key| key_of(key, lands));
    let has_sessions = flow.window_key.as_ref().is_some_and(|key| key.sessions > 0);
    TableFact {
        about: destination
            .about
            .clone()
            .or_else(|| Some(format!("what pipeline {} writes", pipeline.name))),
        columns: destination
            .about_columns
            .iter()
            .map(|(column, about)| (column.value.clone(), about.clone()))
            .collect(),
        time_column: is_by_date.then(|| flow.event_time.clone()),
        revision: key.is_some().then(|| windows::REVISION.to_owned()),
        gone_at_zero: flow
            .window_key
            .as_ref()
            .filter(|_| has_sessions && key.is_some())
            .and_then(|key| key.count.clone()),
        key: key.unwrap_or_default(),
        pipelines: vec![pipeline.name.value.clone()],
        pipeline_column: None,
    }
}

/// The columns that tell a table's windows apart, if they land; none where windows of both kinds
/// stand in one table: no columns do for both.
fn key_of(key: &WindowKey, lands: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let place = match key.sessions {
        0 => windows::WINDOW_END,
        sessions if sessions == key.kinds => windows::WINDOW_START,
        _ => return None,
    };
    let mut columns = key.by.clone();
    if key.kinds > 1 {
        columns.push(windows::WINDOW.to_owned());
    }
    columns.push(place.to_owned());
    let has_all = columns.iter().map(String::as_str).chain([windows::REVISION]).all(lands);
    has_all.then_some(columns)
}
