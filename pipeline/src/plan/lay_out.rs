//! A pipeline's steps laid out, and what the engine runs made of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{Shapes, Source};
use riskstream_engine::protocol::{EpochLimits, LatePolicy, Order, StepEvolution};
use riskstream_engine::runtime::{EngineConfig, Plan, WhenQuiet};
use riskstream_sinks::{DeltaRuntime, LastRows};

use super::context::StepContext;
use super::error::PlanError;
use super::names::KnownAs;
use super::places::store_location;
use super::sinks::PlannedTable;
use super::state::check_state;
use super::{checks, lineage, sinks};
use crate::config::spec::{self, Pipeline};
use crate::config::{Config, Problem, check_columns, check_source_columns};
use crate::steps::{Around, Chain, micros};

/// Rows of a block, at most.
const BLOCK_ROWS: usize = 32_768;
/// Bytes of a block, about.
const BLOCK_BYTES: usize = 4 << 20;
/// Committed epochs are delivered together at most this far apart.
const DELIVERY_INTERVAL: Duration = Duration::from_secs(1);
/// A snapshot is taken only once the epochs since the last one hold this percentage of its bytes.
const SNAPSHOT_GROWTH_PERCENT: u64 = 100;
/// A snapshot is taken only once these epochs hold this many bytes, which a restart reads in a
/// fraction of a second.
const SNAPSHOT_BYTES_MIN: u64 = 32 << 20;

/// A pipeline, ready to run, and what there is to tell of it.
#[derive(Debug)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// What becomes of the state that its store holds, by the step's id.
    pub evolutions: BTreeMap<String, StepEvolution>,
    /// The plan that the engine runs.
    pub plan: Plan,
    /// The settings of the engine.
    pub engine: EngineConfig,
    /// Its tables, the dead letters' last.
    pub tables: Vec<PlannedTable>,
    /// Console sinks: id and the newest rows.
    pub consoles: Vec<(String, Arc<Mutex<LastRows>>)>,
    /// Columns after the last step.
    pub schema: SchemaRef,
    /// What a user should know of how its source is read.
    pub notes: Vec<String>,
}

/// What becomes of what the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It goes on: the stored state must fit these steps.
    GoesOn,
    /// It is dropped before the run.
    Dropped,
}

/// A pipeline whose steps are laid out: nothing is opened but its source, and nothing was made.
pub(crate) struct LaidOut<'a> {
    context: StepContext<'a>,
    spec: &'a spec::Source,
    pub(crate) source: Box<dyn Source>,
    /// What the steps' state means.
    pub(crate) shapes: Shapes,
    notes: Vec<String>,
}

/// Plans a pipeline whose rows come from `source`, which [`open_source`] made, and whose store goes
/// on.
///
/// # Errors
/// With every problem of the configuration that was found, or the table that can't be opened.
pub fn plan_pipeline(
    config: &Config,
    pipeline: &Pipeline,
    source: Box<dyn Source>,
    workers: usize,
    runtime: &DeltaRuntime,
) -> Result<Planned, PlanError> {
    lay_out(config, pipeline, source)?.plan(Stored::GoesOn, workers, runtime)
}

/// Lays the steps of a pipeline out.
///
/// # Errors
/// With every problem of the configuration that was found.
pub(crate) fn lay_out<'a>(
    config: &'a Config,
    pipeline: &'a Pipeline,
    source: Box<dyn Source>,
) -> Result<LaidOut<'a>, PlanError> {
    let Some(spec) = config.spec.source(&pipeline.from.value) else {
        return Err(Problem::new(
            pipeline.from.span,
            format!("there is no source `{}`", pipeline.from),
        )
        .into());
    };
    let schema = source.schema().clone();
    let notes = source_notes(&*source);
    let user = user_schema(&schema.schema);
    let mut problems = check_source_columns(spec, &user);
    problems.extend(check_columns(pipeline, &spec.event_time.column, &user));
    if !problems.is_empty() {
        return Err(PlanError::Config(problems));
    }
    let ties: Vec<String> = spec.event_time.ties_by.iter().map(|t| t.value.clone()).collect();
    let event_time = spec.event_time.column.value.clone();
    let mut chain = Chain {
        riskstream: &config.spec.riskstream,
        order: pipeline.order,
        identity: if ties.is_empty() { vec![event_time.clone()] } else { ties.clone() },
        event_time,
        ties,
        schema: Arc::clone(&schema.schema),
        lineage: lineage::of_source(spec, pipeline, &schema.schema),
        windows: None,
        steps: Vec::new(),
        hooks: Vec::new(),
        models: Vec::new(),
    };
    let known_as = KnownAs::planned(config, pipeline)?;
    checks::plan_checks(&mut chain, spec)?;
    for step in &pipeline.steps {
        let (input, event_time) = (Arc::clone(&chain.schema), chain.event_time.clone());
        step.kind.plan(&step.id, &mut chain)?;
        let around = Around {
            step: &step.id.value,
            event_time: &event_time,
            input: &input,
            output: &chain.schema,
        };
        step.kind.lineage(&around, &mut chain.lineage);
    }
    let context = StepContext { config, pipeline, known_as, chain };
    let shapes = riskstream_engine::runtime::shapes(source.as_ref(), &context.chain.steps)?;
    Ok(LaidOut { context, spec, source, shapes, notes })
}

