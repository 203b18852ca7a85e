//! A worker's life: it builds its dataflow, the same on every worker, and drives it.

use crate::contract::{
    Decoder, Operator as StepLogic, Routing, SavedState, SinkWriter, SourceSchema,
};
use crate::disk::Folder;
use crate::ids::{Epoch, EventTime, Generation, Ownership};
use crate::protocol::{CLOCK_STEP, Hold, LatePolicy, Order, WatermarkTracker};
use crate::runtime::clock::Clock;
use crate::runtime::encoded::EncodedPart;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::feed::{FeedMessage, PartitionClocks};
use crate::runtime::hand_over::hand_over;
use crate::runtime::host::{HostContext, host_combiner, host_sink, host_step};
use crate::runtime::intake::{Intake, clock, restored_clock};
use crate::runtime::metrics::{HOLD_STEP, Metrics};
use crate::runtime::parcel::Parcel;
use crate::runtime::parts::Parts;
use crate::runtime::plan::{BuildWriter, StepPlan, WorkerContext};
use crate::runtime::route::{Splitter, route};
use crossbeam_channel::{Receiver, Sender};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::SyncActivator;

/// What is given to one worker alone, which takes it when it builds its dataflow.
pub(crate) struct WorkerStart {
    pub(crate) blocks: Receiver<FeedMessage>,
    pub(crate) decoder: Box<dyn Decoder>,
    /// The state of all steps. Each worker drops its share of this once its steps have taken what
    /// is theirs: it is not kept beside theirs.
    pub(crate) state: Arc<BTreeMap<String, SavedState>>,
}

/// What every worker builds its dataflow from.
pub(crate) struct Blueprint {
    pub(crate) plan_name: String,
    pub(crate) source_name: String,
    pub(crate) schema: SourceSchema,
    pub(crate) order: Order,
    pub(crate) late: LatePolicy,
    pub(crate) out_of_orderness: i64,
    /// The watermark that was saved goes back to this: an earlier run's clock was wrong.
    pub(crate) put_back: Option<EventTime>,
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) sinks: Vec<(String, Vec<StepPlan>, BuildWriter)>,
    pub(crate) dead: (String, BuildWriter),
    pub(crate) history: Folder,
    pub(crate) first: Epoch,
    pub(crate) ownership: Ownership,
    pub(crate) generation: Generation,
    pub(crate) starts: Vec<Mutex<Option<WorkerStart>>>,
    pub(crate) wake: Mutex<mpsc::Sender<(usize, SyncActivator)>>,
    pub(crate) parts: Sender<EncodedPart>,
    pub(crate) clocks: PartitionClocks,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) failure: Failure,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One worker's life.
pub(crate) fn work(worker: &mut timely::worker::Worker, blueprint: &Blueprint) {
    let index = worker.index();
    match Logic::build(blueprint, index) {
        Ok(logic) => worker.dataflow_named::<u64, _, _>(&blueprint.plan_name, |scope| {
            wire(scope, blueprint, logic)
        }),
        Err(e) => blueprint.failure.set(e),
    }
    while worker.has_dataflows() {
        if blueprint.failure.is_set() {
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
            return;
        }
        worker.step_or_park(Some(Duration::from_millis(20)));
    }
}

/// Steps by id, in their order.
type NamedSteps = Vec<(String, Box<dyn StepLogic>)>;

/// A worker's steps and writers, their state restored.
struct Logic {
    hold: Hold,
    steps: NamedSteps,
    sinks: Vec<(String, NamedSteps, Box<dyn SinkWriter>)>,
    dead: Box<dyn SinkWriter>,
    blocks: Receiver<FeedMessage>,
    decoder: Box<dyn Decoder>,
    tracker: WatermarkTracker,
}

