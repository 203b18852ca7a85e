//! The group of the sink's own, whose offset says how far the topic is.

use super::client::{Reports, advice};
use super::said::Said;
use super::settings;
use super::sink::KafkaSink;
use super::transaction::Trouble;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the cluster may take for an answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// An offset that is still undecided this long after its producers were fenced will never be
/// decided: their transactions have ended by then.
const DECIDED_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks for what was just committed.
const GLANCE: Duration = Duration::from_millis(5);

/// The group that holds what was delivered.
pub(crate) struct Group<'a> {
    sink: &'a KafkaSink,
    name: &'a str,
    /// Is answered with what is decided.
    reader: BaseConsumer<Reports>,
}

/// What the group says, once nobody can deliver any more.
pub(crate) struct Says {
    /// The offset that is decided; none if there is none.
    pub(crate) decided: Option<Said>,
    /// Whether there is one beside it that is not.
    pub(crate) undecided: bool,
}

impl<'a> Group<'a> {
    pub(crate) fn new(sink: &'a KafkaSink, name: &'a str) -> Result<Self, Trouble> {
        Ok(Self { sink, name, reader: reader(sink, name, "read_uncommitted")? })
    }

    /// What is decided by now; nothing is waited for.
    pub(crate) fn decided(&self) -> Result<Option<Said>, Trouble> {
        self.ask(&self.reader, ANSWER_WITHIN)
            .map_err(|e| unanswered(self.reader.context(), &self.question(), &e))
    }

    /// What the group says for good; asked after the producers that may write there have been
    /// fenced.
    pub(crate) fn says(&self) -> Result<Says, Trouble> {
        // A request that never waits goes first. If it gets no answer, the cluster is away; so a
        // time-out of the second request means that an offset is undecided.
        self.decided()?;
        let waiting = reader(self.sink, self.name, "read_committed")?;
        match self.ask(&waiting, DECIDED_WITHIN) {
            Ok(decided) => Ok(Says { decided, undecided: false }),
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)) => {
                Ok(Says { decided: self.decided()?, undecided: true })
            }
            Err(error) => Err(unanswered(waiting.context(), &self.question(), &error)),
        }
    }

    /// Waits until the group shows what a run has said outside of its deliveries.
    pub(crate) fn shows(&self, run: &str, through: i64) -> Result<(), Trouble> {
        let started = Instant::now();
        loop {
            let is_it = |said: Said| {
                said.run == run
                    && said.through == through
                    && said.account.is_some_and(|account| account.messages == 0)
            };
            if self.decided()?.is_some_and(is_it) {
                return Ok(());
            }
            if started.elapsed() > ANSWER_WITHIN {
                return Err(Trouble::Unknown(format!(
                    "the group {} does not show that the topic has epoch {through}",
                    self.name
                )));
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// What a transaction needs to know of the group.
    pub(crate) fn metadata(&self) -> Result<ConsumerGroupMetadata, Trouble> {
        self.reader
            .group_metadata()
            .ok_or_else(|| Trouble::Final("the group of what was delivered has no name".into()))
    }

    fn question(&self) -> String {
        format!("what was delivered, asked of the group {}", self.name)
    }

    fn ask(
        &self,
        reader: &BaseConsumer<Reports>,
        within: Duration,
    ) -> Result<Option<Said>, KafkaError> {
        let topic = &self.sink.spec.topic;
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let list = reader.committed_offsets(list, within)?;
        let elements = list.elements_for_topic(topic);
        let Some(element) = elements.first() else { return Ok(None) };
        element.error()?;
        match element.offset() {
            Offset::Offset(through) => Ok(Some(Said::read(through, element.metadata()))),
            _ => Ok(None),
        }
    }
}

fn reader(
    sink: &KafkaSink,
    group: &str,
    isolation: &str,
) -> Result<BaseConsumer<Reports>, Trouble> {
    BaseConsumer::from_config_and_context(
        &settings::group(&sink.spec, group, isolation),
        Reports::new(Arc::clone(&sink.notice)),
    )
    .map_err(|e| Trouble::Final(e.to_string()))
}

/// An answer that did not come: what was asked, and what librdkafka knows.
pub(crate) fn unanswered(reports: &Reports, question: &str, error: &KafkaError) -> Trouble {
    let code = error.rdkafka_error_code();
    if let Some(advice) = code.and_then(advice) {
        return Trouble::Final(format!("{error}: {advice}"));
    }
    let what = match code {
        Some(RDKafkaErrorCode::OperationTimedOut) => {
            format!("no answer in {} s to {question}", ANSWER_WITHIN.as_secs())
        }
        _ => format!("{error}, for {question}"),
    };
    Trouble::Unknown(match reports.reason() {
        Some(reason) => format!("{what} ({reason})"),
        None => what,
    })
}
