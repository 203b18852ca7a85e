//! Accepting changed names and destinations, with which a run refuses to start: [`accept`] accepts
//! them, and [`standing`] says what there is to accept.
//!
//! What is accepted is written into the store as an epoch of its own, without rows: its header
//! holds the names as they are from then on. So it is there as a whole or not at all, and holds for
//! exactly the epochs after it.
//!
//! - **Another name or destination**: the rows of later epochs go under the new name, or to the new
//!   destination. Everything before must be delivered under the old one first.
//! - **A destination that lacks epochs which the store has no more**: they are missing for good.
//!   What the store still has is delivered.
//! - **Rows of pipelines that the configuration does not have** in a destination of a pipeline that
//!   is new: the pipeline's go there too.

use crate::contract::Delivery;
use crate::disk::Folder;
use crate::ids::Epoch;
use crate::protocol::{Gap, Missing, Origin, OriginChange, SinkMark, Writer};
use crate::runtime::clock::SystemClock;
use crate::runtime::failure::RunError;
use crate::runtime::left::{delivered_elsewhere, marks_to_go_on, missing_of};
use crate::runtime::outside::Outside;
use crate::runtime::plan::Plan;
use crate::store::{DeliveredMarks, EpochHeader, Recovered, Store};
use std::collections::BTreeMap;

/// How a plan's names and destinations stand to what the store remembers of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last committed epoch; 0 for a new store.
    pub committed: Epoch,
    /// Names that are others than the store remembers.
    pub changes: Vec<OriginChange>,
    /// Sinks whose old destination may not have everything yet, and the last epoch with rows for
    /// it. Nothing can be accepted before it has.
    pub waiting: BTreeMap<String, Epoch>,
    /// Sinks that lack epochs which the store has no more.
    pub behind: BTreeMap<String, Behind>,
    /// Of a new store: by sink, other pipelines that have rows in its destination.
    pub strangers: BTreeMap<String, Vec<Writer>>,
}

/// What a sink lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The last epoch that its destination has; 0 for none.
    pub visible: Epoch,
    /// The epochs that are missing for good.
    pub missing: Vec<Missing>,
}

impl Standing {
    /// Whether there is anything to accept.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        self.changes.is_empty() && self.behind.is_empty() && self.strangers.is_empty()
    }
}

/// How things stand. The store is claimed, as by a run, and no epoch is written.
///
/// # Errors
/// When the store is held by a program or can't be read, or a destination can't be asked.
pub fn standing(plan: Plan, store: impl Into<Folder>) -> Result<Standing, RunError> {
    Ok(look(plan, &store.into())?.standing)
}

/// Accepts the plan's names and destinations as they stand, and what is missing. Gives what was
/// accepted; where there was nothing to accept, nothing is written.
///
/// # Errors
/// As [`standing`]; or rows wait for an old destination, which must have them first.
pub fn accept(plan: Plan, store: impl Into<Folder>) -> Result<Standing, RunError> {
    let Looked { standing, origin, store, recovered } = look(plan, &store.into())?;
    if let Some((sink, last)) = standing.waiting.iter().next() {
        let was = recovered.origin.destinations.get(sink).cloned().flatten().unwrap_or_default();
        return Err(RunError::StillWaiting { sink: sink.clone(), was, last: last.0 });
    }
    if standing.is_as_before() {
        return Ok(standing);
    }
    let sinks = accepted_marks(&recovered, &origin, &standing.behind);
    let renamed = recovered.renamed_since_kept();
    // Positions and what the state means stay as they are.
    let header = EpochHeader {
        epoch: recovered.committed.next(),
        generation: store.generation(),
        steps: recovered.steps,
        origin,
        sinks,
        renamed,
        ..EpochHeader::default()
    };
    store.commit(&header, &[])?;
    let present: Vec<String> = header.origin.destinations.into_keys().collect();
    DeliveredMarks::open(store.root())?
        .begin(present.iter().map(String::as_str), recovered.committed)?;
    Ok(standing)
}

struct Looked {
    standing: Standing,
    origin: Origin,
    store: Store,
    recovered: Recovered,
}

fn look(plan: Plan, root: &Folder) -> Result<Looked, RunError> {
    let origin = plan.origin();
    let mut store = Store::open(root)?;
    let marks = DeliveredMarks::open(root)?;
    let mut deliveries: Vec<(String, Box<dyn Delivery>)> = Vec::new();
    let mut strangers = BTreeMap::new();
    for sink in plan.sinks.into_iter().chain([plan.dead_letters]) {
        if !sink.strangers.is_empty() {
            strangers.insert(sink.id.clone(), sink.strangers);
        }
        deliveries.push((sink.id, sink.delivery));
    }
    // There is no stop flag here, so the answer is never `None`.
    let visible = Outside::for_look(&SystemClock::default())
        .ask_delivered(&mut deliveries, &origin)?
        .unwrap_or_default();
    let least = visible.values().min().copied().unwrap_or(Epoch(0));
    let recovered = store.recover(least, visible.values().max().copied().unwrap_or(Epoch(0)))?;
    let mut standing = Standing { committed: recovered.committed, ..Standing::default() };
    if recovered.committed == Epoch(0) {
        standing.strangers = strangers;
        return Ok(Looked { standing, origin, store, recovered });
    }
    // A pipeline that begins anew has the names of its next run.
    let is_anew = recovered.is_begun_anew();
    if !is_anew {
        standing.changes = recovered.origin.changes(&origin);
    }
    for (sink, mark) in recovered.sinks.iter().filter(|_| !is_anew) {
        // A sink that is gone, or goes elsewhere from now on, must have delivered everything so
        // far.
        if delivered_elsewhere(&recovered, &origin, sink) && mark.newest > marks.delivered(sink) {
            standing.waiting.insert(sink.clone(), mark.newest);
        }
    }
    for (sink, through) in &visible {
        let missing = missing_of(&recovered, sink, *through, &origin);
        if !missing.is_empty() {
            standing.behind.insert(sink.clone(), Behind { visible: *through, missing });
        }
    }
    Ok(Looked { standing, origin, store, recovered })
}

/// The sinks' marks after the change is accepted: a sink that goes elsewhere has no mark yet, and
/// missing epochs become an accepted gap.
fn accepted_marks(
    recovered: &Recovered,
    present: &Origin,
    behind: &BTreeMap<String, Behind>,
) -> BTreeMap<String, SinkMark> {
    let mut marks = marks_to_go_on(recovered, present);
    for (sink, Behind { visible, missing }) in behind {
        if let (Some(mark), Some(last)) = (marks.get_mut(sink), missing.last()) {
            mark.gap = Some(Gap { after: *visible, through: last.last });
        }
    }
    marks
}