impl Logic {
    fn build(blueprint: &Blueprint, worker: usize) -> Result<Self, RunError> {
        let context = WorkerContext {
            worker,
            ownership: blueprint.ownership,
            generation: blueprint.generation,
            history: blueprint.history.clone(),
        };
        let start = blueprint
            .starts
            .get(worker)
            .and_then(|s| s.lock().unwrap_or_else(PoisonError::into_inner).take());
        let WorkerStart { blocks, decoder, state: saved } = start
            .ok_or_else(|| RunError::Bug { what: format!("worker {worker} was started twice") })?;
        let nothing = SavedState::default();
        let mut tracker = restored_clock(saved.get(CLOCK_STEP), blueprint.out_of_orderness)?;
        let seen = tracker.newest_seen();
        let step = |plan: &StepPlan| -> Result<(String, Box<dyn StepLogic>), RunError> {
            let mut operator = (plan.build)(&context)?;
            match (saved.get(&plan.id), seen) {
                (None, Some(seen)) => operator.begin_after(seen),
                (saved, _) => {
                    operator.restore(saved.unwrap_or(&nothing), worker, blueprint.ownership)?
                }
            }
            Ok((plan.id.clone(), operator))
        };
        let mut hold = Hold::new(
            HOLD_STEP,
            &blueprint.source_name,
            blueprint.schema.clone(),
            blueprint.order,
            blueprint.late,
        );
        hold.restore(saved.get(HOLD_STEP).unwrap_or(&nothing), worker, blueprint.ownership)?;
        let steps = blueprint.steps.iter().map(step).collect::<Result<_, _>>()?;
        let mut sinks = Vec::new();
        for (id, own_steps, writer) in &blueprint.sinks {
            sinks.push((
                id.clone(),
                own_steps.iter().map(step).collect::<Result<_, _>>()?,
                writer(&context)?,
            ));
        }
        let dead = (blueprint.dead.1)(&context)?;
        if let Some(to) = blueprint.put_back {
            tracker.put_back(to);
            hold.put_back(to);
        }
        Ok(Self { hold, steps, sinks, dead, blocks, decoder, tracker })
    }
}

/// Builds the dataflow; the same on every worker.
fn wire(scope: Scope<'_, u64>, blueprint: &Blueprint, logic: Logic) {
    let first = blueprint.first;
    let context = HostContext {
        worker: scope.index(),
        first,
        parts: Parts::default(),
        metrics: Arc::clone(&blueprint.metrics),
        failure: blueprint.failure.clone(),
        clock: Arc::clone(&blueprint.clock),
    };
    let intake = Intake {
        first,
        blocks: logic.blocks,
        decoder: logic.decoder,
        event_time: blueprint.schema.event_time,
        merge: blueprint.order == Order::Arrival,
        clocks: Arc::clone(&blueprint.clocks),
        parts: context.parts.clone(),
        metrics: Arc::clone(&blueprint.metrics),
        failure: blueprint.failure.clone(),
        clock: Arc::clone(&blueprint.clock),
    };
    let wake = blueprint.wake.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let read = intake.build(scope, &wake);
    let clocked = clock(
        read,
        logic.tracker,
        context.parts.clone(),
        Arc::clone(&blueprint.metrics),
        blueprint.failure.clone(),
    );
    let mut stream = host_step(clocked, HOLD_STEP, Box::new(logic.hold), false, &context);
    for (id, operator) in logic.steps {
        stream = step(stream, &id, operator, blueprint, &context);
    }
    let mut done = Vec::new();
    for (id, steps, writer) in logic.sinks {
        let mut branch = stream.clone();
        for (step_id, operator) in steps {
            branch = step(branch, &step_id, operator, blueprint, &context);
        }
        done.push(host_sink(branch, &id, writer, &context));
    }
    if done.is_empty() {
        done.push(stream);
    }
    let done = scope.concatenate(done);
    hand_over(done, blueprint.dead.0.clone(), logic.dead, blueprint.parts.clone(), &context);
}

fn step<'s>(
    stream: StreamVec<'s, u64, Parcel>,
    id: &str,
    operator: Box<dyn StepLogic>,
    blueprint: &Blueprint,
    context: &HostContext,
) -> StreamVec<'s, u64, Parcel> {
    match operator.routing() {
        Routing::Local => host_step(stream, id, operator, false, context),
        Routing::ByKey(key) => {
            let stream = match operator.combiner() {
                Some(combiner) if blueprint.ownership.workers() > 1 => {
                    host_combiner(stream, id, combiner, context)
                }
                _ => stream,
            };
            let routed = route(
                stream,
                &format!("{id}.route"),
                Splitter::new(key, blueprint.ownership),
                context,
            );
            host_step(routed, id, operator, true, context)
        }
        Routing::ByKeyOrAll(key) => {
            let routed = route(
                stream,
                &format!("{id}.route"),
                Splitter::new(key, blueprint.ownership).with_null_to_all(),
                context,
            );
            host_step(routed, id, operator, true, context)
        }
    }
}
