//! `riskstream run`: starts the pipelines, shows how they go, and says at the end what came of it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use riskstream_engine::runtime::{self, Clock, RunControl, RunError, RunSummary, SystemClock};
use riskstream_sinks::DeltaRuntime;

use super::confirm::{Asked, confirm};
use super::state::{Anew, begin_anew, plan_anew};
use super::{CommandError, load, refuse};
use crate::cli::{OutputFormat, RunArgs};
use crate::config::spec::Pipeline;
use crate::config::{Config, Problem, suggest_name};
use crate::plan::{PlanError, Planned, Stored, lay_out, notices, open_source};
use crate::progress::Progress;
use crate::report::{PipelineReport, RunReport};

/// How often the progress is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// One pipeline of a run.
struct Running {
    control: RunControl,
    /// What came of it, and when it ended.
    thread: std::thread::JoinHandle<(Result<RunSummary, RunError>, Instant)>,
    tables: Vec<crate::plan::PlannedTable>,
    consoles: Vec<(String, Arc<std::sync::Mutex<riskstream_sinks::LastRows>>)>,
    name: String,
    workers: usize,
}

/// Runs pipelines until their input ends or the user stops them.
///
/// # Errors
/// A configuration that can't be run, before anything starts; or the first failure of any pipeline,
/// after all have stopped.
pub fn run(args: &RunArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let started = Instant::now();
    let config = load(&args.config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pipelines = chosen(&config, &args.only)?;
    let workers = args.workers.map(usize::from).unwrap_or_else(|| default_workers(&config));
    let runtime =
        DeltaRuntime::new().map_err(|e| CommandError::Failed { message: e.to_string() })?;
    let mut planned = Vec::new();
    for pipeline in pipelines {
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
        // Nobody is left to be told where standard error is closed.
        let _closed = writeln!(std::io::stderr(), "{said}");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    // A second handler can't be set; then the first one, of an embedding program, decides.
    let _set = ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::AcqRel) {
            // The user asked twice: leave at once. Nothing that was committed is lost.
            std::process::exit(130);
        }
    });
    let running: Vec<Running> =
        planned.into_iter().map(|p| start(p, &clock)).collect::<Result<_, _>>()?;
    watch(&running, &stop, args.output.format == OutputFormat::Text);
    finish(running, args, started, notes, out)
}

/// What is to be said of the sources, each once though several pipelines may read it.
fn notes(planned: &[Planned]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in planned.iter().flat_map(|planned| &planned.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// Lets the pipelines of `--fresh` begin anew, when all that is to be run can be.
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
        other => CommandError::Failed { message: other.to_string() },
    }
}

fn start(planned: Planned, clock: &Arc<dyn Clock>) -> Result<Running, CommandError> {
    let Planned { name, plan, engine, tables, consoles, .. } = planned;
    let workers = engine.workers;
    let control = RunControl::new(&plan, workers);
    let (clock, for_thread) = (Arc::clone(clock), control.clone());
    let thread = std::thread::Builder::new()
        .name(format!("pipeline {name}"))
        .spawn(move || (runtime::run(plan, engine, &for_thread, clock), Instant::now()))
        .map_err(CommandError::Output)?;
    Ok(Running { control, thread, tables, consoles, name, workers })
}

/// What is tried again is told of at once, and then this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Tells of a source or a destination that is away, and that it is back.
struct Troubles(Vec<Option<Instant>>);

impl Troubles {
    fn tell(&mut self, running: &[Running], progress: &Progress<'_>) {
        for (told, run) in self.0.iter_mut().zip(running) {
            let reason =
                run.control.metrics.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match (reason, *told) {
                (Some(_), Some(at)) if at.elapsed() < TELL_EVERY => {}
                (Some(reason), _) => {
                    progress.warn(&format!("pipeline {}: {reason}", run.name));
                    *told = Some(Instant::now());
                }
                (None, Some(_)) => {
                    progress.warn(&format!("pipeline {}: what was away is back", run.name));
                    *told = None;
                }
                (None, None) => {}
            }
        }
    }
}

/// Draws the progress until every pipeline has ended, and passes a stop on.
fn watch(running: &[Running], stop: &Arc<AtomicBool>, draw: bool) {
    let mut progress =
        Progress::new(running.iter().map(|r| (r.name.as_str(), &r.control.metrics)), draw);
    let mut told = false;
    let mut troubles = Troubles(vec![None; running.len()]);
    while running.iter().any(|r| !r.thread.is_finished()) {
        if stop.load(Ordering::Acquire) && !told {
            told = true;
            progress.note("stopping after the open epoch; Ctrl-C again leaves at once");
            for r in running {
                r.control.stop.store(true, Ordering::Release);
            }
        }
        troubles.tell(running, &progress);
        progress.draw();
        std::thread::sleep(if draw {
            DRAW_EVERY.min(Duration::from_millis(20))
        } else {
            Duration::from_millis(2)
        });
    }
    progress.finish();
}

fn finish(
    running: Vec<Running>,
    args: &RunArgs,
    started: Instant,
    notes: Vec<String>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let mut reports = Vec::new();
    let mut failure = None;
    for r in running {
        let (result, ended) = match r.thread.join() {
            Ok(ended) => ended,
            Err(_) => (
                Err(RunError::Bug { what: format!("the thread of pipeline {} panicked", r.name) }),
                Instant::now(),
            ),
        };
        let summary = match result {
            Ok(summary) => Some(summary),
            Err(e) => {
                failure.get_or_insert(format!("pipeline {}: {e}", r.name));
                None
            }
        };
        let seconds = ended.duration_since(started).as_secs_f64();
        reports.push(PipelineReport::new(
            &r.name,
            r.workers,
            seconds,
            summary.as_ref(),
            &r.control.metrics,
            &r.tables,
            &r.consoles,
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
    match failure {
        Some(message) => Err(CommandError::Failed { message }),
        None => Ok(()),
    }
}
