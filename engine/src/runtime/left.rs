//! What earlier runs left in the outbox of the store, before a run goes on.

use crate::contract::{Delivery, OutboxEntry, SinkError};
use crate::ids::Epoch;
use crate::runtime::failure::RunError;
use crate::store::{DeliveredMarks, UndeliveredEpoch};
use std::collections::BTreeMap;

/// Rows that a sink never delivered must not go with the sink.
pub(crate) fn refuse_sinks_gone(
    marks: &DeliveredMarks,
    outbox: &[UndeliveredEpoch],
    present: impl Fn(&str) -> bool,
) -> Result<(), RunError> {
    let gone = |sink: &str, epoch| !present(sink) && marks.may_wait(sink, epoch);
    let Some(sink) = outbox.iter().find_map(|e| e.parts.keys().find(|sink| gone(sink, e.epoch))) else { return Ok(()) };
    let epochs = || outbox.iter().filter(|e| e.parts.contains_key(sink) && gone(sink, e.epoch)).map(|e| e.epoch.0);
    let (first, last) = (epochs().min().unwrap_or(0), epochs().max().unwrap_or(0));
    Err(RunError::SinkGone { sink: sink.clone(), first, last, marks: marks.path().display().to_string() })
}

/// Leaves in the outbox what each sink still lacks, in the form that its delivery takes now.
pub(crate) fn take_over(
    outbox: &mut [UndeliveredEpoch],
    deliveries: &mut [(String, Box<dyn Delivery>)],
    visible: &BTreeMap<String, Epoch>,
) -> Result<(), SinkError> {
    for UndeliveredEpoch { epoch, parts } in outbox {
        parts.retain(|sink, _| visible.get(sink).is_some_and(|through| through < epoch));
        for (sink, delivery) in &mut *deliveries {
            if let Some(left) = parts.remove(sink) {
                let left = delivery.take_over(OutboxEntry { epoch: *epoch, parts: left })?;
                parts.insert(sink.clone(), left.parts);
            }
        }
    }
    Ok(())
}
