//! Finds rows of other pipelines in the destinations of a new pipeline.
//!
//! A pipeline's store is a folder of its name. A pipeline that was renamed in the file would begin
//! at its source's beginning, with a new store, and deliver all rows a second time. What a
//! destination records, and the stores of pipelines that are gone, show this.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use riskstream_engine::protocol::{Origin, Writer, strangers};
use riskstream_engine::runtime::SinkPlan;
use riskstream_engine::store::saved_origin;
use riskstream_sinks::applications;

use super::error::PlanError;
use super::names::KnownAs;
use super::places::store_location;
use crate::config::Config;

/// Tells each sink of a new pipeline which writers have rows in its destination that the
/// configuration does not have; `tables` are the folders of the sinks that write tables. The dead
/// letters of all pipelines are in one table, and name their pipeline.
pub(super) fn tell(
    config: &Config,
    pipeline: &str,
    sinks: &mut [SinkPlan],
    tables: &BTreeMap<String, PathBuf>,
) -> Result<(), PlanError> {
    // A pipeline whose store can't be read is not new; a run says what is wrong with the store.
    if !matches!(saved_origin(store_location(config, pipeline)), Ok(None)) {
        return Ok(());
    }
    let others = other_stores(config)?;
    let names: Vec<&str> = config.spec.pipelines.iter().map(|p| p.name.value.as_str()).collect();
    let mut known = Vec::new();
    for pipeline in &config.spec.pipelines {
        known.push(KnownAs::of(config, &pipeline.name.value)?);
    }
    // A pipeline that was renamed has its rows under its first name.
    let is_known = |writer: &Writer| {
        known.iter().any(|as_| (&as_.program, &as_.pipeline) == (&writer.program, &writer.pipeline))
    };
    for sink in sinks {
        let Some(destination) = &sink.destination else { continue };
        let mut writers: Vec<Writer> =
            others.iter().filter(|other| delivers_to(other, destination)).map(writer_of).collect();
        if let Some(table) = tables.get(&sink.id) {
            writers.extend(applications(table)?.iter().filter_map(|id| application(id)));
        }
        writers.retain(|writer| !is_known(writer));
        sink.strangers = strangers(writers, &config.spec.riskstream.name.value, &names);
    }
    Ok(())
}

/// The origins of stores whose pipelines the configuration does not have.
fn other_stores(config: &Config) -> Result<Vec<Origin>, PlanError> {
    let mut origins = Vec::new();
    // Before the first run there is no folder.
    let Ok(entries) = std::fs::read_dir(config.spec.riskstream.data.value.join("store")) else {
        return Ok(origins);
    };
    for entry in entries.flatten() {
        let is_known =
            entry.file_name().to_str().is_some_and(|name| config.spec.pipeline(name).is_some());
        if !is_known {
            origins.extend(saved_origin(entry.path())?);
        }
    }
    Ok(origins)
}

fn delivers_to(origin: &Origin, destination: &str) -> bool {
    origin.destinations.values().flatten().any(|other| other == destination)
}

fn writer_of(origin: &Origin) -> Writer {
    Writer { program: origin.program.clone(), pipeline: origin.pipeline.clone() }
}

/// The writer that an application's id in a table's log names: `PROGRAM/PIPELINE/SINK`. Another
/// program's ids are of another form.
fn application(id: &str) -> Option<Writer> {
    let mut parts = id.split('/');
    let (program, pipeline, _sink) = (parts.next()?, parts.next()?, parts.next()?);
    parts
        .next()
        .is_none()
        .then(|| Writer { program: program.to_owned(), pipeline: pipeline.to_owned() })
}

/// The folders of tables by the sink that writes them.
pub(super) fn folders<'a>(
    tables: impl Iterator<Item = (&'a str, &'a Path)>,
) -> BTreeMap<String, PathBuf> {
    tables.map(|(sink, folder)| (sink.to_owned(), folder.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_of_three_parts_is_a_pipelines() {
        assert_eq!(
            application("acme/cards/scored"),
            Some(Writer { program: "acme".into(), pipeline: "cards".into() })
        );
        for other in ["2f0c1d6e-0b1f-4c52-9d3a-0b8b8d0c8f11", "a/b", "a/b/c/d", ""] {
            assert_eq!(application(other), None, "{other}");
        }
    }
}