impl LaidOut<'_> {
    /// What the engine runs; tables are made where there are none.
    ///
    /// # Errors
    /// With a problem for every step whose saved state can't go on, or the table that can't be
    /// opened.
    pub(crate) fn plan(
        self,
        stored: Stored,
        workers: usize,
        runtime: &DeltaRuntime,
    ) -> Result<Planned, PlanError> {
        let Self { context, spec, source, shapes, notes } = self;
        let (config, pipeline) = (context.config, context.pipeline);
        // The state is checked before any table is made.
        let evolutions = match stored {
            Stored::GoesOn => check_state(config, pipeline, &shapes)?,
            Stored::Dropped => BTreeMap::new(),
        };
        let sinks = sinks::plan_sinks(&context, runtime)?;
        let riskstream = &config.spec.riskstream;
        let plan = Plan {
            program: context.known_as.program.clone(),
            name: pipeline.name.value.clone(),
            delivers_as: context.known_as.pipeline.clone(),
            source,
            out_of_orderness: micros(spec.event_time.out_of_orderness),
            idle_after: micros(spec.event_time.idle_after),
            skew_max: micros(spec.event_time.skew_max.max(spec.event_time.out_of_orderness)),
            when_quiet: match spec.event_time.when_quiet {
                spec::WhenQuiet::Wait => WhenQuiet::Wait,
                spec::WhenQuiet::Clock => WhenQuiet::Clock,
            },
            order: match pipeline.order {
                spec::Order::EventTime => Order::EventTime,
                spec::Order::Arrival => Order::Arrival,
            },
            late: match pipeline.late {
                spec::Late::Apply => LatePolicy::Apply,
                spec::Late::DeadLetter => LatePolicy::DeadLetter,
            },
            steps: context.chain.steps,
            sinks: sinks.plans,
            dead_letters: sinks.dead_letters,
            hooks: context.chain.hooks,
        };
        let engine = EngineConfig {
            store: store_location(config, &pipeline.name.value).into(),
            workers,
            limits: EpochLimits {
                min_micros: micros(riskstream.epoch.min),
                max_micros: micros(riskstream.epoch.max),
                rows_max: riskstream.epoch.rows,
                bytes_max: riskstream.epoch.bytes,
                in_flight_max: riskstream.in_flight_epochs as u64,
                snapshot_every_epochs: riskstream.snapshot_every,
                snapshot_growth_percent: SNAPSHOT_GROWTH_PERCENT,
                snapshot_bytes_min: SNAPSHOT_BYTES_MIN,
            },
            block_rows: BLOCK_ROWS,
            block_bytes: BLOCK_BYTES,
            hold_bytes_max: riskstream.hold_memory,
            dead_rows_max: riskstream.dead_rows_max,
            dead_rows_min: riskstream.dead_rows_min,
            delivery_interval: micros(DELIVERY_INTERVAL),
            staged_bytes_max: riskstream.staged_bytes_max,
        };
        Ok(Planned {
            name: plan.name.clone(),
            evolutions,
            plan,
            engine,
            tables: sinks.tables,
            consoles: sinks.consoles,
            schema: context.chain.schema,
            notes,
        })
    }
}

/// What a user should know of how a source is read: what was inferred, and what is left out.
pub(crate) fn source_notes(source: &dyn riskstream_engine::contract::Source) -> Vec<String> {
    source.notes().into_iter().map(|note| format!("source {}: {note}", source.name())).collect()
}

/// The columns that are the user's own.
pub(crate) fn user_schema(schema: &arrow::datatypes::Schema) -> arrow::datatypes::Schema {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .filter(|f| !riskstream_engine::contract::is_system_column(f.name()))
        .cloned()
        .collect();
    arrow::datatypes::Schema::new(fields)
}
