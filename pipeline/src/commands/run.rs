//! `riskstream run`: starts the pipelines, shows how they go, and says at the end what came of it.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

use riskstream_engine::runtime::{Clock, RunControl, SystemClock};
use riskstream_sinks::DeltaRuntime;

use super::confirm::{Asked, confirm};
use super::state::{Anew, begin_anew, plan_anew};
use super::{CommandError, load, refuse};
use crate::cli::{OutputFormat, RunArgs};
use crate::config::spec::{Log, LogFormat, LogLevel, MetricsEndpoint, Pipeline};
use crate::config::{Config, Problem, suggest_name};
use crate::plan::{
    PlanError, Planned, Stored, lay_out, notices, open_source, store_location, tables_location,
};
use crate::progress::Progress;
use crate::report::{PipelineReport, RunReport};
use crate::service::samples::samples_location;
use crate::service::{
    Endpoint, Exporter, Housekeeping, Importance, Life, Outcome, Ports, Sampler, Shared, Voice,
    Watched, logs, supervise, watch,
};

/// Runs pipelines until their input ends, the user stops them, or one fails for good.
///
/// # Errors
/// A configuration that can't be run, before anything starts; or pipelines that failed, after all
/// have stopped.
pub fn run(args: &RunArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let started = Instant::now();
    let config = load(&args.config).inspect_err(|_| begin_log(Log::default(), args))?;
    begin_log(config.spec.riskstream.log, args);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pipelines = chosen(&config, &args.only)?;
    let workers = args.workers.map(usize::from).unwrap_or_else(|| default_workers(&config));
    let runtime =
        DeltaRuntime::new().map_err(|e| CommandError::Failed { message: e.to_string() })?;
    let mut planned = Vec::new();
    for pipeline in &pipelines {
        let stored = if args.fresh.contains(&pipeline.name.value) {
            Stored::Dropped
        } else {
            Stored::GoesOn
        };
        planned.push(plan(&config, pipeline, stored, workers, &runtime, &clock)?);
    }
    fresh(&config, args, &planned, &runtime)?;
    let notes = notes(&planned);
    let notices = planned.iter().flat_map(|planned| notices(&planned.name, &planned.evolutions));
    for said in notes.iter().cloned().chain(notices) {
        if logs::format().is_some() {
            tracing::info!("{said}");
        } else {
            // If standard error is closed, nobody reads the note.
            let _closed = writeln!(std::io::stderr(), "{said}");
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    // If an embedding program has set a handler, this one can't be set, and that one decides.
    let _set = ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::AcqRel) {
            // The user asked twice: leave at once. Nothing that was committed is lost.
            std::process::exit(130);
        }
    });
    let lives: Vec<Arc<Life>> = planned
        .iter()
        .zip(&pipelines)
        .map(|(planned, pipeline)| {
            let control = RunControl::new(&planned.plan, planned.engine.workers);
            let store = store_location(&config, &planned.name);
            Arc::new(Life::new(planned.name.clone(), control, pipeline.on_failure, store))
        })
        .collect();
    let metrics = lives.iter().map(|life| (life.name.as_str(), &life.control.metrics));
    let mut progress = Progress::new(metrics, args.output.format == OutputFormat::Text);
    // The endpoint, the exporter and the sampler end with this function, after the pipelines.
    // Opened before anything starts, so that an address that is taken is told of at once.
    let ports = Ports::begin(&config).map_err(super::failed)?;
    if let Some(ports) = &ports {
        progress.voice().say(Importance::Info, &ports.said());
    }
    let shared = Arc::new(Shared {
        started_micros: clock.wall_micros(),
        query: ports.as_ref().map(Ports::service),
        ..Shared::default()
    });
    let _witnesses = witnesses(&config, &lives, &shared, &progress.voice(), &clock)?;
    let housekeeping = Housekeeping::begin(&config, &pipelines, &shared, &clock, progress.voice())
        .map_err(CommandError::Output)?;
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for ((planned, pipeline), life) in planned.into_iter().zip(&pipelines).zip(&lives) {
            let (tell, follows) = channel();
            let workers = planned.engine.workers;
            let (config, runtime, clock) = (&config, &runtime, &clock);
            let supervised = Arc::clone(life);
            let again = move || {
                plan(config, pipeline, Stored::GoesOn, workers, runtime, clock)
                    .map_err(|e| e.to_string())
            };
            let thread = std::thread::Builder::new()
                .name(format!("pipeline {}", life.name))
                .spawn_scoped(scope, move || supervise(&supervised, planned, again, clock, &tell));
            let thread = match thread {
                Ok(thread) => thread,
                Err(error) => {
                    // The scope waits for the pipelines that have started, so they are told to
                    // stop.
                    lives.iter().for_each(|life| life.control.stop.store(true, Ordering::Release));
                    return Err(CommandError::Output(error));
                }
            };
            running.push(Watched { life: Arc::clone(life), thread, follows, workers });
        }
        watch(&running, &stop, &mut progress);
        drop(housekeeping);
        if let Some(ports) = ports {
            ports.end();
        }
        finish(running, args, started, notes, &progress.voice(), out)
    })
}

