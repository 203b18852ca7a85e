//! [`KafkaSource`]: a topic's partitions as partitions of a source.

use crate::decode::{CsvLayout, RecordDecoder, RecordFormat, RowRules, TOO_LONG_HEAD_BYTES};
use crate::kafka::connection::{Context, OurConsumer, Watcher, is_final};
use crate::kafka::decoder::{DecoderSpec, KafkaDecoder, PartitionNames, wanted_parts};
use crate::kafka::messages::Messages;
use crate::kafka::offsets::{Arrival, Fingerprint, arrival, check_resume, message_hash};
use crate::kafka::settings::client_config;
use crate::kafka::{KafkaSourceSpec, MessageFormat, MessagePart, StartAt};
use crate::replayed::is_replayed;
use crate::types::{is_carried, type_name};
use arrow::datatypes::{DataType, Field, Schema};
use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use riskstream_engine::contract::{
    Block, Decoder, Notice, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError,
    SourceSchema, change_fields, is_system_column,
};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long one question to the cluster may take when the source is opened,
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// for how long it is asked again before the source says that it is away,
const ASK_FOR: Duration = Duration::from_secs(5);
/// and for how long when it answers that there is no such topic, which a broker that has just
/// started may do.
const ASK_FOR_MISSING: Duration = Duration::from_secs(3);

/// Reads a topic; see the module's documentation.
pub struct KafkaSource {
    spec: KafkaSourceSpec,
    config: ClientConfig,
    decoders: Arc<DecoderSpec>,
    names: PartitionNames,
    headers: Vec<String>,
    notice: Option<Notice>,
    partitions: Vec<PartitionInfo>,
    states: Vec<State>,
    /// What was opened; none before. The queues of `states` go first when this is dropped.
    open: Option<Open>,
}

struct Open {
    watcher: Watcher,
    consumer: Arc<OurConsumer>,
    cluster: String,
}

/// A partition of ours.
enum State {
    /// Dead letters that `riskstream replay` has taken in: nothing to read.
    Replayed(Position),
    Read(Box<Reading>),
}

struct Reading {
    partition: i32,
    queue: PartitionQueue<Context>,
    expected: i64,
    fingerprint: Fingerprint,
    /// The hash that the message just before `expected` must have; none once it was verified.
    known: Option<u64>,
    /// Where it ends for this run, if it does.
    end: Option<i64>,
    /// The partition's first position was committed, or was handed to the engine for the next
    /// commit.
    begun: bool,
    caught_up: bool,
}

impl KafkaSource {
    /// Checks schema and settings; nothing is connected before [`Source::open`].
    ///
    /// # Errors
    /// When the schema is wrong (a column twice, no event time, a type that can't be carried), or
    /// librdkafka refuses a setting.
    pub fn new(spec: KafkaSourceSpec) -> Result<Self, SourceError> {
        let user = user_schema(&spec)?;
        let schema = SourceSchema::new(&user, &spec.event_time.column, &spec.ties_by)
            .map_err(|e| unreadable(&spec, "its schema", e.to_string()))?;
        let rules = Arc::new(RowRules {
            inferred: false,
            source_name: spec.name.clone(),
            schema,
            event_time_format: spec.event_time.format.clone(),
            future_skew_max_us: spec.future_skew_max_us,
            record_bytes_max: spec.record_bytes_max.max(1),
            reading: crate::decode::Reading {
                forms: spec.forms.clone(),
                time_parts: spec.event_time.parts.clone(),
            },
        });
        rules.check().map_err(|reason| unreadable(&spec, "its schema", reason))?;
        let mut parts = Vec::with_capacity(spec.parts.len());
        for (column, part) in &spec.parts {
            let index = user.index_of(column).map_err(|_| {
                unreadable(&spec, "its schema", format!("there is no column {column}"))
            })?;
            if *part == MessagePart::Timestamp
                && !matches!(user.field(index).data_type(), DataType::Timestamp(..))
            {
                return Err(unreadable(
                    &spec,
                    "its schema",
                    format!("column {column} is filled by timestamps, but isn't a timestamp"),
                ));
            }
            parts.push((index, part.clone()));
        }
        let format = match spec.format {
            MessageFormat::Json => RecordFormat::Json,
            MessageFormat::Debezium(options) => RecordFormat::Debezium(options),
            MessageFormat::Csv(marks) => {
                let from_value = (0..user.fields().len())
                    .filter(|column| !parts.iter().any(|(filled, _)| filled == column))
                    .filter(|column| rules.input(*column).is_some());
                RecordFormat::Csv(CsvLayout { marks, columns: from_value.map(Some).collect() })
            }
        };
        let format = format.in_encoding(spec.encoding);
        let config = client_config(&spec)?;
        let (parts, headers) = wanted_parts(parts.into_iter());
        let names: PartitionNames = Arc::new(RwLock::new(Vec::new()));
        let decoders = Arc::new(DecoderSpec {
            rules,
            format,
            skip_tombstones: spec.skip_tombstones,
            parts,
            names: Arc::clone(&names),
        });
        Ok(Self {
            spec,
            config,
            decoders,
            names,
            headers,
            notice: None,
            partitions: Vec::new(),
            states: Vec::new(),
            open: None,
        })
    }

