//! What a run is made of: the source, the steps, the sinks, as factories that each worker calls for
//! itself.

use crate::contract::{
    Delivery, Operator, OperatorError, Shapes, SinkError, SinkWriter, Source, SyncFiles,
};
use crate::disk::Folder;
use crate::ids::{Epoch, Generation, Ownership};
use crate::protocol::{
    CLOCK_STEP, EpochLimits, LatePolicy, Order, Origin, WatermarkTracker, Writer,
};
use std::sync::Arc;

/// The worker for which a step or a writer is built.
#[derive(Debug, Clone)]
pub struct WorkerContext {
    /// The worker's number.
    pub worker: usize,
    /// Shards to workers.
    pub ownership: Ownership,
    /// This run.
    pub generation: Generation,
    /// The folder of history files; a step's own lie in a folder of its id below it.
    pub history: Folder,
}

/// Makes a step's logic for one worker.
pub type BuildStep =
    Arc<dyn Fn(&WorkerContext) -> Result<Box<dyn Operator>, OperatorError> + Send + Sync>;
/// Makes a sink's writer for one worker.
pub type BuildWriter =
    Arc<dyn Fn(&WorkerContext) -> Result<Box<dyn SinkWriter>, SinkError> + Send + Sync>;
/// Called when an epoch opens, before any of its rows are read, with the wall clock's microseconds;
/// a place to publish a new model from this epoch on.
pub type EpochHook = Box<dyn FnMut(Epoch, i64) + Send>;

/// One step.
#[derive(Clone)]
pub struct StepPlan {
    /// Unique in the pipeline; the name of its state.
    pub id: String,
    /// Its logic.
    pub build: BuildStep,
}

impl std::fmt::Debug for StepPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepPlan").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One sink, and the steps that only it sees (a filter).
pub struct SinkPlan {
    /// Unique in the pipeline.
    pub id: String,
    /// Local steps before it.
    pub steps: Vec<StepPlan>,
    /// The workers' side.
    pub writer: BuildWriter,
    /// Makes staged files durable.
    pub sync: SyncFiles,
    /// The process's side.
    pub delivery: Box<dyn Delivery>,
    /// Where its rows go, as the store remembers it and as a person knows it, such as
    /// `table payments_scored`; none for a destination that remembers nothing, such as a screen.
    pub destination: Option<String>,
    /// Where the store is new: pipelines that the configuration does not have and that have rows in
    /// the destination.
    pub strangers: Vec<Writer>,
}

impl std::fmt::Debug for SinkPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkPlan")
            .field("id", &self.id)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// A pipeline, ready to run.
pub struct Plan {
    /// The program's name, under which its rows are delivered.
    pub program: String,
    /// Its name.
    pub name: String,
    /// Its name as destinations know it: its own, or the one that it had first.
    pub delivers_as: String,
    /// Where rows come from.
    pub source: Box<dyn Source>,
    /// How far a partition's events may be out of order, microseconds.
    pub out_of_orderness: i64,
    /// A partition that is caught up and quiet for so long stops holding the watermark back,
    /// microseconds.
    pub idle_after: i64,
    /// A partition is not read further ahead of the slowest than this, in event time, microseconds.
    pub skew_max: i64,
    /// What becomes of event time while no partition has anything.
    pub when_quiet: WhenQuiet,
    /// The order in which the steps see rows.
    pub order: Order,
    /// What becomes of late rows.
    pub late: LatePolicy,
    /// The steps, in order.
    pub steps: Vec<StepPlan>,
    /// Where rows go.
    pub sinks: Vec<SinkPlan>,
    /// Where rejected and dead-lettered rows go.
    pub dead_letters: SinkPlan,
    /// Called as epochs open.
    pub hooks: Vec<EpochHook>,
}

impl Plan {
    /// The names under which its rows are delivered, and where to.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let sinks = self.sinks.iter().chain([&self.dead_letters]);
        let destinations = sinks.map(|sink| (sink.id.clone(), sink.destination.clone()));
        Origin {
            program: self.program.clone(),
            pipeline: self.delivers_as.clone(),
            destinations: destinations.collect(),
        }
    }

    /// What the state of its steps means, by the step's id. Each step is made once for it, and
    /// writes nothing.
    ///
    /// # Errors
    /// When a step can't be made.
    pub fn shapes(&self) -> Result<Shapes, OperatorError> {
        shapes(
            self.source.as_ref(),
            self.steps.iter().chain(self.sinks.iter().flat_map(|sink| &sink.steps)),
        )
    }
}

/// As [`Plan::shapes`], of a source and steps.
///
/// # Errors
/// When a step can't be made.
pub fn shapes<'a>(
    source: &dyn Source,
    steps: impl IntoIterator<Item = &'a StepPlan>,
) -> Result<Shapes, OperatorError> {
    let nobody = WorkerContext {
        worker: 0,
        ownership: Ownership::new(1),
        generation: Generation::default(),
        history: Folder::from(""),
    };
    let schema = source.schema();
    let mut shapes = Shapes::from([(
        CLOCK_STEP.to_owned(),
        WatermarkTracker::shape(schema.schema.field(schema.event_time).name()),
    )]);
    for step in steps {
        if let Some(shape) = (step.build)(&nobody)?.shape() {
            shapes.insert(step.id.clone(), shape);
        }
    }
    Ok(shapes)
}

/// What becomes of event time while all partitions are idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenQuiet {
    /// It stands still until there is a row.
    #[default]
    Wait,
    /// It goes on by the machine's clock, `idle_after` and the out-of-orderness behind it.
    Clock,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("steps", &self.steps)
            .field("sinks", &self.sinks)
            .finish_non_exhaustive()
    }
}

/// How a pipeline is run.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The store's folder, and the disk that it is on.
    pub store: Folder,
    /// Threads of the dataflow.
    pub workers: usize,
    /// When epochs close and snapshots are taken.
    pub limits: EpochLimits,
    /// Rows of a block, at most.
    pub block_rows: usize,
    /// Bytes of a block, about.
    pub block_bytes: usize,
    /// Bytes of rows that may wait for the watermark, about. When it is so many, only partitions
    /// are read that hold the watermark back.
    pub hold_bytes_max: u64,
    /// More dead letters than this share of an epoch's rows stop the run.
    pub dead_rows_max: f64,
    /// `dead_rows_max` holds for epochs of at least so many rows.
    pub dead_rows_min: u64,
    /// Committed epochs are delivered together at most this far apart, microseconds.
    pub delivery_interval: i64,
    /// Bytes of staged files that may wait for sinks; with more, nothing is read before some are
    /// delivered.
    pub staged_bytes_max: u64,
}
