//! `riskstream state list`: every pipeline's stored steps, and rows that wait for a destination.
//! Read only; works beside a running program.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use bytesize::ByteSize;
use riskstream_engine::contract::Shape;
use riskstream_engine::ids::Epoch;
use riskstream_engine::store::{Inspection, check_readable, inspect};
use serde::Serialize;

use super::stored::is_of_source;
use crate::cli::{OutputFormat, StateListArgs};
use crate::commands::{CommandError, failed, load, print_json};
use crate::config::Config;
use crate::config::spec::Pipeline;
use crate::plan::{stores, targets};
use crate::progress::grouped;

/// The whole answer.
#[derive(Debug, Serialize)]
struct Listed {
    /// The data folder.
    data: PathBuf,
    /// Every pipeline of which something is stored.
    pipelines: Vec<ListedPipeline>,
}

/// What is stored of one pipeline.
#[derive(Debug, Serialize)]
struct ListedPipeline {
    /// Its name.
    pipeline: String,
    /// Whether the configuration has it.
    in_configuration: bool,
    /// Whether a program runs it now.
    running: bool,
    /// The last committed epoch.
    committed_epoch: u64,
    /// Bytes of all files.
    bytes: u64,
    /// State of steps.
    steps: Vec<ListedStep>,
    /// Rows that may not have reached their destination.
    undelivered: Vec<Undelivered>,
    /// Files that can't be read.
    problems: Vec<String>,
}

/// State of one step.
#[derive(Debug, Serialize)]
struct ListedStep {
    /// The step's id.
    step: String,
    /// Its kind, such as `features`.
    kind: String,
    /// What its state means, in a line.
    shape: String,
    /// Whether the configuration has the step.
    in_configuration: bool,
    /// Bytes in snapshot and epochs.
    bytes: u64,
    /// Bytes of its files.
    file_bytes: u64,
}

/// Rows that may not have reached their destination.
#[derive(Debug, Serialize)]
pub(super) struct Undelivered {
    /// The destination.
    pub(super) sink: String,
    /// Whether the configuration has it.
    pub(super) in_configuration: bool,
    /// The first epoch with such rows.
    pub(super) first_epoch: u64,
    /// The last one.
    pub(super) last_epoch: u64,
    /// How many.
    pub(super) rows: u64,
}

/// Lists what every pipeline has stored.
///
/// # Errors
/// A store that can't be read.
pub(super) fn list(args: &StateListArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&args.config)?;
    let listed = read(&config)?;
    match args.output.format {
        OutputFormat::Json => print_json(&listed, out),
        OutputFormat::Text => Ok(listed.print(out)?),
    }
}

fn read(config: &Config) -> Result<Listed, CommandError> {
    let mut pipelines = Vec::new();
    for (name, folder) in stores(config).map_err(failed)? {
        match check_readable(&folder).and_then(|()| inspect(&folder)) {
            Ok(Some(found)) => pipelines.push(ListedPipeline::new(
                name.clone(),
                config.spec.pipeline(&name),
                &found,
            )),
            Ok(None) => {}
            Err(error) => {
                let mut nothing = Inspection::default();
                nothing.problems.push(error.to_string());
                pipelines.push(ListedPipeline::new(
                    name.clone(),
                    config.spec.pipeline(&name),
                    &nothing,
                ));
            }
        }
    }
    Ok(Listed { data: config.spec.riskstream.data.value.clone(), pipelines })
}