    /// What rows must be.
    pub(crate) fn rules(&self) -> Arc<RowRules> {
        Arc::clone(&self.decoders.rules)
    }

    /// How values are written.
    pub(crate) fn record_format(&self) -> RecordFormat {
        self.decoders.format.clone()
    }

    /// A decoder of values, or of rows that the program has written as JSON.
    pub(crate) fn record_decoder(&self, rewritten: bool) -> Result<RecordDecoder, SourceError> {
        RecordDecoder::new(if rewritten {
            Arc::new(self.decoders.rules.of_rewritten())
        } else {
            self.rules()
        })
    }

    fn partition_name(&self, partition: i32) -> String {
        format!("{}/{partition}", self.spec.topic)
    }

    fn bug(&self, reason: String) -> SourceError {
        SourceError::Bug { source_name: self.spec.name.clone(), reason }
    }

    fn changed(&self, partition: i32, reason: String) -> SourceError {
        SourceError::Changed {
            source_name: self.spec.name.clone(),
            object: self.partition_name(partition),
            reason,
        }
    }

    /// Asks the cluster until it answers, or it is clear that it won't.
    fn ask<T>(
        &self,
        consumer: &OurConsumer,
        mut question: impl FnMut(&OurConsumer) -> Result<T, KafkaError>,
    ) -> Result<T, SourceError> {
        let started = Instant::now();
        loop {
            // What librdkafka has to say about the connection comes this way.
            let event = consumer.poll(Duration::from_millis(10));
            let said = event
                .and_then(Result::err)
                .and_then(|e| e.rdkafka_error_code())
                .filter(|code| is_final(*code));
            let error = match (said, question(consumer)) {
                (_, Ok(answer)) => {
                    self.tell(None);
                    return Ok(answer);
                }
                (Some(code), Err(_)) => return Err(self.refused(consumer, code)),
                (None, Err(error)) => error,
            };
            if let Some(code) = error.rdkafka_error_code().filter(|code| is_final(*code)) {
                return Err(self.refused(consumer, code));
            }
            if started.elapsed() >= ASK_FOR_MISSING
                && error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition)
            {
                return Err(self.refused(consumer, RDKafkaErrorCode::UnknownTopicOrPartition));
            }
            let reason = consumer.context().reason().unwrap_or_else(|| error.to_string());
            if started.elapsed() >= ASK_FOR {
                return Err(SourceError::Away {
                    source_name: self.spec.name.clone(),
                    object: format!("topic {} of {}", self.spec.topic, self.spec.brokers),
                    reason: format!(
                        "{reason}; start the cluster, or correct `brokers` and `settings`"
                    ),
                });
            }
            self.tell(Some(format!("the cluster can't be reached, and is tried again: {reason}")));
            if !matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure
                )
            ) {
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    }

    fn tell(&self, what: Option<String>) {
        if let Some(notice) = &self.notice {
            notice(what);
        }
    }

    /// The cluster has said no for good.
    fn refused(&self, consumer: &OurConsumer, code: RDKafkaErrorCode) -> SourceError {
        let reason = consumer.context().reason().unwrap_or_default();
        let advice = match code {
            RDKafkaErrorCode::UnknownTopicOrPartition => {
                "there is no such topic (any more); make it, or correct `topic`"
            }
            RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism => {
                "the cluster does not accept who we say we are; correct `settings`"
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                "we are not allowed to; have the cluster allow it"
            }
            _ => "the run can't go on",
        };
        let object = format!("topic {} of {}", self.spec.topic, self.spec.brokers);
        unreadable(
            &self.spec,
            &object,
            format!("{code}: {advice}{}{reason}", if reason.is_empty() { "" } else { " (" })
                .trim_end()
                .to_owned()
                + if reason.is_empty() { "" } else { ")" },
        )
    }

    /// How many partitions the topic has.
    fn count(&self, consumer: &OurConsumer) -> Result<usize, SourceError> {
        self.ask(consumer, |consumer| {
            let metadata = consumer.fetch_metadata(Some(&self.spec.topic), ASK_WITHIN)?;
            let topic = metadata.topics().iter().find(|t| t.name() == self.spec.topic);
            let topic = topic
                .ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition))?;
            if let Some(error) = topic.error() {
                return Err(KafkaError::MetadataFetch(error.into()));
            }
            Ok(topic.partitions().len())
        })
    }

    /// Appends a partition to be read from `resume`, or from where it is to begin.
    fn add(
        &mut self,
        open: &Open,
        partition: i32,
        resume: Option<&Position>,
        start: StartAt,
    ) -> Result<(), SourceError> {
        let consumer = &open.consumer;
        let topic = self.spec.topic.clone();
        let (low, high) = self
            .ask(consumer, |consumer| consumer.fetch_watermarks(&topic, partition, ASK_WITHIN))?;
        let (expected, fingerprint) = match resume {
            None => {
                let begin = if start == StartAt::Latest { high } else { low };
                (begin, Fingerprint { cluster: open.cluster.clone(), last: None })
            }
            Some(position) => {
                let fingerprint = Fingerprint::parse(&position.fingerprint).ok_or_else(|| {
                    self.changed(
                        partition,
                        "the store holds a position of another kind of source; start with a new \
                         data folder"
                            .into(),
                    )
                })?;
                if fingerprint.cluster != open.cluster {
                    let reason = format!(
                        "it was read from the cluster {}, and this is the cluster {}; name the \
                         brokers of the former, or start with a new data folder",
                        fingerprint.cluster, open.cluster
                    );
                    return Err(self.changed(partition, reason));
                }
                check_resume(position.next_offset, low, high)
                    .map_err(|reason| self.changed(partition, reason))?;
                (position.next_offset, fingerprint)
            }
        };
        // The last message of the earlier run is read once more, to verify that the topic still
        // holds it.
        let known = if resume.is_some() && expected > low { fingerprint.last } else { None };
        let from = if known.is_some() { expected - 1 } else { expected };
        // The queue is split off before fetching begins, so that every message of the partition
        // comes through it.
        let queue = consumer
            .split_partition_queue(&topic, partition)
            .ok_or_else(|| self.bug(format!("no queue for partition {partition}")))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Offset(from))
            .and_then(|()| consumer.incremental_assign(&list))
            .map_err(|e| unreadable(&self.spec, &self.partition_name(partition), e.to_string()))?;
        let reading = Reading {
            partition,
            queue,
            expected,
            fingerprint,
            known,
            end: self.spec.stop_at_end.then_some(high),
            begun: resume.is_some(),
            caught_up: false,
        };
        self.push(self.partition_name(partition), State::Read(Box::new(reading)));
        Ok(())
    }

    fn push(&mut self, name: String, state: State) {
        self.names.write().unwrap_or_else(PoisonError::into_inner).push(name.as_str().into());
        self.partitions.push(PartitionInfo { name });
        self.states.push(state);
    }

    /// The partition of the topic that a committed name means.
    fn number_of(&self, name: &str) -> Result<i32, SourceError> {
        name.rsplit_once('/')
            .filter(|(topic, _)| *topic == self.spec.topic)
            .and_then(|(_, number)| number.parse().ok())
            .ok_or_else(|| SourceError::Changed {
                source_name: self.spec.name.clone(),
                object: name.to_owned(),
                reason: format!(
                    "the source reads the topic {} now; start with a new data folder, or name the \
                     former topic",
                    self.spec.topic
                ),
            })
    }

    /// What librdkafka says outside of partitions.
    fn serve_events(&self, open: &Open) -> Result<(), SourceError> {
        match open.consumer.poll(Duration::ZERO) {
            None => Ok(()),
            Some(Ok(message)) => Err(self.bug(format!(
                "a message of partition {} came outside of its queue",
                message.partition()
            ))),
            Some(Err(error)) => match error.rdkafka_error_code().filter(|code| is_final(*code)) {
                Some(code) => Err(self.refused(&open.consumer, code)),
                None => Ok(()),
            },
        }
    }

    /// A partition's queue gave an error instead of a message.
    fn failed(
        &self,
        reading: &Reading,
        open: &Open,
        error: &KafkaError,
    ) -> Result<(), SourceError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let watermarks =
                    open.consumer.fetch_watermarks(&self.spec.topic, reading.partition, ASK_WITHIN);
                let reason = match watermarks {
                    Ok((low, high)) => {
                        check_resume(reading.expected, low, high).err().unwrap_or_else(|| {
                            format!(
                                "the cluster says that there is no offset {}; it holds {low} to \
                                 {high}",
                                reading.expected
                            )
                        })
                    }
                    Err(e) => format!(
                        "the cluster says that there is no offset {} any more ({e})",
                        reading.expected
                    ),
                };
                Err(self.changed(reading.partition, reason))
            }
            Some(code) if is_final(code) => Err(self.refused(&open.consumer, code)),
            // librdkafka tries again by itself, and the watcher says so.
            _ => Ok(()),
        }
    }

    fn poll_reading(
        &self,
        number: u32,
        reading: &mut Reading,
        open: &Open,
        limit: PollLimit,
    ) -> Result<Poll, SourceError> {
        if !reading.begun {
            // Where it begins is committed before anything is read: a restart must not begin
            // elsewhere.
            reading.begun = true;
            return Ok(block(number, reading.expected, reading, Messages::new(self.headers.len())));
        }
        let first_offset = reading.expected;
        let mut messages = Messages::new(self.headers.len());
        let mut newest = None;
        while messages.len() < limit.rows.max(1) && messages.bytes() < limit.bytes.max(1) {
            match reading.queue.poll(Duration::ZERO) {
                None => break,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    reading.caught_up = true;
                    break;
                }
                Some(Err(error)) => self.failed(reading, open, &error)?,
                Some(Ok(message)) => {
                    reading.caught_up = false;
                    match arrival(reading.expected, message.offset()) {
                        Arrival::Repeated => {
                            if message.offset() + 1 == reading.expected
                                && let Some(known) = reading.known.take()
                                && known != hash(&message)
                            {
                                let reason = "the last message that was read is another one now: \
                                              the topic was made anew; put it back, or start with \
                                              a new data folder";
                                return Err(self.changed(reading.partition, reason.into()));
                            }
                            continue;
                        }
                        Arrival::Next | Arrival::AfterGap(_) => reading.known = None,
                    }
                    self.take(&mut messages, &message);
                    reading.expected = message.offset() + 1;
                    newest = Some(message);
                }
            }
        }
        if let Some(newest) = newest {
            reading.fingerprint.last = Some(hash(&newest));
        }
        if messages.len() > 0 {
            return Ok(block(number, first_offset, reading, messages));
        }
        if reading.end.is_some_and(|end| reading.expected >= end || reading.caught_up) {
            return Ok(Poll::Finished(position(reading)));
        }
        // What a cluster that is away holds is not known: its partitions are not idle.
        Ok(Poll::Pending { caught_up: reading.caught_up && !open.watcher.is_away() })
    }

    fn take(&self, messages: &mut Messages, message: &BorrowedMessage<'_>) {
        let value = message.payload();
        let bytes_max = self.decoders.rules.record_bytes_max;
        let kept = if value.is_some_and(|v| v.len() > bytes_max) {
            TOO_LONG_HEAD_BYTES
        } else {
            bytes_max
        };
        messages.push(
            message.offset(),
            message.timestamp().to_millis(),
            message.key(),
            value,
            kept,
        );
        for wanted in &self.headers {
            let headers = message.headers();
            let found = headers.and_then(|h| {
                (0..h.count()).rev().map(|at| h.get(at)).find(|header| header.key == wanted)
            });
            messages.push_header(found.and_then(|header| header.value));
        }
    }
}

