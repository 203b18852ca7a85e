//! Committed epochs into the topic, each once: [`KafkaDelivery`].
//!
//! A run begins with a transaction that says up to which epoch the topic is, and who says so: the run's own mark. A producer that is fenced later
//! finds there whether another run has taken over (then it stops), or whether the cluster has only given up waiting for it (then it goes on from
//! what the cluster says it has).

use super::client::{Reports, advice};
use super::encode::MessageRow;
use super::transaction::{Progress, Trouble, again, transact};
use super::{KafkaSink, settings};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use riskstream_engine::contract::{Delivery, Notice, OutboxEntry, SinkError};
use riskstream_engine::ids::Epoch;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the cluster may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A run that is just starting gives up after so many attempts,
const START_ATTEMPTS: usize = 12;
/// one that is under way after so many: a quarter of an hour at least. What was not delivered stays in the store.
const ATTEMPTS: usize = 900;
/// A topic that is just being made is asked for so often.
const TOPIC_ATTEMPTS: usize = 25;
const TOPIC_PAUSE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct KafkaDelivery {
    sink: Arc<KafkaSink>,
    /// Marks what this run has delivered.
    run: String,
    claimed: bool,
    connected: Option<Connected>,
}

struct Connected {
    producer: BaseProducer<Reports>,
    _reader: BaseConsumer<Reports>,
    group: ConsumerGroupMetadata,
    /// The last epoch that the topic has.
    through: i64,
}

impl KafkaDelivery {
    pub(crate) fn new(sink: Arc<KafkaSink>) -> Self {
        Self { sink, run: uuid::Uuid::new_v4().simple().to_string(), claimed: false, connected: None }
    }

    /// Connects if need be, trying for as long as it may help.
    fn connect(&mut self) -> Result<(), Trouble> {
        if self.connected.is_some() {
            return Ok(());
        }
        let spec = &self.sink.spec;
        let identity =
            identity(&spec.identity).map_err(|e| Trouble::Final(format!("the store's identity {}: {e}", spec.identity.display())))?;
        let name = format!("riskstream.{}.{identity}", spec.name);
        let reports = || Reports::new(Arc::clone(&self.sink.notice));
        let made = |e: KafkaError| Trouble::Final(e.to_string());
        let reader: BaseConsumer<Reports> =
            BaseConsumer::from_config_and_context(&settings::group(spec, &name), reports()).map_err(made)?;
        let producer: BaseProducer<Reports> =
            BaseProducer::from_config_and_context(&settings::transactional(spec, &name), reports()).map_err(made)?;
        wait_for_topic(&producer, &spec.topic)?;
        // A run that has begun looks who delivers before it fences anybody.
        if self.claimed {
            self.check_claim(progress(&reader, &spec.topic).map_err(|e| asked(&producer, &e))?)?;
        }
        // Decides what an earlier producer of this name left undecided, and fences it.
        again(&producer, || producer.init_transactions(ANSWER_WITHIN))?;
        let (through, by) = progress(&reader, &spec.topic).map_err(|e| asked(&producer, &e))?;
        if self.claimed {
            self.check_claim((through, by))?;
        }
        let group = reader.group_metadata().ok_or_else(|| Trouble::Final("the group of what was delivered has no name".into()))?;
        if !self.claimed {
            let claim = Progress { topic: &spec.topic, group: &group, epoch: through, run: &self.run };
            transact(&producer, &claim, std::iter::empty())?;
            self.claimed = true;
        }
        self.connected = Some(Connected { producer, _reader: reader, group, through });
        Ok(())
    }

    fn check_claim(&self, (through, by): (i64, String)) -> Result<(), Trouble> {
        if by == self.run || by.is_empty() {
            return Ok(());
        }
        Err(Trouble::Final(format!(
            "another run has taken over the delivery, and has delivered through epoch {through}; this one stops (is the same store run twice?)"
        )))
    }

