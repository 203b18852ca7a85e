//! The threads of a run: each is started with its ends of the channels between them, and waited
//! for in the order in which they end.
//!
//! ```text
//!   feed ─▶ workers ─▶ committer ─▶ delivery
//!                          └──────▶ housekeeper
//! ```

use crate::contract::Position;
use crate::ids::{Epoch, Ownership};
use crate::protocol::{EpochPolicy, Order, SnapshotAge, TurnLimits, Turns, WallTime};
use crate::runtime::clock::Clock;
use crate::runtime::committer::Committer;
use crate::runtime::control::{RunControl, RunSummary};
use crate::runtime::deliver::{DeliveryLoop, EPOCHS_HANDED_OVER_MAX};
use crate::runtime::encoded::CommittedEpoch;
use crate::runtime::failure::{Failure, RunError};
use crate::runtime::feed::{
    BLOCKS_AHEAD_MAX, ClockNotice, Feed, FeedMessage, HeldNotice, PartitionClocks, QUIET_POLLS_MAX,
    WaitingBlocks, WorkerEnd,
};
use crate::runtime::housekeeper::Housekeeper;
use crate::runtime::left::marks_to_go_on;
use crate::runtime::metrics::HOLD_STEP;
use crate::runtime::parts::Committed;
use crate::runtime::plan::EngineConfig;
use crate::runtime::recover::{Reading, Resumed, Sinks};
use crate::runtime::wiring::{Blueprint, WorkerStart, work};
use crate::store::{AwayNotes, KeptSnapshots};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use timely::communication::WorkerGuards;
use timely::scheduling::SyncActivator;

/// What all threads share.
struct Shared<'a> {
    config: &'a EngineConfig,
    control: &'a RunControl,
    clock: &'a Arc<dyn Clock>,
    failure: Failure,
}