fn hash(message: &BorrowedMessage<'_>) -> u64 {
    message_hash(message.key(), message.payload(), message.timestamp().to_millis())
}

fn position(reading: &Reading) -> Position {
    Position {
        next_offset: reading.expected,
        finished: false,
        fingerprint: reading.fingerprint.to_string(),
    }
}

fn block(partition: u32, first_offset: i64, reading: &Reading, messages: Messages) -> Poll {
    let payload = Payload::Messages {
        rows: messages.len(),
        bytes: messages.bytes(),
        messages: Box::new(messages),
    };
    Poll::Block(Block { partition, first_offset, next: position(reading), payload, read_at: 0 })
}

fn unreadable(spec: &KafkaSourceSpec, object: &str, reason: String) -> SourceError {
    SourceError::Unreadable { source_name: spec.name.clone(), object: object.to_owned(), reason }
}

/// The user's columns.
fn user_schema(spec: &KafkaSourceSpec) -> Result<Schema, SourceError> {
    let mut fields: Vec<Field> = Vec::with_capacity(spec.schema.len());
    for (name, data_type) in &spec.schema {
        let wrong = if !is_carried(data_type) {
            format!("column {name} is {}, which a source can't carry", type_name(data_type))
        } else if fields.iter().any(|f| f.name() == name) {
            format!("column {name} is there twice")
        } else if is_system_column(name) {
            format!("column {name} has a name that the program uses itself")
        } else {
            fields.push(Field::new(name, data_type.clone(), *name != spec.event_time.column));
            continue;
        };
        return Err(unreadable(spec, "its schema", wrong));
    }
    if matches!(spec.format, MessageFormat::Debezium(_)) {
        fields.extend(change_fields());
    }
    Ok(Schema::new(fields))
}

