//! Latency: payments that arrive one by one at a fixed rate, through exact features, a score and a
//! decision, to two kinds of delivery.
//!
//! Payment `i` arrives at `start + i / rate`, whether or not the program is ready for it, so a
//! stall counts for every payment that it held up. A source has nothing to give before that
//! instant. Measured from there to
//! - **immediate**: the decision is at the sink on its worker, before its epoch is committed
//!   (`deliver = "immediately"`);
//! - **committed**: the decision is handed to the delivery thread after its epoch was committed,
//!   synced to disk.
//!
//! Before and after it two threads that do nothing else hand over payments by the same schedule
//! ([`control`]): what the machine itself adds.
//!
//! The plan is the one that `card-fraud.toml` beside this file makes, with this source in front and
//! this sink behind.

mod arrivals;
mod control;
mod figures;
mod sink;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Parser;
use riskstream_engine::protocol::EpochLimits;
use riskstream_engine::runtime::{Clock, EngineConfig, RunControl, SystemClock, run};
use riskstream_pipeline::config;
use riskstream_pipeline::plan::{PlanError, plan_pipeline};
use riskstream_sinks::DeltaRuntime;

use arrivals::{Arrivals, Schedule};
use figures::{Figures, Spent};

#[derive(Debug, Parser)]
struct Arguments {
    /// Payments per second.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Seconds of payments, the warm-up included.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds that don't count: caches and windows fill.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Threads of the dataflow.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// An epoch is open this long at least, in microseconds: shorter ones commit sooner, and cost
    /// more.
    #[arg(long, default_value_t = 5_000)]
    epoch_min: i64,
    /// An epoch is open this long at most, in microseconds.
    #[arg(long, default_value_t = 10_000)]
    epoch_max: i64,
    /// Epochs that are closed and not committed yet, at most.
    #[arg(long, default_value_t = 2)]
    in_flight: u64,
    /// Committed epochs are delivered at most this far apart, in microseconds.
    #[arg(long, default_value_t = 0)]
    delivery_interval: i64,
    /// Seconds of the control before the run and after it; 0 for none.
    #[arg(long, default_value_t = 10)]
    control: u64,
    /// The folder of models, with `fraud-card` in it.
    #[arg(long, default_value = "registry")]
    registry: PathBuf,
    /// Where the store is made, and deleted at the end; on a real disk, since what is measured
    /// waits for it.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// A line of JSON is appended to this file.
    #[arg(long)]
    results: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir_in(&arguments.folder)
        .with_context(|| format!("making a folder in {}", arguments.folder.display()))?;
    let sets = [
        format!("riskstream.data={}", folder.path().display()),
        format!("riskstream.registry={}", arguments.registry.display()),
    ];
    let config =
        config::parse("benches/latency/card-fraud.toml", include_str!("card-fraud.toml"), &sets)
            .map_err(|e| anyhow!("{e}"))?;
    let pipeline = config.spec.pipelines.first().context("the configuration has a pipeline")?;
    let rows = arguments.rate * arguments.seconds;
    let schedule = Arc::new(Schedule::new(arguments.rate));
    let arrivals = Arrivals::new(rows, Arc::clone(&schedule))?;
    let runtime = DeltaRuntime::new()?;
    let planned = plan_pipeline(&config, pipeline, Box::new(arrivals), arguments.workers, &runtime)
        .map_err(|error| match error {
            PlanError::Config(problems) => anyhow!("{}", config.problems(problems)),
            other @ (PlanError::Source(_)
            | PlanError::Sink(_)
            | PlanError::Operator(_)
            | PlanError::Store(_)
            | PlanError::Names(_)
            | PlanError::Table(_)) => anyhow!(other),
        })?;
    let figures = Arc::new(Figures::new(Arc::clone(&schedule), arguments.rate * arguments.warm_up));
    let mut plan = planned.plan;
    plan.sinks = vec![sink::sink_plan(&planned.schema, &figures)?];
    let engine = EngineConfig {
        limits: EpochLimits {
            min_micros: arguments.epoch_min,
            max_micros: arguments.epoch_max,
            // A block is a slice of one large batch, which counts whole.
            bytes_max: u64::MAX,
            in_flight_max: arguments.in_flight,
            ..planned.engine.limits
        },
        workers: arguments.workers,
        delivery_interval: arguments.delivery_interval,
        ..planned.engine
    };
    let control = RunControl::new(&plan, arguments.workers);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let control_rows = arguments.rate * arguments.control;
    let mut alone = control::latencies(arguments.rate, control_rows);
    let (cpu_before, taken_before) = (figures::cpu_seconds(), figures::taken_seconds());
    let started = Instant::now();
    let summary = run(plan, engine, &control, clock)?;
    let took = started.elapsed();
    let (cpu, taken) =
        (figures::cpu_seconds() - cpu_before, figures::taken_seconds() - taken_before);
    alone.extend(control::latencies(arguments.rate, control_rows));
    anyhow::ensure!(
        took >= Duration::from_secs(arguments.seconds),
        "the run ended after {took:?}, before its schedule did"
    );

    let setup = format!(
        "{} payments at {}/s, {} worker(s), epochs {} to {} µs, {} in flight; the first {} s don't \
         count",
        rows,
        arguments.rate,
        arguments.workers,
        arguments.epoch_min,
        arguments.epoch_max,
        arguments.in_flight,
        arguments.warm_up
    );
    println!("{setup}\n");
    let report = figures.report(
        &control.metrics,
        summary.committed,
        rows,
        Spent { cpu, took, taken },
        &mut alone,
    )?;
    print!("{}", report.text);
    if let Some(path) = &arguments.results {
        report.append_to(path, &setup)?;
    }
    Ok(())
}
