//! Kafka topics as sinks: rows become JSON messages, each once for a reader of committed
//! transactions, or at once and at least once.
//!
//! ```text
//!   committed:    worker: rows ─▶ messages ─▶ epoch file
//!                 delivery: transactions of (messages of epochs, number of the last epoch)
//!   immediately:  worker: rows ─▶ messages ─▶ idempotent producer
//!                 committer: waits for their acknowledgement, then commits the epoch
//! ```
//! The number of the last delivered epoch is the committed offset of a consumer group of the sink's
//! own (partition 0 of the topic). It becomes visible with the messages of its transaction or not
//! at all, so that a restart asks the cluster what it has, and sends the rest. Where a broker has
//! lost the offset's half of that, the topic is read for the transactions that are there
//! ([`decide`]). The group's and the transactions' name is made from an identity that is kept in
//! the pipeline's store: a store that was made anew starts anew, and a second process on a copy of
//! it is fenced.

mod claim;
mod client;
mod decide;
mod deliver;
mod encode;
mod group;
mod hanging;
mod immediate;
mod progress;
mod proven;
mod said;
mod settings;
mod timestamps;
mod topic;
mod transaction;
mod turns;
mod window;
mod writer;

use crate::outbox::Projection;
use riskstream_engine::contract::{
    Delivery, NEEDS_NOTHING_AGAIN, Notice, OutboxEntry, SinkError, SinkWriter, SyncFiles,
};
use riskstream_engine::ids::Epoch;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub use said::{EPOCH_HEADER, TRANSACTION_HEADER};
pub use settings::setting_refused as kafka_setting_refused;

/// The header of messages that are delivered immediately: the same for the same input, so that a
/// reader can drop what it has seen.
pub const MESSAGE_ID_HEADER: &str = "message-id";

/// A topic that rows go to.
#[derive(Debug, Clone)]
pub struct KafkaSinkSpec {
    /// The sink's id.
    pub id: String,
    /// `host:port`, several with commas between.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The column of the pipeline's rows whose text is the key; none: no key.
    pub key: Option<usize>,
    /// Headers: name, and the column of the pipeline's rows whose text is the value.
    pub headers: Vec<(String, usize)>,
    /// What becomes of rows: the fields of the messages' JSON objects.
    pub projection: Projection,
    /// Further settings of librdkafka, such as those of TLS and SASL.
    pub settings: Vec<(String, String)>,
    /// What names this sink in the cluster, before the store's identity.
    pub name: String,
    /// The file that holds the store's identity; made when the sink is opened.
    pub identity: PathBuf,
    /// Columns of the pipeline's rows that say where a row came from: partition and offset. Where
    /// rows have none (windows), the message itself makes the id of what is delivered immediately.
    pub origin: Option<(usize, usize)>,
}

/// A Kafka sink.
#[derive(Debug)]
pub struct KafkaSink {
    spec: KafkaSinkSpec,
    notice: Arc<Mutex<NoticeSlot>>,
    immediate: OnceLock<Result<immediate::Immediate, String>>,
}

/// Where to say what is wrong, and who says that there is no time, once these are known.
#[derive(Default)]
pub(crate) struct NoticeSlot {
    notice: Option<Notice>,
    hurry: Option<Arc<AtomicBool>>,
    /// When the hurry was first seen.
    hurried_at: Option<Instant>,
}

/// A cluster that is there answers within this.
const HURRIED_ANSWER: Duration = Duration::from_secs(5);

impl std::fmt::Debug for NoticeSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.notice.is_some() { "told" } else { "nobody told" })
    }
}

impl NoticeSlot {
    fn tell(slot: &Mutex<Self>, what: Option<String>) {
        let notice = slot.lock().unwrap_or_else(PoisonError::into_inner).notice.clone();
        if let Some(notice) = notice {
            notice(what);
        }
    }

    /// Whether the run is to end, and has given the cluster time to answer: then nobody waits for
    /// it any longer.
    fn is_over(slot: &Mutex<Self>) -> bool {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let hurries = slot.hurry.as_ref().is_some_and(|hurry| hurry.load(Ordering::Acquire));
        hurries && slot.hurried_at.get_or_insert_with(Instant::now).elapsed() >= HURRIED_ANSWER
    }
}

impl KafkaSink {
    /// Checks the settings; nothing is connected yet.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn new(spec: KafkaSinkSpec) -> Result<Self, SinkError> {
        settings::check(&spec)?;
        Ok(Self { spec, notice: Arc::default(), immediate: OnceLock::new() })
    }

    /// The writer of one worker for delivery after the commit.
    #[must_use]
    pub fn committed_writer(self: &Arc<Self>) -> Box<dyn SinkWriter> {
        Box::new(writer::CommittedWriter::new(Arc::clone(self)))
    }

    /// The delivery after the commit.
    #[must_use]
    pub fn committed_delivery(self: &Arc<Self>) -> Box<dyn Delivery> {
        Box::new(deliver::KafkaDelivery::new(Arc::clone(self)))
    }

    /// The writer of one worker for delivery at once.
    ///
    /// # Errors
    /// The producer can't be made.
    pub fn immediate_writer(self: &Arc<Self>) -> Result<Box<dyn SinkWriter>, SinkError> {
        self.immediate()?;
        Ok(Box::new(writer::ImmediateWriter::new(Arc::clone(self))))
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

    pub(crate) fn immediate(&self) -> Result<&immediate::Immediate, SinkError> {
        let made = self
            .immediate
            .get_or_init(|| immediate::Immediate::new(&self.spec, Arc::clone(&self.notice)));
        made.as_ref().map_err(|reason| self.failed(reason.clone()))
    }

    fn failed(&self, reason: String) -> SinkError {
        failed(&self.spec, reason)
    }

    fn away(&self, reason: String) -> SinkError {
        let KafkaSinkSpec { id, topic, brokers, .. } = &self.spec;
        SinkError::Away { sink: id.clone(), object: format!("topic {topic} of {brokers}"), reason }
    }

    fn report_to(&self, notice: Notice) {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).notice = Some(notice);
    }

    fn hurry_by(&self, hurry: Arc<AtomicBool>) {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).hurry = Some(hurry);
    }

    fn tell(&self, what: Option<String>) {
        NoticeSlot::tell(&self.notice, what);
    }
}

fn failed(spec: &KafkaSinkSpec, reason: String) -> SinkError {
    SinkError::Write {
        sink: spec.id.clone(),
        object: format!("topic {} of {}", spec.topic, spec.brokers),
        reason,
    }
}

/// The other half of [`KafkaSink::immediate_writer`].
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