impl Source for KafkaSource {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn schema(&self) -> &SourceSchema {
        &self.decoders.rules.schema
    }

    fn report_to(&mut self, notice: Notice) {
        self.notice = Some(notice);
    }

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        let consumer: OurConsumer =
            rdkafka::config::FromClientConfigAndContext::from_config_and_context(
                &self.config,
                Context::default(),
            )
            .map_err(|e| unreadable(&self.spec, &self.spec.brokers, e.to_string()))?;
        // An earlier attempt to open may have left partitions open; they are opened again.
        self.close();
        self.partitions.clear();
        self.names.write().unwrap_or_else(PoisonError::into_inner).clear();
        let consumer = Arc::new(consumer);
        let count = self.count(&consumer)?;
        let cluster = self.ask(&consumer, |c| {
            c.client().fetch_cluster_id(ASK_WITHIN).ok_or(KafkaError::NoMessageReceived)
        })?;
        let watcher = Watcher::start(
            Arc::clone(&consumer),
            self.spec.topic.clone(),
            count,
            self.notice.clone(),
        )
        .map_err(|e| self.bug(format!("the watcher can't be started: {e}")))?;
        let open = Open { watcher, consumer, cluster };
        for (number, (info, position)) in resume {
            if *number as usize != self.partitions.len() {
                return Err(self
                    .bug(format!("partition {number} was committed, but not the one before it")));
            }
            if is_replayed(position) {
                self.push(info.name.clone(), State::Replayed(position.clone()));
                continue;
            }
            let partition = self.number_of(&info.name)?;
            if usize::try_from(partition).is_ok_and(|p| p >= count) {
                let reason = format!(
                    "the topic has {count} partitions now: it was made anew; put it back, or start \
                     with a new data folder"
                );
                return Err(self.changed(partition, reason));
            }
            self.add(&open, partition, Some(position), self.spec.start)?;
        }
        // A partition that comes later is new to the topic, so that all of it is.
        let first_run = self.states.iter().all(|s| matches!(s, State::Replayed(_)));
        let start = if first_run { self.spec.start } else { StartAt::Earliest };
        self.open = Some(open);
        self.add_new(count, start).map(|_| ())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn endless(&self) -> bool {
        !self.spec.stop_at_end
    }

