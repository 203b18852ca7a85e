//! The connection to the cluster: what librdkafka reports, and a thread that asks the cluster how
//! it is.
//!
//! The watcher is the one that may block: it looks for new partitions, notices when the cluster is
//! away and back, and shows the committed positions in Kafka. The source itself only reads what the
//! watcher has found.

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use riskstream_engine::contract::Notice;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the watcher looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row must not find the topic before it counts as gone: a broker that has just
/// come back does not know its topics yet.
const LOOKS_UNTIL_GONE: usize = 30;
/// How long it waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A consumer of ours.
pub(crate) type OurConsumer = BaseConsumer<Context>;

/// Keeps the newest reason that librdkafka gives for an error: its codes alone say little.
#[derive(Debug, Default)]
pub(crate) struct Context {
    reason: Mutex<Option<String>>,
}

impl Context {
    /// The newest reason.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn error(&self, _error: KafkaError, reason: &str) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

impl ConsumerContext for Context {}

/// Whether trying again can't help: somebody must change the configuration, or the cluster. (A
/// topic that isn't there is the watcher's matter.)
pub(crate) fn is_final(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnsupportedSASLMechanism
            | Code::InvalidTopic
            | Code::BadMessage
            | Code::BadCompression
            | Code::UnsupportedFeature
            | Code::Fatal
    )
}

/// What the watcher finds, and what it is to show.
#[derive(Debug, Default)]
struct Watched {
    partitions: AtomicUsize,
    /// The cluster did not answer the last question.
    away: AtomicBool,
    /// Looks in a row at which the cluster answered and did not know the topic.
    missing: AtomicUsize,
    /// Next offsets by partition, to be shown in Kafka.
    committed: Mutex<BTreeMap<i32, i64>>,
}

/// The watching thread; ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    watched: Arc<Watched>,
    ends: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches a topic that has `partitions` now.
    pub(crate) fn start(
        consumer: Arc<OurConsumer>,
        topic: String,
        partitions: usize,
        notice: Option<Notice>,
    ) -> std::io::Result<Self> {
        let watched =
            Arc::new(Watched { partitions: AtomicUsize::new(partitions), ..Watched::default() });
        let (ends, ended) = channel();
        let seen = Arc::clone(&watched);
        let thread = std::thread::Builder::new()
            .name("kafka-watcher".into())
            .spawn(move || watch(&consumer, &topic, &seen, notice.as_ref(), &ended))?;
        Ok(Self { watched, ends: Some(ends), thread: Some(thread) })
    }

    /// Partitions that the topic is known to have.
    pub(crate) fn partitions(&self) -> usize {
        self.watched.partitions.load(Ordering::Acquire)
    }

    /// Whether the cluster can't be reached, as far as is known.
    pub(crate) fn is_away(&self) -> bool {
        self.watched.away.load(Ordering::Acquire)
    }

    /// Whether the cluster has said for a while that there is no such topic.
    pub(crate) fn is_gone(&self) -> bool {
        self.watched.missing.load(Ordering::Acquire) >= LOOKS_UNTIL_GONE
    }

    /// Has positions shown in Kafka, some time soon.
    pub(crate) fn show(&self, positions: impl Iterator<Item = (i32, i64)>) {
        self.watched.committed.lock().unwrap_or_else(PoisonError::into_inner).extend(positions);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has nothing to say to a run that is over.
            let _ended = thread.join();
        }
    }
}

fn watch(
    consumer: &OurConsumer,
    topic: &str,
    watched: &Watched,
    notice: Option<&Notice>,
    ended: &Receiver<()>,
) {
    let mut shown = BTreeMap::new();
    loop {
        let ending = !matches!(ended.recv_timeout(WATCH_EVERY), Err(RecvTimeoutError::Timeout));
        let committed = watched.committed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if committed != shown {
            let mut list = TopicPartitionList::new();
            let listed = committed.iter().all(|(p, offset)| {
                list.add_partition_offset(topic, *p, Offset::Offset(*offset)).is_ok()
            });
            // For dashboards alone: the next commit makes good for one that fails.
            if listed && consumer.commit(&list, CommitMode::Async).is_ok() {
                shown = committed;
            }
        }
        if ending {
            return;
        }
        match consumer.fetch_metadata(Some(topic), ANSWER_WITHIN) {
            Ok(metadata) => {
                let found = metadata
                    .topics()
                    .iter()
                    .find(|t| t.name() == topic)
                    .map_or(0, |t| t.partitions().len());
                watched.partitions.fetch_max(found, Ordering::AcqRel);
                if found == 0 {
                    watched.missing.fetch_add(1, Ordering::AcqRel);
                } else {
                    watched.missing.store(0, Ordering::Release);
                }
                if watched.away.swap(false, Ordering::AcqRel)
                    && let Some(notice) = notice
                {
                    notice(None);
                }
            }
            Err(error) => {
                watched.away.store(true, Ordering::Release);
                if let Some(notice) = notice {
                    let reason = consumer.context().reason().unwrap_or_else(|| error.to_string());
                    notice(Some(format!(
                        "the cluster can't be reached, and is tried again: {reason}"
                    )));
                }
            }
        }
    }
}
