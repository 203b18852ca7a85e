//! One transaction: messages, and the number of the last epoch among them; filled, then committed.
//!
//! A call that fails with a retriable error is repeated. After any other failure the next producer
//! with the same `transactional.id` finds out whether the transaction was committed, and aborts it
//! if not.

use super::client::{Reports, advice, lacks_topic};
use super::decide::Placed;
use super::encode::MessageRow;
use super::said::{EPOCH_HEADER, NOTHING, Sent, TRANSACTION_HEADER};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::util::IntoOpaque;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// A call that waits for the cluster does so for this long before it is made again.
const CALL_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks at what the cluster has answered.
const GLANCE: Duration = Duration::from_micros(300);
/// How often a retriable call is repeated; together longer than a transaction may last.
const CALLS_MAX: usize = 120;

/// A message of this sink, and what it consists of.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) placed: Placed,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// Why a transaction did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The outcome is unknown: a new producer finds it out, and may try again.
    Unknown(String),
    /// Trying again can't help.
    Final(String),
}

/// A message for the producer. `sent` becomes its [`EPOCH_HEADER`] and `mark` its
/// [`TRANSACTION_HEADER`], where given.
pub(crate) fn record<'a, O: IntoOpaque>(
    topic: &'a str,
    message: MessageRow<'a>,
    (sent, mark): (Option<&str>, Option<&str>),
    opaque: O,
) -> BaseRecord<'a, [u8], [u8], O> {
    let mut record = BaseRecord::with_opaque_to(topic, opaque).payload(message.value());
    if let Some(key) = message.key() {
        record = record.key(key);
    }
    let mut headers: Option<OwnedHeaders> = None;
    for (key, value) in message.headers() {
        headers = Some(headers.take().unwrap_or_default().insert(Header { key, value }));
    }
    for (key, value) in [(EPOCH_HEADER, sent), (TRANSACTION_HEADER, mark)] {
        if value.is_some() {
            headers = Some(headers.take().unwrap_or_default().insert(Header { key, value }));
        }
    }
    match headers {
        Some(headers) => record.headers(headers),
        None => record,
    }
}

/// The offset that a transaction commits: its last epoch, for a group and topic.
pub(crate) struct Progress<'a> {
    pub(crate) topic: &'a str,
    pub(crate) group: &'a ConsumerGroupMetadata,
    pub(crate) epoch: i64,
    /// The offset's metadata: the run, and the transaction's account.
    pub(crate) metadata: &'a str,
    /// The headers of the transaction's messages.
    pub(crate) mark: Marking<'a>,
}

/// The headers of a transaction's messages; `value` is the [`TRANSACTION_HEADER`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marking<'a> {
    pub(crate) value: &'a str,
    /// Whether all messages carry `value`, or only the first.
    pub(crate) all: bool,
    /// The [`EPOCH_HEADER`] of every message.
    pub(crate) sent: &'a str,
}

/// Begins a transaction, and sends its offset and messages. When it returns the cluster has them
/// all, and no `read_committed` consumer sees them yet.
pub(crate) fn fill<'a>(
    producer: &BaseProducer<Reports>,
    progress: &Progress<'a>,
    messages: impl Iterator<Item = MessageRow<'a>>,
) -> Result<(), Trouble> {
    // Offset and messages are sent one after the other: while the cluster adds a partition to a
    // transaction it refuses requests for another, which librdkafka repeats only after 20 or 500
    // ms. The offset goes first, since librdkafka repeats that request after `retry.backoff.ms`
    // while the cluster is still busy with the producer's last transaction.
    say(producer, progress)?;
    for (place, message) in messages.enumerate() {
        let mark = (place == 0 || progress.mark.all).then_some(progress.mark.value);
        send(producer, record(progress.topic, message, (Some(progress.mark.sent), mark), ()))?;
    }
    taken(producer)
}

/// Begins a transaction of messages that were read from the topic, each into the partition that it
/// was in. They say what they are copies of, by the `sink`'s name.
pub(crate) fn fill_copies(
    producer: &BaseProducer<Reports>,
    progress: &Progress<'_>,
    sink: &str,
    copies: &[Copied],
) -> Result<(), Trouble> {
    say(producer, progress)?;
    for copy in copies {
        let (partition, origin) = copy.placed.origin();
        let sent = Sent { copy_of: Some(origin), ..copy.placed.sent }.write(sink);
        let mut headers = OwnedHeaders::new();
        for header in copy.headers.iter().flat_map(Headers::iter) {
            let is_its_own = header.key == EPOCH_HEADER
                && header.value.is_some_and(|value| Sent::read(sink, value).is_some());
            headers = if is_its_own {
                headers.insert(Header { key: EPOCH_HEADER, value: Some(&sent) })
            } else {
                headers.insert(header)
            };
        }
        let mut record =
            BaseRecord::<[u8], [u8]>::to(progress.topic).partition(partition).headers(headers);
        if let Some(key) = &copy.key {
            record = record.key(key);
        }
        if let Some(payload) = &copy.payload {
            record = record.payload(payload);
        }
        send(producer, record)?;
    }
    taken(producer)
}

/// Waits until all messages are at the cluster.
fn taken(producer: &BaseProducer<Reports>) -> Result<(), Trouble> {
    // Waited for here, since the commit's own waiting looks only every tenth of a second.
    while producer.in_flight_count() > 0 {
        // Wakes the producer's threads, which do not see by themselves that a partition has become
        // part of the transaction.
        let _all_are_taken = producer.flush(Duration::ZERO);
        wait(producer);
        refused(producer)?;
    }
    refused(producer)
}

