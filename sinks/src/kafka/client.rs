//! What librdkafka reports of a producer, kept for who asks.

use super::notice::NoticeSlot;
use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Keeps the newest reason of an error, and the first message that could not be written.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    reason: Mutex<Option<String>>,
    refused: Mutex<Option<RDKafkaErrorCode>>,
    away: AtomicBool,
    notice: Arc<Mutex<NoticeSlot>>,
    ends: OnceLock<Arc<Ends>>,
}

/// Where each partition ends, as far as acknowledged messages tell.
#[derive(Debug)]
pub(crate) struct Ends(Box<[AtomicI64]>);

impl Ends {
    pub(crate) fn new(ends: Vec<i64>) -> Self {
        Self(ends.into_iter().map(AtomicI64::new).collect())
    }

    pub(crate) fn all(&self) -> Vec<i64> {
        self.0.iter().map(|end| end.load(Ordering::Acquire)).collect()
    }

    fn acknowledged(&self, partition: i32, offset: i64) {
        if let Some(end) = usize::try_from(partition).ok().and_then(|p| self.0.get(p)) {
            end.fetch_max(offset.saturating_add(1), Ordering::AcqRel);
        }
    }
}

impl Reports {
    pub(crate) fn new(notice: Arc<Mutex<NoticeSlot>>) -> Self {
        Self { notice, ..Self::default() }
    }

    /// Has `ends` follow what is acknowledged.
    pub(crate) fn follow(&self, ends: &Arc<Ends>) {
        // A producer belongs to one connection, which sets this only once.
        let _counted_before = self.ends.set(Arc::clone(ends));
    }

    /// The newest reason that librdkafka gave.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nobody waits for the cluster any longer.
    pub(crate) fn is_over(&self) -> bool {
        NoticeSlot::is_over(&self.notice)
    }

    /// Why the first of the messages that failed since the last call did.
    pub(crate) fn take_refused(&self) -> Option<RDKafkaErrorCode> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        // An answer, not a failure.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        self.away.store(true, Ordering::Release);
        NoticeSlot::tell(
            &self.notice,
            Some(format!("the cluster can't be reached, and is tried again: {reason}")),
        );
    }
}

impl ConsumerContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                if let Some(ends) = self.ends.get() {
                    ends.acknowledged(message.partition(), message.offset());
                }
                if self.away.swap(false, Ordering::AcqRel) {
                    NoticeSlot::tell(&self.notice, None);
                }
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
            }
        }
    }
}

/// The reports of a producer whose messages are counted until they are acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Counted(pub(crate) Reports);

impl ClientContext for Counted {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Counted {
    type DeliveryOpaque = Arc<AtomicUsize>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Arc<AtomicUsize>) {
        self.0.delivery(result, ());
        pending.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether the cluster says that there is no such topic or partition. A broker that is just back
/// may say so of one that is there; whether it is gone for good is seen when a delivery connects
/// anew.
pub(crate) fn lacks_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, UnknownPartition | UnknownTopic | UnknownTopicOrPartition)
}

/// Whether trying again can't help: somebody must change the configuration, or the cluster.
pub(crate) fn advice(code: RDKafkaErrorCode) -> Option<&'static str> {
    use RDKafkaErrorCode as Code;
    Some(match code {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            "the cluster does not accept who we say we are; correct `settings`"
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => {
            "we are not allowed to; have the cluster allow it"
        }
        Code::MessageSizeTooLarge => {
            "a row is too large for the topic; raise the topic's max.message.bytes (and \
             `message.max.bytes` in `settings`), or leave columns out"
        }
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::InvalidTopic => {
            "there is no such topic, and the cluster makes none by itself; make it, or correct \
             `topic`"
        }
        Code::InvalidTransactionTimeout => {
            "the cluster does not allow transactions to last that long; lower \
             `transaction.timeout.ms` in `settings`"
        }
        Code::PolicyViolation | Code::InvalidRecord => {
            "the cluster's rules do not allow such a message"
        }
        Code::UnsupportedFeature | Code::UnsupportedVersion => {
            "the cluster is too old; transactions need Kafka 2.5 or newer"
        }
        _ => return None,
    })
}