    fn attempt(&mut self, entries: &[OutboxEntry]) -> Result<(), Trouble> {
        self.connect()?;
        let Some(connected) = &mut self.connected else { return Err(Trouble::Unknown("not connected".into())) };
        let missing = || entries.iter().filter(|e| i64::try_from(e.epoch.0).unwrap_or(i64::MAX) > connected.through);
        let Some(newest) = missing().map(|e| i64::try_from(e.epoch.0).unwrap_or(i64::MAX)).max() else { return Ok(()) };
        let messages = missing().flat_map(|e| &e.parts).flat_map(|p| &p.rows).flat_map(MessageRow::all);
        let progress = Progress { topic: &self.sink.spec.topic, group: &connected.group, epoch: newest, run: &self.run };
        transact(&connected.producer, &progress, messages)?;
        connected.through = newest;
        Ok(())
    }

    /// Does something until it is done, it is clear that it can't be, or the patience is over.
    fn persist<T>(&mut self, attempts: usize, mut attempt: impl FnMut(&mut Self) -> Result<T, Trouble>) -> Result<T, SinkError> {
        let mut tried = 0;
        loop {
            let trouble = match attempt(self) {
                Ok(done) => {
                    if tried > 0 {
                        self.sink.tell(None);
                    }
                    return Ok(done);
                }
                Err(trouble) => trouble,
            };
            tried += 1;
            let reason = match trouble {
                Trouble::Final(reason) => return Err(self.sink.failed(reason)),
                Trouble::Aborted(reason) => reason,
                Trouble::Unknown(reason) => {
                    self.connected = None;
                    reason
                }
            };
            if tried >= attempts {
                return Err(self.sink.failed(format!(
                    "{reason}; given up after {tried} attempts: what was not delivered is in the store, and goes out at the next start"
                )));
            }
            self.sink.tell(Some(format!("the delivery is tried again: {reason}")));
            std::thread::sleep(PAUSE.min(Duration::from_millis(50) * tried.min(100) as u32));
        }
    }
}

/// Waits until the topic is there. Asking for it has a cluster that makes topics by itself make it, which takes a moment.
fn wait_for_topic(producer: &BaseProducer<Reports>, topic: &str) -> Result<(), Trouble> {
    let mut asked_times = 0;
    loop {
        let metadata = producer.client().fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(|e| asked(producer, &e))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let missing = found.map_or(Some(RDKafkaErrorCode::UnknownTopicOrPartition), |t| t.error().map(Into::into));
        let Some(code) = missing else { return Ok(()) };
        asked_times += 1;
        if asked_times == TOPIC_ATTEMPTS {
            return Err(asked(producer, &KafkaError::MetadataFetch(code)));
        }
        std::thread::sleep(TOPIC_PAUSE);
    }
}

/// An answer that did not come.
fn asked(producer: &BaseProducer<Reports>, error: &KafkaError) -> Trouble {
    let described = producer.context().reason().unwrap_or_else(|| error.to_string());
    match error.rdkafka_error_code().and_then(advice) {
        Some(advice) => Trouble::Final(format!("{error}: {advice}")),
        None => Trouble::Unknown(described),
    }
}

/// The last epoch that the topic has, and which run says so.
fn progress(reader: &BaseConsumer<Reports>, topic: &str) -> Result<(i64, String), KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let list = reader.committed_offsets(list, ANSWER_WITHIN)?;
    let elements = list.elements_for_topic(topic);
    let Some(element) = elements.first() else { return Ok((0, String::new())) };
    element.error()?;
    match element.offset() {
        Offset::Offset(epoch) => Ok((epoch, element.metadata().to_owned())),
        _ => Ok((0, String::new())),
    }
}

/// The store's identity, made when there is none.
fn identity(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let identity = uuid::Uuid::new_v4().simple().to_string();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Complete and durable before it is used: nothing delivered under it may be forgotten.
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(identity.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(identity)
}

impl Delivery for KafkaDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        self.persist(START_ATTEMPTS, Self::connect)?;
        let through = self.connected.as_ref().map_or(0, |c| c.through);
        Ok(u64::try_from(through).ok().filter(|epoch| *epoch > 0).map(Epoch))
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn report_to(&mut self, notice: Notice) {
        self.sink.report_to(notice);
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        self.persist(ATTEMPTS, |delivery| delivery.attempt(&entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store/identity");
        let made = identity(&path).expect("made");
        assert_eq!(made.len(), 32);
        assert_eq!(identity(&path).expect("read"), made);
        assert_ne!(identity(&folder.path().join("other/identity")).expect("made"), made);
    }
}
