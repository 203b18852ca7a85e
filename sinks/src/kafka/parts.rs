//! What a sink hands to the workers, to the committer and to the delivery thread.

use super::deliver::KafkaDelivery;
use super::sink::KafkaSink;
use super::writer::{CommittedWriter, ImmediateWriter};
use riskstream_engine::contract::{
    Delivery, NEEDS_NOTHING_AGAIN, Notice, OutboxEntry, SinkError, SinkWriter, SyncFiles,
};
use riskstream_engine::ids::Epoch;
use std::sync::Arc;
use std::time::Duration;

impl KafkaSink {
    /// The writer of one worker for delivery after the commit.
    #[must_use]
    pub fn committed_writer(self: &Arc<Self>) -> Box<dyn SinkWriter> {
        Box::new(CommittedWriter::new(Arc::clone(self)))
    }

    /// The delivery after the commit.
    #[must_use]
    pub fn committed_delivery(self: &Arc<Self>) -> Box<dyn Delivery> {
        Box::new(KafkaDelivery::new(Arc::clone(self)))
    }

    /// The writer of one worker for delivery at once.
    ///
    /// # Errors
    /// The producer can't be made.
    pub fn immediate_writer(self: &Arc<Self>) -> Result<Box<dyn SinkWriter>, SinkError> {
        self.immediate()?;
        Ok(Box::new(ImmediateWriter::new(Arc::clone(self))))
    }

    /// Waits for the acknowledgement of what was sent at once; called before an epoch is committed.
    #[must_use]
    pub fn immediate_sync(self: &Arc<Self>) -> SyncFiles {
        let sink = Arc::clone(self);
        Arc::new(move |epochs| {
            let epochs = epochs.iter().filter_map(serde_json::Value::as_u64).map(Epoch);
            epochs.collect::<std::collections::BTreeSet<_>>().into_iter().try_for_each(|epoch| {
                sink.immediate()?.acknowledged(epoch).map_err(|reason| sink.failed(reason))
            })
        })
    }

    /// The delivery of what was sent at once: there is nothing left to do.
    #[must_use]
    pub fn immediate_delivery(self: &Arc<Self>) -> Box<dyn Delivery> {
        Box::new(Delivered(Arc::clone(self)))
    }
}

/// The delivery that belongs to [`KafkaSink::immediate_writer`]: its messages were sent before the
/// commit.
struct Delivered(Arc<KafkaSink>);

impl Delivery for Delivered {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        // What was committed was acknowledged before.
        Ok(Some(NEEDS_NOTHING_AGAIN))
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn report_to(&mut self, notice: Notice) {
        self.0.report_to(notice);
    }

    fn deliver(&mut self, _entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        Ok(())
    }
}
