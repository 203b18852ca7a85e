//! `riskstream replay`: dead letters through their pipeline again, after what rejected them is
//! fixed.
//!
//! A replay is a run of the pipeline on its own store with another source, so that state, features
//! and exactly-once hold; see `riskstream_ingest::ReplaySource`. Replayed rows are usually behind
//! the watermark: the pipeline applies and flags them, or dead-letters them as late, as its `late`
//! says.
//!
//! A row that a step rejected is replayed only if no step with state had seen it before: else it
//! would be counted twice. Such rows are listed as not replayable.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use riskstream_engine::contract::{REASON_LATE, Source};
use riskstream_engine::runtime::{self, Clock, RunControl, SystemClock};
use riskstream_engine::store::inspect;
use riskstream_ingest::{
    DeadLetterRows, FileSource, KafkaSource, REWRITTEN_SUFFIX, ReplaySource, replay_partition,
};
use riskstream_query::Catalog;
use riskstream_sinks::DeltaRuntime;
use serde::Serialize;

use super::run::{default_workers, plan_failed};
use super::{CommandError, failed, load, print_json};
use crate::cli::{OutputFormat, ReplayArgs};
use crate::config::spec::{self, Pipeline, SourceKind};
use crate::config::{Config, defaults, suggest_name};
use crate::plan::{
    checks_step, file_spec, generator_source, kafka_spec, plan_pipeline, store_location,
    tables_location,
};
use crate::progress::grouped;

/// Dead letters of one pipeline and reason.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    /// The pipeline.
    pub pipeline: String,
    /// Its source.
    pub source: String,
    /// Why they were rejected.
    pub reason: String,
    /// How many there are in the table.
    pub rows: u64,
    /// How many of them earlier replays took in.
    pub replayed: u64,
    /// Whether a replay takes them. It does not where the pipeline's state has counted them
    /// already, or the pipeline is gone.
    pub replayable: bool,
}

/// What came of a pipeline's replay.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// The pipeline.
    pub pipeline: String,
    /// Dead letters that were taken in.
    pub taken: u64,
    /// Taken dead letters that were not rejected again.
    pub rows: u64,
    /// Taken dead letters that were rejected again.
    pub dead_again: u64,
    /// Taken dead letters that were late (behind the watermark).
    pub late: u64,
    /// The last committed epoch.
    pub committed_epoch: u64,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    dead_letters: Vec<Waiting>,
    replayed: Vec<Replayed>,
}

/// Replays the dead letters that the arguments name, pipeline by pipeline.
///
/// # Errors
/// An unknown source or reason, a store in use, or a run that fails; pipelines before it stay
/// replayed.
pub fn replay(args: &ReplayArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&args.config)?;
    check_sources(&config, &args.source)?;
    let tables = tables_location(&config);
    let is_there = tables.join(defaults::DEAD_LETTER_TABLE).join("_delta_log").is_dir();
    let catalog = if is_there { Some(Catalog::open(&tables).map_err(failed)?) } else { None };
    let all = match &catalog {
        Some(catalog) => waiting(&config, catalog)?,
        None => Vec::new(),
    };
    check_reasons(&all, &args.reason)?;
    let is_asked = |w: &&Waiting| {
        (args.source.is_empty() || args.source.contains(&w.source))
            && (args.reason.is_empty() || args.reason.contains(&w.reason))
    };
    let asked: Vec<Waiting> = all.iter().filter(is_asked).cloned().collect();
    let mut answer = Answer { dry_run: args.dry_run, dead_letters: asked, replayed: Vec::new() };
    if let Some(catalog) = catalog.filter(|_| !args.dry_run) {
        for pipeline in &config.spec.pipelines {
            let of_pipeline = |w: &&Waiting| {
                w.pipeline == pipeline.name.value && w.replayable && w.rows > w.replayed
            };
            let waiting: Vec<&Waiting> = answer.dead_letters.iter().filter(of_pipeline).collect();
            if !waiting.is_empty() {
                let replayed = replay_pipeline(&config, pipeline, &waiting, &catalog)?;
                answer.replayed.push(replayed);
            }
        }
    }
    match args.output.format {
        OutputFormat::Json => print_json(&answer, out),
        OutputFormat::Text => Ok(answer.print(out)?),
    }
}

