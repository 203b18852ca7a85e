//! Starting, driving and ending a run.

use crate::contract::{Decoder, Operator as StepLogic, Routing, SavedState, Shapes, SinkWriter};
use crate::disk::Folder;
use crate::ids::{Epoch, EventTime, Ownership};
use crate::protocol::{
    CLOCK_STEP, EpochPolicy, Evolution, Hold, StepEvolution, TurnLimits, Turns, WallTime,
    WatermarkTracker, decide_evolutions, is_ahead, put_back,
};
use crate::runtime::clock::Clock;
use crate::runtime::committer::{CommittedEpoch, Committer, EncodedPart};
use crate::runtime::deliver::{DeliveryLoop, EPOCHS_HANDED_OVER_MAX};
use crate::runtime::failure::{Failure, RunError, StepsChanged};
use crate::runtime::feed::{
    BLOCKS_AHEAD_MAX, ClockNotice, Feed, FeedMessage, HeldNotice, PartitionClocks, QUIET_POLLS_MAX,
    WaitingBlocks, WorkerEnd,
};
use crate::runtime::host::{HostContext, host_combiner, host_sink, host_step};
use crate::runtime::housekeeper::Housekeeper;
use crate::runtime::intake::{Intake, clock, restored_clock};
use crate::runtime::left::{
    marks_to_go_on, prepare, refuse_other_origin, refuse_sinks_behind, refuse_sinks_gone,
    refuse_strangers, take_over,
};
use crate::runtime::metrics::{DECODE_STEP, HOLD_STEP, Metrics, READ_STEP, SPLIT_STEP};
use crate::runtime::outside::Outside;
use crate::runtime::parcel::Parcel;
use crate::runtime::parts::Parts;
use crate::runtime::plan::{EngineConfig, Plan, StepPlan, WhenQuiet, WorkerContext};
use crate::runtime::route::{Splitter, route};
use crate::store::{AwayNotes, DeliveredMarks, KeptSnapshots, Store, saved_place, saved_shapes};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{Capability, Concatenate, Operator as _};
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::SyncActivator;

/// Steers and watches a run from another thread.
#[derive(Debug, Clone)]
pub struct RunControl {
    /// Set it to end the run cleanly after the open epoch.
    pub stop: Arc<AtomicBool>,
    /// What the run is doing.
    pub metrics: Arc<Metrics>,
}