    fn discover(&mut self) -> Result<bool, SourceError> {
        let Some(open) = &self.open else { return Ok(false) };
        if open.watcher.is_gone() {
            return Err(self.refused(&open.consumer, RDKafkaErrorCode::UnknownTopicOrPartition));
        }
        if self.spec.stop_at_end {
            return Ok(false);
        }
        let count = open.watcher.partitions();
        let known = self.states.len();
        match self.add_new(count, StartAt::Earliest) {
            // The cluster went away after it had named new partitions; they are asked for again the
            // next time.
            Err(SourceError::Away { .. }) => Ok(self.states.len() > known),
            added @ (Ok(_)
            | Err(
                SourceError::Unreadable { .. }
                | SourceError::Changed { .. }
                | SourceError::Bug { .. },
            )) => added,
        }
    }

    fn committed(&mut self, positions: &BTreeMap<u32, (PartitionInfo, Position)>) {
        let Some(open) = &self.open else { return };
        let shown = positions.iter().filter_map(|(number, (_, position))| {
            match self.states.get(*number as usize) {
                Some(State::Read(reading)) => Some((reading.partition, position.next_offset)),
                Some(State::Replayed(_)) | None => None,
            }
        });
        open.watcher.show(shown);
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let number = partition as usize;
        let (Some(open), true) = (self.open.take(), number < self.states.len()) else {
            return Err(self.bug(format!("partition {partition} is not known")));
        };
        let nothing = State::Replayed(Position {
            next_offset: 0,
            finished: false,
            fingerprint: String::new(),
        });
        let mut state = std::mem::replace(&mut self.states[number], nothing);
        let polled = match &mut state {
            State::Replayed(position) => Ok(Poll::Finished(position.clone())),
            State::Read(reading) => self
                .serve_events(&open)
                .and_then(|()| self.poll_reading(partition, reading, &open, limit)),
        };
        self.states[number] = state;
        self.open = Some(open);
        polled
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(KafkaDecoder::new(Arc::clone(&self.decoders)))
    }
}