/// A transaction that only says up to which epoch the topic is. It replaces an offset that the
/// producer has left undecided.
pub(crate) fn say_through(
    producer: &BaseProducer<Reports>,
    (topic, group): (&str, &ConsumerGroupMetadata),
    epoch: i64,
    metadata: &str,
) -> Result<(), Trouble> {
    let mark = Marking { value: "", all: false, sent: "" };
    fill(producer, &Progress { topic, group, epoch, metadata, mark }, std::iter::empty())?;
    commit(producer)
}

/// Begins a transaction of the progress alone.
fn say(producer: &BaseProducer<Reports>, progress: &Progress<'_>) -> Result<(), Trouble> {
    producer.begin_transaction().map_err(|e| Trouble::Unknown(describe(producer, &e)))?;
    let mut offsets = TopicPartitionList::new();
    {
        let mut offset = offsets.add_partition(progress.topic, 0);
        offset
            .set_offset(Offset::Offset(progress.epoch))
            .map_err(|e| Trouble::Final(e.to_string()))?;
        offset.set_metadata(progress.metadata);
    }
    again(producer, || producer.send_offsets_to_transaction(&offsets, progress.group, CALL_WITHIN))
}

/// Sends a message into each of these partitions in a transaction, and aborts it. The abort marker
/// also ends whatever the producer has left open there. The messages name the `sink`, since their
/// own marker may get lost too.
pub(crate) fn end(
    producer: &BaseProducer<Reports>,
    (topic, sink): (&str, &str),
    partitions: impl Iterator<Item = i32>,
) -> Result<(), Trouble> {
    let sent = Sent { by: 0, through: NOTHING, copy_of: None }.write(sink);
    producer.begin_transaction().map_err(|e| Trouble::Unknown(describe(producer, &e)))?;
    for partition in partitions {
        // With a key, since a topic that is compacted takes none without.
        let headers = OwnedHeaders::new().insert(Header { key: EPOCH_HEADER, value: Some(&sent) });
        let record = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(partition)
            .key(&[])
            .payload(&[])
            .headers(headers);
        send(producer, record)?;
    }
    taken(producer)?;
    again(producer, || producer.abort_transaction(CALL_WITHIN))
}

/// Makes a filled transaction visible.
pub(crate) fn commit(producer: &BaseProducer<Reports>) -> Result<(), Trouble> {
    again(producer, || producer.commit_transaction(CALL_WITHIN))
}

/// Takes what the cluster has answered, and waits a little for more. A poll of a millisecond would
/// do so too, but it keeps the processor busy meanwhile.
pub(crate) fn wait<C: ProducerContext>(producer: &BaseProducer<C>) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::sleep(GLANCE);
    }
}

fn send(
    producer: &BaseProducer<Reports>,
    mut record: BaseRecord<'_, [u8], [u8]>,
) -> Result<(), Trouble> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                wait(producer);
                refused(producer)?;
            }
            Err((error, _)) => return Err(judge(producer, &error)),
        }
    }
}

/// Fails if a message was refused or timed out, or if the run is to end.
fn refused(producer: &BaseProducer<Reports>) -> Result<(), Trouble> {
    let Some(code) = producer.context().take_refused() else {
        let is_over = producer.context().is_over();
        return if is_over {
            Err(Trouble::Unknown(with_reason(producer, "the run ends".into())))
        } else {
            Ok(())
        };
    };
    Err(match advice(code).filter(|_| !lacks_topic(code)) {
        Some(advice) => Trouble::Final(format!("{code}: {advice}")),
        None => Trouble::Unknown(with_reason(producer, format!("a message was not taken: {code}"))),
    })
}

/// Repeats a call as long as it fails with a retriable error.
pub(crate) fn again(
    producer: &BaseProducer<Reports>,
    mut call: impl FnMut() -> Result<(), KafkaError>,
) -> Result<(), Trouble> {
    let mut calls = 0;
    loop {
        let Err(error) = call() else { return Ok(()) };
        calls += 1;
        let retriable = match &error {
            KafkaError::Transaction(e) => {
                e.is_retriable() && !e.txn_requires_abort() && !e.is_fatal()
            }
            KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => true,
            _ => false,
        };
        if !retriable || calls >= CALLS_MAX || producer.context().is_over() {
            return Err(judge(producer, &error));
        }
        producer.poll(Duration::from_millis(20));
    }
}

fn judge(producer: &BaseProducer<Reports>, error: &KafkaError) -> Trouble {
    let described = describe(producer, error);
    let code = error.rdkafka_error_code().filter(|code| !lacks_topic(*code));
    match code.and_then(advice) {
        Some(advice) => Trouble::Final(format!("{described}: {advice}")),
        None => Trouble::Unknown(described),
    }
}

fn describe(producer: &BaseProducer<Reports>, error: &KafkaError) -> String {
    match producer.client().fatal_error() {
        Some((_, reason)) => reason,
        None => with_reason(producer, error.to_string()),
    }
}

fn with_reason(producer: &BaseProducer<Reports>, what: String) -> String {
    match producer.context().reason() {
        Some(reason) => format!("{what} ({reason})"),
        None => what,
    }
}