/// Rows that a pipeline's sinks have not delivered: those after the epoch that the destination
/// records, where `recorded` has it, else after the one that the store knows, which may be older.
pub(super) fn undelivered(
    found: &Inspection,
    pipeline: Option<&Pipeline>,
    recorded: &BTreeMap<String, Epoch>,
) -> Vec<Undelivered> {
    let present: Vec<String> =
        pipeline.map(targets).unwrap_or_default().into_iter().map(|(sink, _)| sink).collect();
    let mut all = Vec::new();
    for (sink, epochs) in &found.outbox {
        let through = recorded.get(sink).copied().unwrap_or_else(|| found.delivered(sink));
        let waiting: Vec<_> = epochs.iter().filter(|e| e.epoch > through && e.rows > 0).collect();
        if let (Some(first), Some(last)) = (waiting.first(), waiting.last()) {
            all.push(Undelivered {
                sink: sink.clone(),
                in_configuration: present.contains(sink),
                first_epoch: first.epoch.0,
                last_epoch: last.epoch.0,
                rows: waiting.iter().map(|e| e.rows).sum(),
            });
        }
    }
    all
}

/// What a step's state means, as short as it can be said.
fn in_a_line(shape: &Shape) -> String {
    let facts = shape.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.value));
    let parts =
        shape.parts.iter().map(|part| format!("{} {}: {}", part.role, part.name, part.value));
    facts.chain(parts).collect::<Vec<_>>().join("; ")
}

impl ListedPipeline {
    fn new(name: String, pipeline: Option<&Pipeline>, found: &Inspection) -> Self {
        let steps =
            found.state.iter().filter(|(step, _)| !is_of_source(step)).map(|(step, state)| {
                let shape = found.shapes.get(step);
                ListedStep {
                    step: step.clone(),
                    kind: shape.map(|shape| shape.kind.clone()).unwrap_or_default(),
                    shape: shape.map(in_a_line).unwrap_or_default(),
                    in_configuration: pipeline
                        .is_some_and(|p| p.steps.iter().any(|s| s.id.value == *step)),
                    bytes: state.bytes,
                    file_bytes: state.file_bytes,
                }
            });
        Self {
            pipeline: name,
            in_configuration: pipeline.is_some(),
            running: found.held_by.is_some(),
            committed_epoch: found.committed.0,
            bytes: found.bytes,
            steps: steps.collect(),
            undelivered: undelivered(found, pipeline, &BTreeMap::new()),
            problems: found.problems.clone(),
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let running = if self.running { ", running" } else { "" };
        let gone = if self.in_configuration { "" } else { ", NOT IN THE CONFIGURATION" };
        let (epoch, bytes) = (self.committed_epoch, ByteSize(self.bytes));
        writeln!(
            out,
            "pipeline {}: committed epoch {epoch}, {bytes}{running}{gone}",
            self.pipeline
        )?;
        if self.steps.is_empty() {
            writeln!(out, "  no step has state")?;
        } else {
            writeln!(out, "  {:<28}{:<12}{:>12}{:>12}", "step", "kind", "state", "files")?;
        }
        for step in &self.steps {
            let (state, files) =
                (ByteSize(step.bytes).to_string(), ByteSize(step.file_bytes).to_string());
            let gone = if step.in_configuration || !self.in_configuration {
                ""
            } else {
                "  NOT IN THE CONFIGURATION"
            };
            writeln!(out, "  {:<28}{:<12}{state:>12}{files:>12}{gone}", step.step, step.kind)?;
            if !step.shape.is_empty() {
                writeln!(out, "      {}", step.shape)?;
            }
        }
        for waiting in &self.undelivered {
            let gone = if waiting.in_configuration || !self.in_configuration {
                ""
            } else {
                ", NOT IN THE CONFIGURATION"
            };
            let Undelivered { sink, first_epoch, last_epoch, rows, .. } = waiting;
            let rows = grouped(*rows);
            writeln!(
                out,
                "  {rows} rows of epochs {first_epoch} to {last_epoch} may wait for destination \
                 {sink}{gone}"
            )?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(out, "  PROBLEM: {problem}"))
    }
}

impl Listed {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.pipelines.is_empty() {
            return writeln!(out, "nothing is stored in {} yet", self.data.display());
        }
        self.pipelines.iter().try_for_each(|pipeline| pipeline.print(out))
    }
}