impl KafkaSource {
    /// Nothing is read any more. What was read may still be on its way to a decoder, which looks
    /// the partition's name up.
    fn close(&mut self) {
        // Queues before the consumer that they belong to.
        self.states.clear();
        self.open = None;
    }

    /// Appends the partitions that are not known yet.
    fn add_new(&mut self, count: usize, start: StartAt) -> Result<bool, SourceError> {
        let known = |states: &[State], p: i32| {
            states.iter().any(|s| matches!(s, State::Read(r) if r.partition == p))
        };
        let new: Vec<i32> = (0..count)
            .filter_map(|p| i32::try_from(p).ok())
            .filter(|p| !known(&self.states, *p))
            .collect();
        let Some(open) = self.open.take() else { return Ok(false) };
        let added = new.iter().try_for_each(|partition| self.add(&open, *partition, None, start));
        self.open = Some(open);
        added.map(|()| !new.is_empty())
    }
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSource")
            .field("name", &self.spec.name)
            .field("topic", &self.spec.topic)
            .finish_non_exhaustive()
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::TimeFormat;
    use crate::file::EventTimeSpec;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn what_was_read_is_decoded_when_the_source_is_gone() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut source = KafkaSource::new(KafkaSourceSpec {
            name: "payments".into(),
            brokers: "127.0.0.1:1".into(),
            topic: "payments".into(),
            format: MessageFormat::Json,
            encoding: crate::decode::Encoding::Utf8,
            forms: crate::decode::ValueForms::default(),
            start: StartAt::Earliest,
            stop_at_end: true,
            read_committed: true,
            skip_tombstones: false,
            group: "riskstream".into(),
            settings: Vec::new(),
            parts: Vec::new(),
            schema: vec![("id".into(), DataType::Int64), ("at".into(), time)],
            event_time: EventTimeSpec {
                column: "at".into(),
                format: TimeFormat::Auto,
                parts: Vec::new(),
            },
            ties_by: Vec::new(),
            future_skew_max_us: i64::MAX,
            record_bytes_max: 1 << 20,
        })
        .expect("a source");
        let position = Position { next_offset: 1, finished: false, fingerprint: String::new() };
        source.push("payments/0".into(), State::Replayed(position.clone()));
        let mut messages = Messages::new(0);
        messages.push(0, None, None, Some(br#"{"id": 7, "at": "2026-01-01T00:00:00Z"}"#), 1 << 20);
        let payload =
            Payload::Messages { rows: 1, bytes: messages.bytes(), messages: Box::new(messages) };
        let mut decoder = source.decoder();
        // The feed ends, and with it the source, when the last block is on its way to a worker.
        drop(source);
        let block = Block { partition: 0, first_offset: 0, next: position, payload, read_at: 0 };
        assert_eq!(decoder.decode(block).expect("decoded").rows.num_rows(), 1);
    }
}
