//! What earlier runs left in the outbox of the store, before a run goes on.

use crate::contract::{Delivery, OutboxEntry, SinkError};
use crate::ids::Epoch;
use crate::protocol::{KeptMark, Missing, Origin, SinkMark, Writer, decide_reach};
use crate::runtime::failure::RunError;
use crate::store::{
    DeliveredMarks, Inspection, KeptEpoch, Recovered, StoredRows, UndeliveredEpoch,
};
use std::collections::BTreeMap;
use std::panic::resume_unwind;

/// Refuses to run when a sink is gone from the pipeline while rows may still wait for it.
pub(crate) fn refuse_sinks_gone(
    marks: &DeliveredMarks,
    outbox: &[UndeliveredEpoch],
    present: impl Fn(&str) -> bool,
) -> Result<(), RunError> {
    let gone = |sink: &str, epoch| !present(sink) && marks.may_wait(sink, epoch);
    let Some(sink) = outbox.iter().find_map(|e| e.parts.keys().find(|sink| gone(sink, e.epoch)))
    else {
        return Ok(());
    };
    let epochs = || {
        outbox
            .iter()
            .filter(|e| e.parts.contains_key(sink) && gone(sink, e.epoch))
            .map(|e| e.epoch.0)
    };
    let (first, last) = (epochs().min().unwrap_or(0), epochs().max().unwrap_or(0));
    Err(RunError::SinkGone {
        sink: sink.clone(),
        first,
        last,
        marks: marks.path().display().to_string(),
    })
}

/// Refuses to deliver under other names, or to other destinations, than the store remembers: a
/// destination would take delivered epochs for new ones, or new ones for delivered.
pub(crate) fn refuse_other_origin(recovered: &Recovered, present: &Origin) -> Result<(), RunError> {
    if recovered.committed == Epoch(0) || recovered.is_begun_anew() {
        return Ok(());
    }
    let changes = recovered.origin.changes(present);
    if changes.is_empty() {
        return Ok(());
    }
    Err(RunError::OtherOrigin { pipeline: present.pipeline.clone(), changes })
}

/// Refuses to run a new pipeline that may be an old one under another name, because rows of unknown
/// pipelines are in its destinations.
pub(crate) fn refuse_strangers(
    recovered: &Recovered,
    sinks: &[(String, Vec<Writer>)],
    present: &Origin,
) -> Result<(), RunError> {
    let is_new = recovered.committed == Epoch(0);
    let Some((sink, strangers)) =
        sinks.iter().find(|(_, strangers)| is_new && !strangers.is_empty())
    else {
        return Ok(());
    };
    Err(RunError::Strangers {
        pipeline: present.pipeline.clone(),
        sink: sink.clone(),
        destination: present.destinations.get(sink).cloned().flatten().unwrap_or_default(),
        strangers: strangers.clone(),
    })
}

/// Whether what was delivered for a sink so far went elsewhere, or under another name, than what
/// will be.
pub(crate) fn delivered_elsewhere(recovered: &Recovered, present: &Origin, sink: &str) -> bool {
    recovered.origin.remembers(sink) && !recovered.origin.delivers_as(present, sink)
}

/// What a sink lacks for good.
pub(crate) fn missing_of(
    recovered: &Recovered,
    sink: &str,
    visible: Epoch,
    present: &Origin,
) -> Vec<Missing> {
    lacks(&recovered.kept, sink, visible, present)
}

/// Refuses to run when a destination lacks epochs that the store no longer has.
pub(crate) fn refuse_sinks_behind(
    recovered: &Recovered,
    visible: &BTreeMap<String, Epoch>,
    present: &Origin,
) -> Result<(), RunError> {
    for (sink, through) in visible {
        let missing = missing_of(recovered, sink, *through, present);
        if !missing.is_empty() {
            return Err(RunError::SinkBehind {
                pipeline: present.pipeline.clone(),
                sink: sink.clone(),
                destination: present.destinations.get(sink).cloned().flatten().unwrap_or_default(),
                visible: through.0,
                missing,
            });
        }
    }
    Ok(())
}