fn check_sources(config: &Config, named: &[String]) -> Result<(), CommandError> {
    let Some(unknown) = named.iter().find(|name| config.spec.source(name).is_none()) else {
        return Ok(());
    };
    let help = suggest_name(
        unknown,
        config.spec.sources.iter().map(|s| s.name.value.as_str()),
        "the sources are",
    );
    Err(CommandError::Usage { message: format!("there is no source `{unknown}`"), help })
}

fn check_reasons(all: &[Waiting], named: &[String]) -> Result<(), CommandError> {
    let Some(unknown) = named.iter().find(|reason| all.iter().all(|w| w.reason != **reason)) else {
        return Ok(());
    };
    let mut reasons: Vec<&str> = all.iter().map(|w| w.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let help =
        suggest_name(unknown, reasons.iter().copied(), "the reasons of the dead letters are");
    Err(CommandError::Usage {
        message: format!("no dead letter was rejected for the reason `{unknown}`"),
        help,
    })
}

/// The rejecters whose rows the pipeline's state has not counted: the source, its checks, and the
/// steps before the first one with state.
fn rejecters(pipeline: &Pipeline) -> Vec<String> {
    let before = pipeline.steps.iter().take_while(|step| !step.kind.has_state());
    let source = &pipeline.from.value;
    [source.clone(), checks_step(source)]
        .into_iter()
        .chain(before.map(|step| step.id.value.clone()))
        .collect()
}

/// Counts the dead letters, and how many of them were replayed already.
fn waiting(config: &Config, catalog: &Catalog) -> Result<Vec<Waiting>, CommandError> {
    let table = defaults::DEAD_LETTER_TABLE;
    let sql = format!(
        "select pipeline, source, reason, count(*) as rows from {table} \
         group by pipeline, source, reason"
    );
    let mut counts: BTreeMap<(String, String, String, bool), u64> = BTreeMap::new();
    for batch in catalog.sql(&sql).map_err(failed)? {
        let texts = (0..3)
            .map(|c| cast(batch.column(c), &DataType::Utf8))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let rows = cast(batch.column(3), &DataType::Int64).map_err(failed)?;
        for row in 0..batch.num_rows() {
            let text = |column: usize| texts[column].as_string::<i32>().value(row).to_owned();
            let (name, rejected_by, reason) = (text(0), text(1), text(2));
            let pipeline = config.spec.pipeline(&name);
            let replayable = pipeline.is_some_and(|p| rejecters(p).contains(&rejected_by));
            let source = pipeline.map_or(rejected_by, |p| p.from.value.clone());
            let rows = u64::try_from(rows.as_primitive::<Int64Type>().value(row)).unwrap_or(0);
            *counts.entry((name, source, reason, replayable)).or_default() += rows;
        }
    }
    let mut found: Vec<Waiting> = counts
        .into_iter()
        .map(|((pipeline, source, reason, replayable), rows)| Waiting {
            pipeline,
            source,
            reason,
            rows,
            replayed: 0,
            replayable,
        })
        .collect();
    let mut replayed: BTreeMap<(String, String), u64> = BTreeMap::new();
    for pipeline in &config.spec.pipelines {
        let name = &pipeline.name.value;
        let Some(store) = inspect(store_location(config, name)).map_err(failed)? else { continue };
        for (info, position) in store.positions.into_values() {
            replayed.insert(
                (name.clone(), info.name),
                u64::try_from(position.next_offset).unwrap_or(0),
            );
        }
    }
    for w in found.iter_mut().filter(|w| w.replayable) {
        w.replayed = replayed
            .get(&(w.pipeline.clone(), replay_partition(&w.reason)))
            .copied()
            .unwrap_or(0)
            .min(w.rows);
    }
    Ok(found)
}

fn replay_pipeline(
    config: &Config,
    pipeline: &Pipeline,
    waiting: &[&Waiting],
    catalog: &Catalog,
) -> Result<Replayed, CommandError> {
    let reasons: Vec<String> = waiting.iter().map(|w| w.reason.clone()).collect();
    let source = config
        .spec
        .source(&pipeline.from.value)
        .ok_or_else(|| failed(format!("there is no source `{}`", pipeline.from)))?;
    let stop = Arc::new(AtomicBool::new(false));
    let before = taken(config, pipeline, &reasons)?;
    let rows = reasons
        .iter()
        .map(|reason| dead_letters(catalog, pipeline, reason))
        .collect::<Result<_, _>>()?;
    let replayed = open(source, rows, &stop)?;
    let deltas = DeltaRuntime::new().map_err(failed)?;
    let planned = plan_pipeline(config, pipeline, replayed, default_workers(config), &deltas)
        .map_err(|e| plan_failed(config, e))?;
    let mut engine = planned.engine;
    // All replayed rows may be rejected again, which is no reason to stop the run.
    engine.dead_rows_max = 1.0;
    let mut control = RunControl::new(&planned.plan, engine.workers);
    control.stop = Arc::clone(&stop);
    // If an embedding program has set a handler, this one can't be set, and that one decides.
    let _set = ctrlc::set_handler(move || stop.store(true, Ordering::Release));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let summary = runtime::run(planned.plan, engine, &control, clock)
        .map_err(|e| failed(format!("pipeline {}: {e}", pipeline.name)))?;
    let metrics = &control.metrics;
    let taken = taken(config, pipeline, &reasons)?.saturating_sub(before);
    let dead_again = metrics.dead_committed_total.load(Ordering::Relaxed);
    Ok(Replayed {
        pipeline: pipeline.name.value.clone(),
        taken,
        rows: taken.saturating_sub(dead_again),
        dead_again,
        late: metrics.late_committed_total.load(Ordering::Relaxed),
        committed_epoch: summary.committed,
    })
}

/// How many dead letters of these reasons the store says were replayed, in all replays.
fn taken(config: &Config, pipeline: &Pipeline, reasons: &[String]) -> Result<u64, CommandError> {
    let store =
        inspect(store_location(config, &pipeline.name.value)).map_err(failed)?.unwrap_or_default();
    let partitions: Vec<String> = reasons.iter().map(|r| replay_partition(r)).collect();
    let positions =
        store.positions.into_values().filter(|(info, _)| partitions.contains(&info.name));
    Ok(positions.map(|(_, position)| u64::try_from(position.next_offset).unwrap_or(0)).sum())
}

fn open(
    source: &spec::Source,
    rows: Vec<DeadLetterRows>,
    stop: &Arc<AtomicBool>,
) -> Result<Box<dyn Source>, CommandError> {
    let stop = Arc::clone(stop);
    let replay = match &source.kind {
        SourceKind::Postgres(_) => {
            let message = format!(
                "the dead letters of source {} are changes that came in their order, between \
                 others of the same row, and can't be taken in again later; \
                 correct the rows in the database, or the columns in `schema`, and read the table \
                 anew",
                source.name
            );
            return Err(CommandError::Failed { message });
        }
        SourceKind::File(file) => FileSource::new(file_spec(source, file))
            .and_then(|files| ReplaySource::of_files(&files, rows, stop)),
        SourceKind::Kafka(kafka) => KafkaSource::new(kafka_spec(source, kafka))
            .and_then(|topic| ReplaySource::of_kafka(&topic, rows, stop)),
        SourceKind::Generator(generator) => generator_source(&source.name.value, generator)
            .and_then(|generated| ReplaySource::of_generator(generated, rows, stop)),
    };
    Ok(Box::new(replay.map_err(failed)?))
}

/// The dead letters of a pipeline and reason as they are now, in an order that later ones do not
/// change.
fn dead_letters(
    catalog: &Catalog,
    pipeline: &Pipeline,
    reason: &str,
) -> Result<DeadLetterRows, CommandError> {
    let text = |value: &str| value.replace('\'', "''");
    let sql = format!(
        "select \"partition\", bytes, epoch, source <> '{}' or reason = '{REASON_LATE}' \
         or \"partition\" like '%{REWRITTEN_SUFFIX}' as rewritten from {} \
         where pipeline = '{}' and source in ({}) and reason = '{}' \
         order by epoch, source, \"partition\", \"offset\", detail",
        text(&pipeline.from.value),
        defaults::DEAD_LETTER_TABLE,
        text(&pipeline.name.value),
        rejecters(pipeline).iter().map(|r| format!("'{}'", text(r))).collect::<Vec<_>>().join(", "),
        text(reason)
    );
    let mut batches = catalog.sql(&sql).map_err(failed)?.into_iter();
    let next =
        move || batches.next().map(|batch| plain(&batch).map_err(|e| e.to_string())).transpose();
    Ok(DeadLetterRows { reason: reason.to_owned(), next: Box::new(next) })
}

/// Casts the columns to the types that the source takes, since a query may give string views.
fn plain(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    RecordBatch::try_from_iter([
        ("partition", cast(batch.column(0), &DataType::Utf8)?),
        ("bytes", cast(batch.column(1), &DataType::Binary)?),
        ("epoch", cast(batch.column(2), &DataType::Int64)?),
        ("rewritten", cast(batch.column(3), &DataType::Boolean)?),
    ])
}

impl Answer {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.dead_letters.is_empty() {
            return writeln!(out, "there are no dead letters to replay");
        }
        writeln!(
            out,
            "{:<20}{:<20}{:<18}{:>12}{:>18}",
            "pipeline", "source", "reason", "rows", "replayed before"
        )?;
        for w in &self.dead_letters {
            let replayed =
                if w.replayable { grouped(w.replayed) } else { "not replayable".to_owned() };
            writeln!(
                out,
                "{:<20}{:<20}{:<18}{:>12}{:>18}",
                w.pipeline,
                w.source,
                w.reason,
                grouped(w.rows),
                replayed
            )?;
        }
        if self.dry_run {
            return Ok(());
        }
        if self.replayed.is_empty() {
            return writeln!(out, "\nall of them were replayed before");
        }
        for r in &self.replayed {
            writeln!(
                out,
                "\n{}: {} replayed ({} of them late): {} are rows now, {} are dead letters again",
                r.pipeline,
                grouped(r.taken),
                grouped(r.late),
                grouped(r.rows),
                grouped(r.dead_again)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The rejecters of a pipeline with this step between two filters, the first of which is
    /// `before`, the second `after`.
    fn rejecters_around(step: &str) -> Vec<String> {
        let text = format!(
            r#"
            [sources.s]
            kind = "file"
            path = "x.csv"
            event_time = {{ column = "at" }}
            [pipelines.p]
            from = "s"
            steps = [
                {{ id = "before", filter = "a > 0" }},
                {{ id = "it", {step} }},
                {{ id = "after", filter = "k > 1" }},
            ]
            to = [{{ id = "t", kind = "delta", table = "t" }}]
            "#
        );
        let config =
            config::parse("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        rejecters(&config.spec.pipelines[0])
    }

    #[test]
    fn what_a_step_with_state_has_seen_is_not_offered_again() {
        let with_state = [
            r#"features = { n = "count(*)" }, by = "k", over = ["1d"]"#,
            r#"changelog = { key = ["k"] }"#,
            r#"aggregate = { n = "count(*)" }, by = ["k"], windows = ["1d"]"#,
            r#"previous = { was = "a" }, by = ["k"]"#,
        ];
        for step in with_state {
            assert_eq!(rejecters_around(step), ["s", "s.checks", "before"], "{step}");
        }
        for step in [r#"derive = { b = "a + 1" }"#, r#"identities = { one = "a = 1" }"#] {
            assert_eq!(
                rejecters_around(step),
                ["s", "s.checks", "before", "it", "after"],
                "{step}"
            );
        }
    }
}