impl RunControl {
    /// Control of a run of `plan`.
    #[must_use]
    pub fn new(plan: &Plan, workers: usize) -> Self {
        let mut ids = vec![READ_STEP.to_owned(), DECODE_STEP.to_owned(), HOLD_STEP.to_owned()];
        ids.extend(plan.steps.iter().map(|s| s.id.clone()));
        for sink in plan.sinks.iter().chain([&plan.dead_letters]) {
            ids.extend(sink.steps.iter().map(|s| s.id.clone()));
            ids.push(sink.id.clone());
        }
        ids.push(SPLIT_STEP.to_owned());
        let sinks = plan.sinks.iter().chain([&plan.dead_letters]).map(|s| s.id.clone());
        Self {
            stop: Arc::new(AtomicBool::new(false)),
            metrics: Arc::new(Metrics::new(ids, sinks, workers)),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its generation.
    pub generation: u64,
    /// The epoch that it went on after; 0 for a new store.
    pub resumed_after: u64,
    /// Its last committed epoch.
    pub committed: u64,
    /// The last epoch that every sink has made visible; what was committed after it waits in the
    /// store for the next run.
    pub delivered: u64,
    /// It was stopped before the input ended.
    pub stopped: bool,
}

/// Refuses to go on with state that meant something else, before anything is claimed or restored.
fn check_shapes(pipeline: &str, saved: &Shapes, present: &Shapes) -> Result<(), RunError> {
    let mut changed = StepsChanged { pipeline: pipeline.to_owned(), steps: BTreeMap::new() };
    for (step, evolution) in decide_evolutions(saved, present) {
        match evolution {
            StepEvolution::Kept(Evolution::Refused(differences)) => {
                changed.steps.insert(step, differences);
            }
            StepEvolution::Gone => {
                return Err(RunError::UnknownState { pipeline: pipeline.to_owned(), step });
            }
            StepEvolution::Kept(Evolution::Same | Evolution::TakenWith(_)) | StepEvolution::New => {
            }
        }
    }
    if changed.steps.is_empty() { Ok(()) } else { Err(changed.into()) }
}

/// Whether the clock of an earlier run has taken the watermark beyond the present: by how many
/// seconds, and where it goes back to.
fn clock_put_back(
    saved: Option<&SavedState>,
    out_of_orderness: i64,
    by_clock: i64,
) -> Result<Option<(i64, EventTime)>, RunError> {
    let tracker = restored_clock(saved, out_of_orderness)?;
    let to =
        put_back(tracker.watermark().0, tracker.newest_seen().map(|newest| newest.0), by_clock);
    Ok(to.map(|to| (tracker.watermark().0.saturating_sub(to) / 1_000_000, EventTime(to))))
}

/// What is given to one worker alone, which takes it when it builds its dataflow.
struct WorkerStart {
    blocks: Receiver<FeedMessage>,
    decoder: Box<dyn Decoder>,
    /// The state of all steps. Each worker drops its share of this once its steps have taken what
    /// is theirs: it is not kept beside theirs.
    state: Arc<BTreeMap<String, SavedState>>,
}

/// What every worker builds its dataflow from.
struct Blueprint {
    plan_name: String,
    source_name: String,
    schema: crate::contract::SourceSchema,
    order: crate::protocol::Order,
    late: crate::protocol::LatePolicy,
    out_of_orderness: i64,
    /// The watermark that was saved goes back to this: an earlier run's clock was wrong.
    put_back: Option<EventTime>,
    steps: Vec<StepPlan>,
    sinks: Vec<(String, Vec<StepPlan>, crate::runtime::plan::BuildWriter)>,
    dead: (String, crate::runtime::plan::BuildWriter),
    history: Folder,
    first: Epoch,
    ownership: Ownership,
    generation: crate::ids::Generation,
    starts: Vec<Mutex<Option<WorkerStart>>>,
    wake: Mutex<std::sync::mpsc::Sender<(usize, SyncActivator)>>,
    parts: Sender<EncodedPart>,
    clocks: PartitionClocks,
    metrics: Arc<Metrics>,
    failure: Failure,
    clock: Arc<dyn Clock>,
}

/// Runs a pipeline until its input ends, it is stopped, or something fails; blocks. What was
/// committed stays, whatever happens.
///
/// # Errors
/// The first failure of any part.
pub fn run(
    plan: Plan,
    config: EngineConfig,
    control: &RunControl,
    time: Arc<dyn Clock>,
) -> Result<RunSummary, RunError> {
    let workers = config.workers.clamp(1, crate::ids::SHARDS);
    let origin = plan.origin();
    let mut store = Store::open(&config.store)?;
    let shapes = plan.shapes()?;
    check_shapes(&plan.name, &saved_shapes(&config.store)?, &shapes)?;
    let Plan {
        program: _,
        delivers_as: _,
        name,
        mut source,
        out_of_orderness,
        idle_after,
        skew_max,
        when_quiet,
        order,
        late,
        steps,
        sinks,
        dead_letters,
        hooks,
    } = plan;

    let mut syncs = BTreeMap::new();
    let mut deliveries = Vec::new();
    let mut writers = Vec::new();
    let mut strangers = Vec::new();
    let mut dead = None;
    let dead_id = dead_letters.id.clone();
    for sink in sinks.into_iter().chain([dead_letters]) {
        syncs.insert(sink.id.clone(), sink.sync);
        strangers.push((sink.id.clone(), sink.strangers));
        deliveries.push((sink.id.clone(), sink.delivery));
        if sink.id == dead_id {
            dead = Some((sink.id, sink.writer))
        } else {
            writers.push((sink.id, sink.steps, sink.writer))
        }
    }
    let dead =
        dead.ok_or_else(|| RunError::Bug { what: "the plan has no dead-letter sink".into() })?;
    for (id, delivery) in &mut deliveries {
        delivery.report_to(control.metrics.notice(format!("sink {id}")));
    }
    source.report_to(control.metrics.notice(format!("source {}", source.name())));
    let outside = Outside::for_run(&control.stop, &control.metrics, time.as_ref(), &config.store)?;
    let mut marks = DeliveredMarks::open(&config.store)?;
    let Some(visible) = outside.ask_delivered(&mut deliveries, &origin)? else {
        return stopped_before(
            control,
            &config.store,
            deliveries.iter().map(|(id, _)| marks.delivered(id)).min(),
        );
    };
    let delivered = visible.values().min().copied().unwrap_or(Epoch(0));
    let present = |sink: &str| deliveries.iter().any(|(id, _)| id == sink);
    let needed = marks.least_absent(present).map_or(delivered, |mark| mark.min(delivered));
    let mut recovered =
        store.recover(needed, visible.values().max().copied().unwrap_or(Epoch(0)))?;
    refuse_other_origin(&recovered, &origin)?;
    refuse_strangers(&recovered, &strangers, &origin)?;
    refuse_sinks_gone(&marks, &recovered.outbox, present)?;
    marks.begin(deliveries.iter().map(|(id, _)| id.as_str()), recovered.committed)?;
    if let Some((sink, ahead)) =
        visible.iter().find(|(_, through)| is_ahead(**through, recovered.committed))
    {
        return Err(RunError::SinkAhead {
            sink: sink.clone(),
            delivered: ahead.0,
            committed: recovered.committed.0,
        });
    }
    let step_ids: Vec<String> =
        steps.iter().chain(writers.iter().flat_map(|w| &w.1)).map(|s| s.id.clone()).collect();
    for known in recovered.state.keys().filter(|k| !k.starts_with("source.")) {
        if !step_ids.contains(known) {
            return Err(RunError::UnknownState { pipeline: name, step: known.clone() });
        }
    }
    refuse_sinks_behind(&recovered, &visible, &origin)?;
    take_over(&mut recovered, &mut deliveries, &visible, &origin)?;
    prepare(&mut deliveries)?;
    store.collect_orphans(&recovered)?;
    if !outside.open(source.as_mut(), &recovered.positions)? {
        return stopped_before(control, &config.store, Some(delivered));
    }
    if let Some((total, done)) = source.progress() {
        control.metrics.progress_done.store(done, Ordering::Relaxed);
        control.metrics.progress_total.store(total, Ordering::Relaxed);
    }

    let failure = Failure::told_to(&control.metrics);
    let first = recovered.committed.next();
    let resumed_after = recovered.committed.0;
    control.metrics.committed_epoch.store(recovered.committed.0, Ordering::Release);
    control.metrics.delivered_epoch.store(delivered.0, Ordering::Release);
    for sink in &control.metrics.sinks {
        let through = visible.get(&sink.id).copied().unwrap_or(recovered.committed);
        sink.delivered_epoch.store(through.0, Ordering::Relaxed);
    }
    let age = recovered.age;
    let (parts_in, parts_out) = unbounded();
    let (committed_in, committed_out) = unbounded();
    let (deliver_in, deliver_out) = bounded::<CommittedEpoch>(EPOCHS_HANDED_OVER_MAX);
    let (wake_in, wake_out) = std::sync::mpsc::channel();
    let mut senders = Vec::new();
    let put_back_to = match when_quiet {
        WhenQuiet::Clock => {
            let by_clock = time
                .wall_micros()
                .saturating_sub(idle_after)
                .saturating_sub(out_of_orderness)
                .saturating_sub(1);
            clock_put_back(recovered.state.get(CLOCK_STEP), out_of_orderness, by_clock)?
        }
        WhenQuiet::Wait => None,
    };
    if let Some((seconds, _)) = put_back_to {
        control.metrics.notice("event time".to_owned())(Some(format!(
            "an earlier run's clock was wrong and took event time {seconds} s beyond the present; \
             it is put back"
        )));
    }
    let put_back_to = put_back_to.map(|(_, to)| to);
    let mut starts = Vec::new();
    let state = Arc::new(std::mem::take(&mut recovered.state));
    for _ in 0..workers {
        let (sender, blocks) = unbounded();
        senders.push(sender);
        starts.push(Mutex::new(Some(WorkerStart {
            blocks,
            decoder: source.decoder(),
            state: Arc::clone(&state),
        })));
    }
    drop(state);
    let clocks = PartitionClocks::default();
    let (snapshots_in, snapshots_out) = bounded(0);
    let store = Arc::new(store);
    let committer = Committer {
        workers,
        next: first,
        steps: step_ids,
        shapes,
        first,
        sinks: marks_to_go_on(&recovered, &origin),
        origin,
        renamed: recovered.renamed_since_kept(),
        syncs,
        config: config.clone(),
        parts: parts_out,
        committed: committed_in,
        deliveries: deliver_in,
        snapshots: snapshots_in,
        metrics: Arc::clone(&control.metrics),
        clock: Arc::clone(&time),
        failure: failure.clone(),
        store: Arc::clone(&store),
        positions: BTreeMap::new(),
    };
    let resumed = recovered
        .positions
        .iter()
        .map(|(number, (_, position))| (*number, position.clone()))
        .collect();
    let generation = store.generation();
    let housekeeper = Housekeeper {
        store,
        snapshots: snapshots_out,
        kept: KeptSnapshots::found(&mut recovered),
        positions: std::mem::take(&mut recovered.positions),
        metrics: Arc::clone(&control.metrics),
        clock: Arc::clone(&time),
        failure: failure.clone(),
    };
    let delivery = DeliveryLoop {
        sinks: deliveries,
        marks,
        away: AwayNotes::begin(&config.store),
        epochs: deliver_out,
        interval: Duration::from_micros(u64::try_from(config.delivery_interval).unwrap_or(0)),
        staged_bytes_max: config.staged_bytes_max,
        hurry: Arc::clone(&control.stop),
        metrics: Arc::clone(&control.metrics),
        clock: Arc::clone(&time),
        failure: failure.clone(),
    };
    let left = std::mem::take(&mut recovered.outbox);
    let blueprint = Arc::new(Blueprint {
        plan_name: name,
        source_name: source.name().to_owned(),
        schema: source.schema().clone(),
        order,
        late,
        out_of_orderness,
        put_back: put_back_to,
        steps,
        sinks: writers,
        dead,
        history: config.store.below("history"),
        ownership: Ownership::new(workers),
        generation,
        first,
        starts,
        wake: Mutex::new(wake_in),
        parts: parts_in,
        clocks: Arc::clone(&clocks),
        metrics: Arc::clone(&control.metrics),
        failure: failure.clone(),
        clock: Arc::clone(&time),
    });

    let threads = [
        spawn("committer", &failure, move || committer.run())?,
        spawn("housekeeper", &failure, move || housekeeper.run())?,
        spawn("delivery", &failure, move || delivery.run(left))?,
    ];
    let guards = {
        let blueprint = Arc::clone(&blueprint);
        timely::execute(timely::Config::process(workers), move |worker| {
            // The others must hear of a panic: without this worker they would wait for it for ever.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(worker, &blueprint))) {
                blueprint
                    .failure
                    .set_panicked(&format!("worker {}", worker.index()), panic.as_ref());
                resume_unwind(panic);
            }
        })
        .map_err(|e| RunError::Bug { what: format!("the workers can't be started: {e}") })?
    };
    // Every worker says how to wake it once its dataflow is built; a failing one says nothing and
    // drops its end.
    let mut wakes: BTreeMap<usize, SyncActivator> = BTreeMap::new();
    while wakes.len() < workers && !failure.is_set() {
        if let Ok((worker, wake)) = wake_out.recv_timeout(Duration::from_millis(20)) {
            wakes.insert(worker, wake);
        }
    }
    let feed = Feed {
        policy: EpochPolicy::new(config.limits, first, age),
        turns: Turns::new(TurnLimits {
            idle_after,
            skew_max,
            blocks_ahead_max: BLOCKS_AHEAD_MAX,
            quiet_polls_max: QUIET_POLLS_MAX,
        }),
        idle_after,
        when_quiet,
        merge: order == crate::protocol::Order::Arrival,
        round: WaitingBlocks::default(),
        next_worker: 0,
        workers: wakes
            .into_values()
            .zip(senders)
            .map(|(wake, blocks)| WorkerEnd { blocks, wake })
            .collect(),
        clocks,
        resumed,
        read_on: BTreeMap::new(),
        closed: VecDeque::new(),
        first_block: None,
        out_of_orderness,
        bytes_open: 0,
        bytes_closed: 0,
        held: HeldNotice::new(control.metrics.notice(format!("reading of {}", source.name()))),
        wall: WallTime::new(
            time.wall_micros(),
            i64::try_from(time.steady_nanos() / 1_000).unwrap_or(i64::MAX),
        ),
        clock_notice: ClockNotice::new(control.metrics.notice("the clock".to_owned())),
        hold_step: control.metrics.step(HOLD_STEP),
        hooks,
        clock: Arc::clone(&time),
        metrics: Arc::clone(&control.metrics),
        committed: committed_out,
        stop: Arc::clone(&control.stop),
        failure: failure.clone(),
        config,
        source,
    };
    if !failure.is_set() {
        ended("feed", spawn("feed", &failure, move || feed.run())?, &failure);
    } else {
        drop(feed);
    }
    drop(blueprint);
    for result in guards.join() {
        if let Err(reason) = result {
            failure.set(RunError::Bug { what: format!("a worker panicked: {reason}") });
        }
    }
    for (name, thread) in ["committer", "housekeeper", "delivery"].into_iter().zip(threads) {
        ended(name, thread, &failure);
    }
    match failure.take() {
        Some(error) => Err(error),
        None => Ok(RunSummary {
            generation: generation.0,
            resumed_after,
            committed: control.metrics.committed_epoch.load(Ordering::Acquire),
            delivered: control.metrics.delivered_epoch.load(Ordering::Acquire),
            stopped: control.stop.load(Ordering::Acquire),
        }),
    }
}

/// A run that was stopped while something that it needs was away: everything is as it was.
fn stopped_before(
    control: &RunControl,
    store: &Folder,
    delivered: Option<Epoch>,
) -> Result<RunSummary, RunError> {
    let (generation, committed) = saved_place(store)?.unwrap_or_default();
    let delivered = delivered.unwrap_or_default().min(committed);
    control.metrics.committed_epoch.store(committed.0, Ordering::Release);
    control.metrics.delivered_epoch.store(delivered.0, Ordering::Release);
    let (resumed_after, committed) = (committed.0, committed.0);
    Ok(RunSummary {
        generation: generation.0,
        resumed_after,
        committed,
        delivered: delivered.0,
        stopped: true,
    })
}

/// Starts a thread of the run. Its panic is the run's failure.
fn spawn(
    name: &'static str,
    failure: &Failure,
    body: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, RunError> {
    let failure = failure.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || failure.watch(name, body))
        .map_err(|e| RunError::Bug { what: format!("the {name} thread can't be started: {e}") })
}

/// Waits for a thread of the run.
fn ended(name: &str, thread: std::thread::JoinHandle<()>, failure: &Failure) {
    if let Err(panic) = thread.join() {
        // Only what it does with a panic can have panicked.
        failure.set_panicked(name, panic.as_ref());
    }
}

/// One worker's life.
fn work(worker: &mut timely::worker::Worker, blueprint: &Blueprint) {
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
        merge: blueprint.order == crate::protocol::Order::Arrival,
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

/// The end: once every step of every worker has closed an epoch, this worker's part goes to the
/// committer.
fn hand_over(
    done: StreamVec<'_, u64, Parcel>,
    dead_id: String,
    mut dead: Box<dyn SinkWriter>,
    to: Sender<EncodedPart>,
    context: &HostContext,
) {
    let context = context.clone();
    let metrics = context.metrics.step(&dead_id);
    // The sender goes with the dataflow: when all workers have ended, the committer ends.
    done.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "hand over",
        move |_, _| {
            let mut open: BTreeMap<u64, (Capability<u64>, crate::contract::EpochClose)> =
                BTreeMap::new();
            move |(input, frontier), output| {
                let port = output.output_index();
                input.for_each_time(|capability, batches| {
                    for parcel in batches.flat_map(|b| b.drain(..)) {
                        if let crate::runtime::parcel::Body::Close(close) = parcel.body {
                            open.entry(*capability.time())
                                .or_insert_with(|| (capability.retain(port), close));
                        }
                    }
                });
                if context.failure.is_set() {
                    open.clear();
                    return;
                }
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(first.key()) {
                        break;
                    }
                    let (_, close) = first.remove();
                    let part = context.parts.take(close.epoch);
                    let sent = dead_part(&mut dead, &part, &close).and_then(|out| {
                        EncodedPart::encode(
                            close.epoch,
                            context.worker,
                            part,
                            out.map(|o| (dead_id.clone(), o)),
                        )
                    });
                    match sent {
                        Ok(part) => {
                            context.metrics.steps[metrics].add(part.dead, part.dead, 0);
                            if to.send(part).is_err() && !context.failure.is_set() {
                                context.failure.set_gone("committer");
                            }
                        }
                        Err(e) => context.failure.set(e),
                    }
                }
            }
        },
    );
}

fn dead_part(
    writer: &mut Box<dyn SinkWriter>,
    part: &crate::runtime::parts::Part,
    close: &crate::contract::EpochClose,
) -> Result<Option<crate::contract::OutboxPart>, RunError> {
    for rows in &part.dead {
        writer.on_batch(close.epoch, rows.clone())?;
    }
    let out = writer.finish(close)?;
    Ok(if out.is_empty() { None } else { Some(out) })
}