/// What the destination of a sink lacks that has everything through `visible`, and that the store
/// can no longer give.
#[must_use]
pub fn lacks(kept: &[KeptEpoch], sink: &str, visible: Epoch, present: &Origin) -> Vec<Missing> {
    decide_reach(visible, &kept_marks(kept, sink, present))
}

/// What the store's files say of a sink. Rows that went to another destination, or under another
/// name, do not count.
fn kept_marks(kept: &[KeptEpoch], sink: &str, present: &Origin) -> Vec<KeptMark> {
    let mark = |kept: &KeptEpoch| {
        let same = kept.origin.delivers_as(present, sink);
        kept.sinks.get(sink).copied().filter(|_| same).unwrap_or_default()
    };
    kept.iter()
        .map(|k| KeptMark { epoch: k.epoch, holds_rows: k.holds_rows, mark: mark(k) })
        .collect()
}

/// The marks that a run goes on from: of sinks that it has, and that deliver as before.
pub(crate) fn marks_to_go_on(
    recovered: &Recovered,
    present: &Origin,
) -> BTreeMap<String, SinkMark> {
    let goes_on = |sink: &str| {
        present.remembers(sink)
            && (recovered.is_begun_anew() || recovered.origin.delivers_as(present, sink))
    };
    recovered
        .sinks
        .iter()
        .filter(|(sink, _)| goes_on(sink))
        .map(|(sink, mark)| (sink.clone(), *mark))
        .collect()
}

/// Makes all destinations ready, at once: each may have to write, and to wait for the disk.
pub(crate) fn prepare(deliveries: &mut [(String, Box<dyn Delivery>)]) -> Result<(), SinkError> {
    std::thread::scope(|scope| {
        let preparing: Vec<_> =
            deliveries.iter_mut().map(|(_, delivery)| scope.spawn(|| delivery.prepare())).collect();
        // A panic of a thread goes on as this one's.
        preparing
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// What [`take_over`] would say of what waits for a sink whose destination has everything through
/// `visible`; nothing is taken.
///
/// # Errors
/// When rows wait that the destination can't take any more.
pub fn check_waiting(
    found: &Inspection,
    sink: &str,
    delivery: &mut dyn Delivery,
    visible: Epoch,
    present: &Origin,
) -> Result<(), SinkError> {
    let kept = found.kept.iter().filter(|kept| kept.holds_rows);
    let origins: BTreeMap<Epoch, &Origin> = kept.map(|kept| (kept.epoch, &*kept.origin)).collect();
    for StoredRows { epoch, form, .. } in found.outbox.get(sink).into_iter().flatten() {
        if visible < *epoch
            && origins.get(epoch).is_none_or(|origin| origin.delivers_as(present, sink))
        {
            delivery.take_over(OutboxEntry { epoch: *epoch, parts: vec![form.clone()] })?;
        }
    }
    Ok(())
}

/// Leaves in the outbox what each sink still lacks, in the form that its delivery takes now.
pub(crate) fn take_over(
    recovered: &mut Recovered,
    deliveries: &mut [(String, Box<dyn Delivery>)],
    visible: &BTreeMap<String, Epoch>,
    present: &Origin,
) -> Result<(), SinkError> {
    let kept = recovered.kept.iter().filter(|kept| kept.holds_rows);
    let origins: BTreeMap<Epoch, &Origin> = kept.map(|kept| (kept.epoch, &*kept.origin)).collect();
    for UndeliveredEpoch { epoch, parts } in &mut recovered.outbox {
        // What was for another destination is not for the present one.
        let is_for =
            |sink: &str| origins.get(epoch).is_none_or(|origin| origin.delivers_as(present, sink));
        parts.retain(|sink, _| {
            visible.get(sink).is_some_and(|through| through < epoch) && is_for(sink)
        });
        for (sink, delivery) in &mut *deliveries {
            if let Some(left) = parts.remove(sink) {
                let left = delivery.take_over(OutboxEntry { epoch: *epoch, parts: left })?;
                parts.insert(sink.clone(), left.parts);
            }
        }
    }
    Ok(())
}
