//! From a plan to a run that may begin: the store is opened, destinations are asked how far they
//! are, whatever does not fit is refused, and the source goes to where it was. Nothing runs yet.

use crate::contract::{Delivery, SavedState, Shapes, Source, SyncFiles};
use crate::disk::Folder;
use crate::ids::{Epoch, EventTime};
use crate::protocol::{
    CLOCK_STEP, Evolution, LatePolicy, Order, Origin, StepEvolution, Writer, decide_evolutions,
    is_ahead, put_back,
};
use crate::runtime::clock::Clock;
use crate::runtime::control::{RunControl, RunSummary};
use crate::runtime::failure::{RunError, StepsChanged};
use crate::runtime::intake::restored_clock;
use crate::runtime::left::{
    prepare, refuse_other_origin, refuse_sinks_behind, refuse_sinks_gone, refuse_strangers,
    take_over,
};
use crate::runtime::outside::Outside;
use crate::runtime::plan::{
    BuildWriter, EngineConfig, EpochHook, Plan, SinkPlan, StepPlan, WhenQuiet,
};
use crate::store::{DeliveredMarks, Recovered, Store, saved_place, saved_shapes};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A run that may begin.
pub(crate) struct Resumed {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    /// What the steps' state means.
    pub(crate) shapes: Shapes,
    pub(crate) reading: Reading,
    pub(crate) steps: Vec<StepPlan>,
    /// The ids of the steps, the sinks' own among them.
    pub(crate) step_ids: Vec<String>,
    pub(crate) sinks: Sinks,
    pub(crate) store: Store,
    pub(crate) recovered: Recovered,
    pub(crate) marks: DeliveredMarks,
    /// The watermark that was saved goes back to this: an earlier run's clock was wrong.
    pub(crate) put_back: Option<EventTime>,
}

/// How rows are read: the plan's, by field.
pub(crate) struct Reading {
    pub(crate) source: Box<dyn Source>,
    pub(crate) out_of_orderness: i64,
    pub(crate) idle_after: i64,
    pub(crate) skew_max: i64,
    pub(crate) when_quiet: WhenQuiet,
    pub(crate) order: Order,
    pub(crate) late: LatePolicy,
    pub(crate) hooks: Vec<EpochHook>,
}

/// A plan's sinks, by who works with which part of them.
pub(crate) struct Sinks {
    /// The committer's.
    pub(crate) syncs: BTreeMap<String, SyncFiles>,
    /// The delivery thread's.
    pub(crate) deliveries: Vec<(String, Box<dyn Delivery>)>,
    /// The workers', without the dead letters'.
    pub(crate) writers: Vec<(String, Vec<StepPlan>, BuildWriter)>,
    /// The workers', of dead letters.
    pub(crate) dead: (String, BuildWriter),
    strangers: Vec<(String, Vec<Writer>)>,
}

impl Sinks {
    fn split(sinks: Vec<SinkPlan>, dead_letters: SinkPlan) -> Self {
        let dead = (dead_letters.id.clone(), dead_letters.writer.clone());
        let mut split = Self {
            syncs: BTreeMap::new(),
            deliveries: Vec::new(),
            writers: Vec::new(),
            dead,
            strangers: Vec::new(),
        };
        for sink in sinks {
            split.writers.push((sink.id.clone(), sink.steps.clone(), sink.writer.clone()));
            split.add(sink);
        }
        split.add(dead_letters);
        split
    }

    /// What all sinks have, the dead letters' too.
    fn add(&mut self, sink: SinkPlan) {
        self.syncs.insert(sink.id.clone(), sink.sync);
        self.strangers.push((sink.id.clone(), sink.strangers));
        self.deliveries.push((sink.id, sink.delivery));
    }

    fn has(&self, sink: &str) -> bool {
        self.deliveries.iter().any(|(id, _)| id == sink)
    }
}

/// Whether a run begins.
pub(crate) enum Beginning {
    /// It does.
    Resumed(Box<Resumed>),
    /// It was stopped before.
    Stopped(RunSummary),
}