/// Begins the log. There is none if no format is given and standard error is a terminal, which
/// shows progress bars. `said` is the configuration's `log`.
fn begin_log(said: Log, args: &RunArgs) {
    let is_seen = std::io::stderr().is_terminal();
    let format = args.log.log_format.or(said.format).or((!is_seen).then_some(LogFormat::Text));
    if let Some(format) = format {
        logs::begin(format, args.log.log_level.or(said.level).unwrap_or(LogLevel::Info));
    }
}

/// The metrics endpoint, the exporter of spans and the sampler; each ends when it is dropped.
type Witnesses = (Option<Endpoint>, Option<Exporter>, Sampler);

fn witnesses(
    config: &Config,
    lives: &[Arc<Life>],
    shared: &Arc<Shared>,
    voice: &Voice,
    clock: &Arc<dyn Clock>,
) -> Result<Witnesses, CommandError> {
    let endpoint = match config.spec.metrics {
        Some(MetricsEndpoint { listen }) => {
            let endpoint = Endpoint::begin(listen, lives, shared, clock).map_err(|e| {
                let message = format!("the metrics endpoint can't listen on {listen}: {e}");
                CommandError::Failed { message }
            })?;
            let text = format!("metrics: http://{}/metrics", endpoint.address);
            voice.say(Importance::Info, &text);
            Some(endpoint)
        }
        None => None,
    };
    let exporter = match &config.spec.tracing {
        Some(tracing) => {
            let service = &config.spec.riskstream.name.value;
            let exporter = Exporter::begin(&tracing.otlp, service, lives, shared, voice.clone());
            Some(exporter.map_err(|e| CommandError::Failed {
                message: format!("spans can't be sent to {}: {e}", tracing.otlp),
            })?)
        }
        None => None,
    };
    let files = lives.iter().map(|life| samples_location(config, &life.name)).collect();
    let sampler = Sampler::begin(lives, files, tables_location(config), shared, clock)
        .map_err(CommandError::Output)?;
    Ok((endpoint, exporter, sampler))
}

