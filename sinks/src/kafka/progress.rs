//! How far the topic is: the committed offset of the sink's own group, and who committed it.
//!
//! ```text
//!   another producer's transaction, undecided ─▶ waited for      (whoever it is, its producer is fenced first, which decides it)
//!   an offset that no transaction will decide  ─▶ cleared by a transaction of the same producer, which is aborted
//! ```
//! The second should not be there, but a cluster that gets a producer's offset after the end of its transaction may keep it for ever (KAFKA-14402; brokers
//! before 3.8, or without `transaction.partition.verification.enable`), and would answer nobody who waits for decided offsets again.

use super::client::{Reports, advice};
use super::transaction::{Progress, Trouble, abort, say};
use super::{KafkaSink, settings};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseProducer;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// How long the cluster may take for an answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the group says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The last epoch that the topic has; 0 for none.
    pub(crate) through: i64,
    /// The run that says so; empty for none.
    pub(crate) by: String,
}

/// The group that holds what was delivered.
pub(crate) struct Group<'a> {
    sink: &'a KafkaSink,
    name: &'a str,
    /// Waits for what is undecided.
    reader: BaseConsumer<Reports>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(sink: &'a KafkaSink, name: &'a str) -> Result<Self, Trouble> {
        Ok(Self { sink, name, reader: reader(sink, name, "read_committed")? })
    }

    /// What is decided by now; nothing is waited for.
    pub(crate) fn decided(&self) -> Result<Delivered, Trouble> {
        let reader = reader(self.sink, self.name, "read_uncommitted")?;
        self.ask(&reader).map_err(|e| unanswered(reader.context(), &self.question(), &e))
    }

    /// What the group says for good, once the producers that may write there are fenced; those that fenced them are given.
    pub(crate) fn settled(&self, producers: &[Arc<BaseProducer<Reports>>]) -> Result<Delivered, Trouble> {
        match self.ask(&self.reader) {
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)) => {}
            answer => return answer.map_err(|e| unanswered(self.reader.context(), &self.question(), &e)),
        }
        // Where this is not answered either, it is the cluster that doesn't answer at all.
        let decided = self.decided()?;
        let metadata = self.metadata()?;
        for producer in producers {
            // Says what is there anyway, should it ever come to be decided otherwise.
            say(producer, &Progress { topic: &self.sink.spec.topic, group: &metadata, epoch: decided.through, run: &decided.by })?;
            abort(producer)?;
        }
        self.ask(&self.reader).map_err(|e| {
            let question = format!(
                "{} (the group has an offset of a transaction that is undecided and not of this sink: `kafka-transactions.sh find-hanging` finds it)",
                self.question()
            );
            unanswered(self.reader.context(), &question, &e)
        })
    }

    /// What a transaction needs to know of the group.
    pub(crate) fn metadata(&self) -> Result<ConsumerGroupMetadata, Trouble> {
        self.reader.group_metadata().ok_or_else(|| Trouble::Final("the group of what was delivered has no name".into()))
    }

    fn question(&self) -> String {
        format!("what was delivered, asked of the group {}", self.name)
    }

    fn ask(&self, reader: &BaseConsumer<Reports>) -> Result<Delivered, KafkaError> {
        let topic = &self.sink.spec.topic;
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let list = reader.committed_offsets(list, ANSWER_WITHIN)?;
        let elements = list.elements_for_topic(topic);
        let none = Delivered { through: 0, by: String::new() };
        let Some(element) = elements.first() else { return Ok(none) };
        element.error()?;
        match element.offset() {
            Offset::Offset(through) => Ok(Delivered { through, by: element.metadata().to_owned() }),
            _ => Ok(none),
        }
    }
}

fn reader(sink: &KafkaSink, group: &str, isolation: &str) -> Result<BaseConsumer<Reports>, Trouble> {
    BaseConsumer::from_config_and_context(&settings::group(&sink.spec, group, isolation), Reports::new(Arc::clone(&sink.notice)))
        .map_err(|e| Trouble::Final(e.to_string()))
}

/// An answer that did not come: what was asked, and what librdkafka knows.
pub(crate) fn unanswered(reports: &Reports, question: &str, error: &KafkaError) -> Trouble {
    let code = error.rdkafka_error_code();
    if let Some(advice) = code.and_then(advice) {
        return Trouble::Final(format!("{error}: {advice}"));
    }
    let what = match code {
        Some(RDKafkaErrorCode::OperationTimedOut) => format!("no answer in {} s to {question}", ANSWER_WITHIN.as_secs()),
        _ => format!("{error}, for {question}"),
    };
    Trouble::Unknown(match reports.reason() {
        Some(reason) => format!("{what} ({reason})"),
        None => what,
    })
}