/// Opens what a run needs and checks that it goes on with what there is.
pub(crate) fn resume(
    plan: Plan,
    config: &EngineConfig,
    control: &RunControl,
    time: &dyn Clock,
) -> Result<Beginning, RunError> {
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
    let mut sinks = Sinks::split(sinks, dead_letters);
    for (id, delivery) in &mut sinks.deliveries {
        delivery.report_to(control.metrics.notice(format!("sink {id}")));
    }
    source.report_to(control.metrics.notice(format!("source {}", source.name())));

    let outside = Outside::for_run(&control.stop, &control.metrics, time, &config.store)?;
    let mut marks = DeliveredMarks::open(&config.store)?;
    let Some(visible) = outside.ask_delivered(&mut sinks.deliveries, &origin)? else {
        let delivered = sinks.deliveries.iter().map(|(id, _)| marks.delivered(id)).min();
        return stopped_before(control, &config.store, delivered);
    };
    let delivered = visible.values().min().copied().unwrap_or(Epoch(0));
    let needed =
        marks.least_absent(|sink| sinks.has(sink)).map_or(delivered, |mark| mark.min(delivered));
    let newest = visible.values().max().copied().unwrap_or(Epoch(0));
    let mut recovered = store.recover(needed, newest)?;
    refuse_other_origin(&recovered, &origin)?;
    refuse_strangers(&recovered, &sinks.strangers, &origin)?;
    refuse_sinks_gone(&marks, &recovered.outbox, |sink| sinks.has(sink))?;
    marks.begin(sinks.deliveries.iter().map(|(id, _)| id.as_str()), recovered.committed)?;
    refuse_sinks_ahead(&recovered, &visible)?;
    let step_ids: Vec<String> =
        steps.iter().chain(sinks.writers.iter().flat_map(|w| &w.1)).map(|s| s.id.clone()).collect();
    refuse_unknown_state(&name, &recovered, &step_ids)?;
    refuse_sinks_behind(&recovered, &visible, &origin)?;
    take_over(&mut recovered, &mut sinks.deliveries, &visible, &origin)?;
    prepare(&mut sinks.deliveries)?;
    store.collect_orphans(&recovered)?;
    if !outside.open(source.as_mut(), &recovered.positions)? {
        return stopped_before(control, &config.store, Some(delivered));
    }
    if let Some((total, done)) = source.progress() {
        control.metrics.progress_done.store(done, Ordering::Relaxed);
        control.metrics.progress_total.store(total, Ordering::Relaxed);
    }
    control.metrics.committed_epoch.store(recovered.committed.0, Ordering::Release);
    control.metrics.delivered_epoch.store(delivered.0, Ordering::Release);
    for sink in &control.metrics.sinks {
        let through = visible.get(&sink.id).copied().unwrap_or(recovered.committed);
        sink.delivered_epoch.store(through.0, Ordering::Relaxed);
    }
    let reading =
        Reading { source, out_of_orderness, idle_after, skew_max, when_quiet, order, late, hooks };
    let put_back = clock_put_back(&recovered, &reading, control, time)?;
    Ok(Beginning::Resumed(Box::new(Resumed {
        name,
        origin,
        shapes,
        reading,
        steps,
        step_ids,
        sinks,
        store,
        recovered,
        marks,
        put_back,
    })))
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

/// Refuses to go on where a sink has epochs that the store does not have.
fn refuse_sinks_ahead(
    recovered: &Recovered,
    visible: &BTreeMap<String, Epoch>,
) -> Result<(), RunError> {
    match visible.iter().find(|(_, through)| is_ahead(**through, recovered.committed)) {
        Some((sink, ahead)) => Err(RunError::SinkAhead {
            sink: sink.clone(),
            delivered: ahead.0,
            committed: recovered.committed.0,
        }),
        None => Ok(()),
    }
}

/// Refuses to go on with state of steps that the plan does not have.
fn refuse_unknown_state(
    pipeline: &str,
    recovered: &Recovered,
    step_ids: &[String],
) -> Result<(), RunError> {
    let mut known = recovered.state.keys().filter(|k| !k.starts_with("source."));
    match known.find(|step| !step_ids.contains(step)) {
        Some(step) => {
            Err(RunError::UnknownState { pipeline: pipeline.to_owned(), step: step.clone() })
        }
        None => Ok(()),
    }
}

/// Where the watermark goes back to, when it may go on by the clock and the clock of an earlier run
/// took it beyond the present. That is told.
fn clock_put_back(
    recovered: &Recovered,
    reading: &Reading,
    control: &RunControl,
    time: &dyn Clock,
) -> Result<Option<EventTime>, RunError> {
    match reading.when_quiet {
        WhenQuiet::Wait => return Ok(None),
        WhenQuiet::Clock => {}
    }
    let by_clock = time
        .wall_micros()
        .saturating_sub(reading.idle_after)
        .saturating_sub(reading.out_of_orderness)
        .saturating_sub(1);
    let saved: Option<&SavedState> = recovered.state.get(CLOCK_STEP);
    let tracker = restored_clock(saved, reading.out_of_orderness)?;
    let newest = tracker.newest_seen().map(|newest| newest.0);
    let Some(to) = put_back(tracker.watermark().0, newest, by_clock) else { return Ok(None) };
    let seconds = tracker.watermark().0.saturating_sub(to) / 1_000_000;
    control.metrics.notice("event time".to_owned())(Some(format!(
        "an earlier run's clock was wrong and took event time {seconds} s beyond the present; it \
         is put back"
    )));
    Ok(Some(EventTime(to)))
}

/// A run that was stopped while something that it needs was away: everything is as it was.
fn stopped_before(
    control: &RunControl,
    store: &Folder,
    delivered: Option<Epoch>,
) -> Result<Beginning, RunError> {
    let (generation, committed) = saved_place(store)?.unwrap_or_default();
    let delivered = delivered.unwrap_or_default().min(committed);
    control.metrics.committed_epoch.store(committed.0, Ordering::Release);
    control.metrics.delivered_epoch.store(delivered.0, Ordering::Release);
    let (resumed_after, committed) = (committed.0, committed.0);
    Ok(Beginning::Stopped(RunSummary {
        generation: generation.0,
        resumed_after,
        committed,
        delivered: delivered.0,
        stopped: true,
    }))
}