/// The notes on the sources, each once even if several pipelines read the source.
fn notes(planned: &[Planned]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in planned.iter().flat_map(|planned| &planned.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// Lets the pipelines of `--fresh` begin anew, after all pipelines of the run could be planned.
fn fresh(
    config: &Config,
    args: &RunArgs,
    planned: &[Planned],
    runtime: &DeltaRuntime,
) -> Result<(), CommandError> {
    let mut anew = Vec::new();
    for name in &args.fresh {
        if !planned.iter().any(|p| p.name == *name) {
            let help = suggest_name(name, planned.iter().map(|p| p.name.as_str()), "this runs");
            return Err(CommandError::Usage {
                message: format!("--fresh {name}: this does not run a pipeline `{name}`"),
                help,
            });
        }
        anew.extend(plan_anew(config, name, args.tables, runtime)?);
    }
    if anew.is_empty() {
        return Ok(());
    }
    let (changes, anew): (Vec<Asked>, Vec<Anew>) = anew.into_iter().unzip();
    confirm(&changes, args.yes)?;
    anew.iter().try_for_each(|anew| begin_anew(config, anew).map(|_| ()))
}

/// The pipelines to run: all, or those named.
pub(super) fn chosen<'a>(
    config: &'a Config,
    only: &[String],
) -> Result<Vec<&'a Pipeline>, CommandError> {
    let all = &config.spec.pipelines;
    let mut chosen = Vec::new();
    for name in only {
        let Some(pipeline) = config.spec.pipeline(name) else {
            let help =
                suggest_name(name, all.iter().map(|p| p.name.value.as_str()), "the file has");
            return Err(CommandError::Usage {
                message: format!("there is no pipeline `{name}`"),
                help,
            });
        };
        chosen.push(pipeline);
    }
    Ok(if only.is_empty() { all.iter().collect() } else { chosen })
}

pub(super) fn default_workers(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.spec.riskstream.workers.as_ref().map_or(cores, |w| w.value)
}

/// Plans a pipeline over its own source.
pub(super) fn plan(
    config: &Config,
    pipeline: &Pipeline,
    stored: Stored,
    workers: usize,
    runtime: &DeltaRuntime,
    clock: &Arc<dyn Clock>,
) -> Result<Planned, CommandError> {
    let Some(spec) = config.spec.source(&pipeline.from.value) else {
        return Err(refuse(
            config,
            vec![Problem::new(
                pipeline.from.span,
                format!("there is no source `{}`", pipeline.from),
            )],
        ));
    };
    let source =
        open_source(spec, clock).map_err(|e| CommandError::Failed { message: e.to_string() })?;
    lay_out(config, pipeline, source)
        .and_then(|laid_out| laid_out.plan(stored, workers, runtime))
        .map_err(|e| plan_failed(config, e))
}

pub(super) fn plan_failed(config: &Config, error: PlanError) -> CommandError {
    match error {
        PlanError::Config(problems) => refuse(config, problems),
        other @ (PlanError::Source(_)
        | PlanError::Sink(_)
        | PlanError::Operator(_)
        | PlanError::Store(_)
        | PlanError::Names(_)
        | PlanError::Table(_)) => CommandError::Failed { message: other.to_string() },
    }
}

fn finish(
    running: Vec<Watched<'_>>,
    args: &RunArgs,
    started: Instant,
    notes: Vec<String>,
    voice: &Voice,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let mut reports = Vec::new();
    let mut failed = Vec::new();
    for r in running {
        let name = &r.life.name;
        let outcome = r.thread.join().unwrap_or_else(|_| {
            voice.say_of(Importance::Error, name, "internal error: its thread panicked");
            Outcome {
                summary: None,
                ended: Instant::now(),
                tables: Vec::new(),
                consoles: Vec::new(),
            }
        });
        match &outcome.summary {
            Some(summary) => {
                let how = if summary.stopped { "stopped" } else { "done" };
                let (pipeline, epoch) = (name.as_str(), summary.committed);
                tracing::info!(pipeline, epoch, "pipeline {pipeline}: {how}");
            }
            None => failed.push(name.clone()),
        }
        reports.push(PipelineReport::new(
            name,
            r.workers,
            outcome.ended.duration_since(started).as_secs_f64(),
            outcome.summary.as_ref(),
            &r.life.control.metrics,
            &outcome.tables,
            &outcome.consoles,
        ));
    }
    let report = RunReport { seconds: started.elapsed().as_secs_f64(), notes, pipelines: reports };
    match args.output.format {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        }
        OutputFormat::Text => report.print(args, out)?,
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(CommandError::PipelinesFailed { pipelines: failed })
    }
}