/// Runs what was resumed, until its input ends, it is stopped, or something fails.
pub(crate) fn drive(
    resumed: Resumed,
    config: EngineConfig,
    control: &RunControl,
    clock: &Arc<dyn Clock>,
) -> Result<RunSummary, RunError> {
    let workers = config.workers.clamp(1, crate::ids::SHARDS);
    let shared =
        Shared { config: &config, control, clock, failure: Failure::told_to(&control.metrics) };
    let (parts_in, parts_out) = unbounded();
    let (committed_in, committed_out) = unbounded();
    let (wake_in, wake_out) = mpsc::channel();
    let clocks = PartitionClocks::default();

    let Resumed { mut recovered, reading, sinks, store, .. } = resumed;
    let Sinks { syncs, deliveries, writers, dead, .. } = sinks;
    let first = recovered.committed.next();
    let resumed_after = recovered.committed.0;
    let generation = store.generation();
    let state = Arc::new(std::mem::take(&mut recovered.state));
    let (senders, starts): (Vec<Sender<FeedMessage>>, Vec<_>) = (0..workers)
        .map(|_| {
            let (sender, blocks) = unbounded();
            let decoder = reading.source.decoder();
            let state = Arc::clone(&state);
            (sender, Mutex::new(Some(WorkerStart { blocks, decoder, state })))
        })
        .unzip();
    drop(state);
    let from = FeedFrom {
        first,
        age: recovered.age,
        positions: recovered
            .positions
            .iter()
            .map(|(number, (_, position))| (*number, position.clone()))
            .collect(),
    };
    let store = Arc::new(store);
    let (deliver_in, deliver_out) = bounded::<CommittedEpoch>(EPOCHS_HANDED_OVER_MAX);
    let (snapshots_in, snapshots_out) = bounded(0);
    let committer = Committer {
        workers,
        next: first,
        steps: resumed.step_ids,
        shapes: resumed.shapes,
        first,
        sinks: marks_to_go_on(&recovered, &resumed.origin),
        origin: resumed.origin,
        renamed: recovered.renamed_since_kept(),
        syncs,
        config: config.clone(),
        parts: parts_out,
        committed: committed_in,
        deliveries: deliver_in,
        snapshots: snapshots_in,
        metrics: Arc::clone(&control.metrics),
        clock: Arc::clone(clock),
        failure: shared.failure.clone(),
        store: Arc::clone(&store),
        positions: BTreeMap::new(),
    };
    let housekeeper = Housekeeper {
        store,
        snapshots: snapshots_out,
        kept: KeptSnapshots::found(&mut recovered),
        positions: std::mem::take(&mut recovered.positions),
        metrics: Arc::clone(&control.metrics),
        clock: Arc::clone(clock),
        failure: shared.failure.clone(),
    };
    let delivery = DeliveryLoop {
        sinks: deliveries,
        marks: resumed.marks,
        away: AwayNotes::begin(&config.store),
        epochs: deliver_out,
        interval: Duration::from_micros(u64::try_from(config.delivery_interval).unwrap_or(0)),
        staged_bytes_max: config.staged_bytes_max,
        hurry: Arc::clone(&control.stop),
        metrics: Arc::clone(&control.metrics),
        clock: Arc::clone(clock),
        failure: shared.failure.clone(),
    };
    let waiting = std::mem::take(&mut recovered.outbox);
    let blueprint = Arc::new(Blueprint {
        plan_name: resumed.name,
        source_name: reading.source.name().to_owned(),
        schema: reading.source.schema().clone(),
        order: reading.order,
        late: reading.late,
        out_of_orderness: reading.out_of_orderness,
        put_back: resumed.put_back,
        steps: resumed.steps,
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
        failure: shared.failure.clone(),
        clock: Arc::clone(clock),
    });
    drop(recovered);

    let failure = &shared.failure;
    let threads = [
        ("committer", spawn("committer", failure, move || committer.run())?),
        ("housekeeper", spawn("housekeeper", failure, move || housekeeper.run())?),
        ("delivery", spawn("delivery", failure, move || delivery.run(waiting))?),
    ];
    let guards = start_workers(workers, &blueprint)?;
    let ends = worker_ends(&wake_out, senders, failure);
    shared.read(reading, from, ends, (clocks, committed_out))?;
    drop(blueprint);
    for result in guards.join() {
        if let Err(reason) = result {
            failure.set(RunError::Bug { what: format!("a worker panicked: {reason}") });
        }
    }
    for (name, thread) in threads {
        ended(name, thread, failure);
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

fn start_workers(workers: usize, blueprint: &Arc<Blueprint>) -> Result<WorkerGuards<()>, RunError> {
    let blueprint = Arc::clone(blueprint);
    timely::execute(timely::Config::process(workers), move |worker| {
        // The others must hear of a panic: without this worker they would wait for it for ever.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(worker, &blueprint))) {
            let name = format!("worker {}", worker.index());
            blueprint.failure.set_panicked(&name, panic.as_ref());
            resume_unwind(panic);
        }
    })
    .map_err(|e| RunError::Bug { what: format!("the workers can't be started: {e}") })
}

/// The feed's ends of the workers. Every worker says how to wake it once its dataflow is built; a
/// failing one says nothing and drops its end.
fn worker_ends(
    wakes: &mpsc::Receiver<(usize, SyncActivator)>,
    senders: Vec<Sender<FeedMessage>>,
    failure: &Failure,
) -> Vec<WorkerEnd> {
    let mut told: BTreeMap<usize, SyncActivator> = BTreeMap::new();
    while told.len() < senders.len() && !failure.is_set() {
        if let Ok((worker, wake)) = wakes.recv_timeout(Duration::from_millis(20)) {
            told.insert(worker, wake);
        }
    }
    told.into_values().zip(senders).map(|(wake, blocks)| WorkerEnd { blocks, wake }).collect()
}

/// Where the feed goes on.
struct FeedFrom {
    first: Epoch,
    age: SnapshotAge,
    positions: BTreeMap<u32, Position>,
}

impl Shared<'_> {
    /// Reads until the input ends or the run does.
    fn read(
        &self,
        reading: Reading,
        from: FeedFrom,
        workers: Vec<WorkerEnd>,
        (clocks, committed): (PartitionClocks, Receiver<Committed>),
    ) -> Result<(), RunError> {
        let metrics = &self.control.metrics;
        let Reading {
            source,
            out_of_orderness,
            idle_after,
            skew_max,
            when_quiet,
            order,
            hooks,
            ..
        } = reading;
        let feed = Feed {
            policy: EpochPolicy::new(self.config.limits, from.first, from.age),
            turns: Turns::new(TurnLimits {
                idle_after,
                skew_max,
                blocks_ahead_max: BLOCKS_AHEAD_MAX,
                quiet_polls_max: QUIET_POLLS_MAX,
            }),
            idle_after,
            when_quiet,
            merge: order == Order::Arrival,
            round: WaitingBlocks::default(),
            next_worker: 0,
            workers,
            clocks,
            resumed: from.positions,
            read_on: BTreeMap::new(),
            closed: VecDeque::new(),
            first_block: None,
            out_of_orderness,
            bytes_open: 0,
            bytes_closed: 0,
            held: HeldNotice::new(metrics.notice(format!("reading of {}", source.name()))),
            wall: WallTime::new(
                self.clock.wall_micros(),
                i64::try_from(self.clock.steady_nanos() / 1_000).unwrap_or(i64::MAX),
            ),
            clock_notice: ClockNotice::new(metrics.notice("the clock".to_owned())),
            hold_step: metrics.step(HOLD_STEP),
            hooks,
            clock: Arc::clone(self.clock),
            metrics: Arc::clone(metrics),
            committed,
            stop: Arc::clone(&self.control.stop),
            failure: self.failure.clone(),
            config: self.config.clone(),
            source,
        };
        if !self.failure.is_set() {
            ended("feed", spawn("feed", &self.failure, move || feed.run())?, &self.failure);
        }
        Ok(())
    }
}

/// Starts a thread of the run. Its panic is the run's failure.
fn spawn(
    name: &'static str,
    failure: &Failure,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, RunError> {
    let failure = failure.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || failure.watch(name, body))
        .map_err(|e| RunError::Bug { what: format!("the {name} thread can't be started: {e}") })
}

/// Waits for a thread of the run.
fn ended(name: &str, thread: JoinHandle<()>, failure: &Failure) {
    if let Err(panic) = thread.join() {
        // The thread catches its body's panic, so only the handling of one can have panicked.
        failure.set_panicked(name, panic.as_ref());
    }
}
