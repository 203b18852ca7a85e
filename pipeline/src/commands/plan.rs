//! `riskstream plan`: what running a configuration on a data folder would do, before it does. Read
//! only; works beside a running program.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use riskstream_engine::runtime::{Clock, SystemClock};
use riskstream_sinks::DeltaRuntime;
use serde::Serialize;

use super::run::chosen;
use super::{CommandError, failed, load, print_json};
use crate::cli::{OutputFormat, PlanArgs};
use crate::config::Config;
use crate::plan::{Fate, Forecast, Item, What, forecast};

/// The whole answer.
#[derive(Debug, Serialize)]
struct Answer {
    /// The configuration.
    file: String,
    /// The data folder.
    data: PathBuf,
    /// Whether a run would start, once one that is under way has ended.
    would_start: bool,
    /// Pipelines of the configuration, and those that have something stored and are gone from it.
    pipelines: Vec<AnsweredPipeline>,
}

#[derive(Debug, Serialize)]
struct AnsweredPipeline {
    pipeline: String,
    in_configuration: bool,
    /// Whether a program runs the pipeline now; if so, the plan is for the run after that one.
    running: bool,
    process: Option<u32>,
    items: Vec<AnsweredItem>,
}

#[derive(Debug, Serialize)]
struct AnsweredItem {
    /// `pipeline`, `source`, `step` or `sink`.
    what: What,
    name: String,
    /// `goes_on`, `begins_empty`, `begins_at_beginning`, `is_gone`, `needs_decision` or
    /// `is_refused`.
    fate: Fate,
    /// The epoch after which it goes on.
    after_epoch: Option<u64>,
    detail: String,
    /// The place in the configuration, only where something is wrong: the file or `--set`, and the
    /// line and column from 1.
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    /// What can be done.
    ways_out: Option<String>,
}

/// Prints the plan; returns true when a run would start.
///
/// # Errors
/// A configuration with problems, or a data folder that can't be read.
pub fn plan(args: &PlanArgs, out: &mut dyn Write) -> Result<bool, CommandError> {
    let config = load(&args.config)?;
    let pipelines = chosen(&config, &args.only)?;
    let runtime = DeltaRuntime::new().map_err(failed)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let forecasts = forecast(&config, &pipelines, &runtime, &clock)
        .map_err(|error| super::run::plan_failed(&config, error))?;
    let answer = Answer {
        file: config.texts.file.clone(),
        data: config.spec.riskstream.data.value.clone(),
        would_start: forecasts.iter().flat_map(|f| &f.items).all(|item| item.fate.starts()),
        pipelines: forecasts
            .into_iter()
            .map(|forecast| AnsweredPipeline::new(&config, forecast))
            .collect(),
    };
    match args.output.format {
        OutputFormat::Json => print_json(&answer, out)?,
        OutputFormat::Text => answer.print(out)?,
    }
    Ok(answer.would_start)
}

impl AnsweredPipeline {
    fn new(config: &Config, forecast: Forecast) -> Self {
        let Forecast { pipeline, in_configuration, held_by, items } = forecast;
        let items = items.into_iter().map(|item| AnsweredItem::new(config, item)).collect();
        Self {
            pipeline,
            in_configuration,
            running: held_by.is_some(),
            process: held_by.flatten(),
            items,
        }
    }
}

impl AnsweredItem {
    fn new(config: &Config, item: Item) -> Self {
        let place = item.place.filter(|_| !item.fate.starts()).map(|span| {
            let (file, _) = config.texts.of(span.origin);
            (file.to_owned(), config.texts.position(span))
        });
        Self {
            what: item.what,
            name: item.name,
            fate: item.fate,
            after_epoch: item.after_epoch,
            detail: item.detail,
            file: place.as_ref().map(|(file, _)| file.clone()),
            line: place.as_ref().map(|(_, (line, _))| *line),
            column: place.as_ref().map(|(_, (_, column))| *column),
            ways_out: item.ways_out,
        }
    }

    fn print(&self, width: usize, out: &mut dyn Write) -> std::io::Result<()> {
        let what = match self.what {
            What::Pipeline => "pipeline",
            What::Source => "source",
            What::Step => "step",
            What::Sink => "sink",
        };
        let fate = match (self.fate, self.after_epoch) {
            (Fate::GoesOn, Some(epoch)) => format!("goes on after epoch {epoch}"),
            (Fate::GoesOn, None) => "goes on".to_owned(),
            (Fate::BeginsEmpty, _) => "begins empty".to_owned(),
            (Fate::BeginsAtBeginning, _) => "begins at the beginning".to_owned(),
            (Fate::IsGone, _) => "is gone".to_owned(),
            (Fate::NeedsDecision, _) => "NEEDS A DECISION".to_owned(),
            (Fate::IsRefused, _) => "IS REFUSED".to_owned(),
        };
        let line = format!("  {what:<10}{:<width$}  {fate:<26}{}", self.name, self.detail);
        writeln!(out, "{}", line.trim_end())?;
        if let (Some(file), Some(line), Some(column)) = (&self.file, self.line, self.column) {
            writeln!(out, "            at {file}:{line}:{column}")?;
        }
        match &self.ways_out {
            Some(ways_out) => writeln!(out, "            help: {ways_out}"),
            None => Ok(()),
        }
    }
}

impl Answer {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let names =
            self.pipelines.iter().flat_map(|p| &p.items).map(|item| item.name.chars().count());
        let width = names.max().unwrap_or(0);
        for pipeline in &self.pipelines {
            let running = match (pipeline.running, pipeline.process) {
                (true, Some(process)) => format!(" (running now, process {process})"),
                (true, None) => " (running now)".to_owned(),
                (false, _) => String::new(),
            };
            writeln!(out, "{}{running}", pipeline.pipeline)?;
            pipeline.items.iter().try_for_each(|item| item.print(width, out))?;
        }
        let waiting =
            self.pipelines.iter().flat_map(|p| &p.items).filter(|item| !item.fate.starts()).count();
        let running =
            self.pipelines.iter().any(|pipeline| pipeline.in_configuration && pipeline.running);
        match waiting {
            0 if running => writeln!(
                out,
                "{}: a run would start once the one that is under way has ended; nothing was \
                 changed",
                self.file
            ),
            0 => writeln!(out, "{}: a run would start; nothing was changed", self.file),
            1 => writeln!(
                out,
                "{}: a run would be refused for 1 reason; nothing was changed",
                self.file
            ),
            _ => writeln!(
                out,
                "{}: a run would be refused for {waiting} reasons; nothing was changed",
                self.file
            ),
        }
    }
}
