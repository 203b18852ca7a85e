//! The topic as a reader of committed transactions sees it: which transactions of this sink are there.

use super::client::{Reports, lacks_topic};
use super::decide::{Look, Shown};
use super::group::{ANSWER_WITHIN, unanswered};
use super::said::{Bounds, EPOCH_HEADER, Mark, TRANSACTION_HEADER, Whole, read_epoch};
use super::transaction::Trouble;
use super::window::{Hole, holes};
use super::{KafkaSink, NoticeSlot, settings};
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A transaction that somebody has left undecided in the topic is waited for so long, before the delivery is tried again.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// One of our own, whose producers are fenced, is decided at once. So long it is waited for, in case the cluster is slow.
pub(crate) const HANGING_AFTER: Duration = Duration::from_secs(2);
/// So long without an answer is too long.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// Only whether the last transaction is there is not looked for longer than this, where others have written much since: the group says that it is.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// What is read is told of every so many messages.
const MESSAGES_PER_NOTICE: usize = 65_536;

/// Positions of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Of the oldest message that is kept.
    pub(crate) first: i64,
    /// Where the next one goes.
    pub(crate) end: i64,
}

/// Transactions of this sink that are open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hang {
    /// The partitions in which a reader of committed transactions comes no further than to one of
    /// them, and where that is.
    pub(crate) stuck: BTreeMap<usize, i64>,
    /// The least of the last epochs of this sink's transactions behind that.
    pub(crate) oldest: i64,
    /// Whether each of their messages says whose it is.
    pub(crate) each: bool,
}

/// A message of this sink as it stands in the topic.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// The last epoch of its transaction.
    pub(crate) through: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// The topic of a sink.
pub(crate) struct Topic<'a> {
    sink: &'a KafkaSink,
    /// The name of the sink's group.
    name: &'a str,
    /// What each partition holds.
    pub(crate) held: Vec<Held>,
    /// None where the cluster doesn't say.
    pub(crate) compacted: Option<bool>,
}

impl<'a> Topic<'a> {
    /// Asks what the partitions hold.
    pub(crate) fn ask(sink: &'a KafkaSink, name: &'a str, partitions: usize) -> Result<Self, Trouble> {
        Ok(Self { sink, name, held: held(sink, name, partitions)?, compacted: compacted(sink, name) })
    }

    /// Asks anew what the partitions hold.
    pub(crate) fn ask_again(&mut self) -> Result<(), Trouble> {
        self.held = held(self.sink, self.name, self.held.len())?;
        Ok(())
    }

    /// Whether transactions of this sink are open, though nobody can write there any more.
    pub(crate) fn hanging(&self) -> Result<Option<Hang>, Trouble> {
        let mut stuck = self.stuck(HANGING_AFTER)?;
        if stuck.is_empty() {
            return Ok(None);
        }
        // What readers stand at is what is open. Behind it there may be anything, also of this
        // sink: committed, and aborted.
        let mut ours: BTreeMap<usize, i64> = BTreeMap::new();
        let mut each = true;
        let take = |message: &BorrowedMessage<'_>| {
            let partition = usize::try_from(message.partition()).unwrap_or(usize::MAX);
            let through =
                self.epoch_of(message).filter(|_| stuck.get(&partition) == Some(&message.offset()) || ours.contains_key(&partition));
            if let Some(through) = through {
                ours.entry(partition).and_modify(|oldest| *oldest = through.min(*oldest)).or_insert(through);
                each &= mark_of(self.name, message).is_none_or(|mark| mark.each);
            }
            false
        };
        self.read("read_uncommitted", |partition| stuck.get(&partition).copied(), take, LOOK_WITHIN)?;
        stuck.retain(|partition, _| ours.contains_key(partition));
        Ok(ours.into_values().min().map(|oldest| Hang { stuck, oldest, each }))
    }

    /// This sink's messages between positions of each partition, whatever becomes of them.
    pub(crate) fn written(&self, ranges: &[(i64, i64)]) -> Result<Vec<Copied>, Trouble> {
        let mut found = Vec::new();
        let take = |message: &BorrowedMessage<'_>| {
            let until = usize::try_from(message.partition()).ok().and_then(|p| ranges.get(p)).map_or(0, |(_, until)| *until);
            if let Some(through) = self.epoch_of(message).filter(|_| message.offset() < until) {
                found.push(Copied {
                    partition: message.partition(),
                    offset: message.offset(),
                    through,
                    key: message.key().map(<[u8]>::to_vec),
                    payload: message.payload().map(<[u8]>::to_vec),
                    headers: message.headers().map(BorrowedHeaders::detach),
                });
            }
            false
        };
        let from = |partition: usize| ranges.get(partition).filter(|(from, until)| from < until).map(|(from, _)| *from);
        self.read("read_uncommitted", from, take, Duration::MAX)?;
        Ok(found)
    }

    /// This sink's messages that a reader of committed transactions sees behind positions:
    /// partition, offset, and the last epoch of the transaction.
    pub(crate) fn visible(&self, from: impl Fn(usize) -> Option<i64>) -> Result<Vec<(i32, i64, i64)>, Trouble> {
        let mut found = Vec::new();
        let take = |message: &BorrowedMessage<'_>| {
            found.extend(self.epoch_of(message).map(|through| (message.partition(), message.offset(), through)));
            false
        };
        self.read("read_committed", from, take, Duration::MAX)?;
        Ok(found)
    }

    /// The last epoch of the transaction of this sink that a message came with.
    fn epoch_of(&self, message: &BorrowedMessage<'_>) -> Option<i64> {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let short = headers.filter(|h| h.key == EPOCH_HEADER).find_map(|h| read_epoch(self.name, h.value?));
        short.or_else(|| mark_of(self.name, message).map(|mark| mark.through))
    }

    /// The partitions that end for a reader of committed transactions before they do, also after a while, and where.
    pub(crate) fn stuck(&self, after: Duration) -> Result<BTreeMap<usize, i64>, Trouble> {
        let asking = reader(self.sink, self.name, "read_committed")?;
        let (mut stuck, started) = (BTreeMap::new(), Instant::now());
        for (partition, held) in self.held.iter().enumerate() {
            loop {
                let (_, stable) = watermarks(self.sink, &asking, partition)?;
                if stable >= held.end {
                    break;
                }
                if started.elapsed() >= after || self.is_over() {
                    stuck.insert(partition, stable);
                    break;
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(stuck)
    }

    /// Which epochs of those that have to be behind `before` no reader of committed transactions will ever see. None where messages may have been removed since.
    pub(crate) fn holes(&self, before: &Bounds, whole: Whole) -> Result<Vec<Hole>, Trouble> {
        let removed = self.held.iter().enumerate().any(|(partition, held)| held.first > before.at(partition));
        if removed || self.compacted != Some(false) || whole.since >= whole.through {
            return Ok(Vec::new());
        }
        let (mut marks, mut missing) = (Vec::new(), vec![(whole.since, whole.through)]);
        self.read_marks(before, |mark| {
            marks.push(mark);
            missing = holes(&marks, whole.since, whole.through);
            missing.is_empty()
        })?;
        Ok(missing)
    }

    /// Reads the marks that a reader of committed transactions sees, until it is enough.
    fn read_marks(&self, before: &Bounds, mut take: impl FnMut(Mark) -> bool) -> Result<(), Trouble> {
        let take = |message: &BorrowedMessage<'_>| mark_of(self.name, message).is_some_and(&mut take);
        self.read("read_committed", |partition| Some(before.at(partition)), take, Duration::MAX).map(|_| ())
    }

    /// Where the partitions end.
    pub(crate) fn ends(&self) -> Vec<i64> {
        self.held.iter().map(|held| held.end).collect()
    }

    /// What the topic shows from `before` on, up to where it ended when it was asked.
    pub(crate) fn shown(&self, look: Look, before: &Bounds) -> Result<Shown, Trouble> {
        let numbered = || self.held.iter().enumerate();
        let mut shown = Shown {
            newest: None,
            removed: numbered().any(|(partition, held)| held.first > before.at(partition)),
            cut: numbered().find(|(partition, held)| held.end < before.at(*partition)).map(|(partition, _)| partition),
        };
        if shown.cut.is_some() || look == Look::No {
            return Ok(shown);
        }
        let found = |newest: &Option<Mark>| matches!((look, newest), (Look::For(through), Some(mark)) if mark.through >= through);
        let within = match look {
            Look::Whole => {
                self.wait_until_decided(before)?;
                Duration::MAX
            }
            Look::For(_) | Look::No => LOOK_WITHIN,
        };
        let read_from = |before: &Bounds| {
            let mut read = Read { newest: None, others: false, is_whole: true };
            let take = |message: &BorrowedMessage<'_>| {
                read.take(self.name, message);
                found(&read.newest)
            };
            let is_whole = self.read("read_committed", |partition| Some(before.at(partition)), take, within)?;
            Ok::<_, Trouble>(Read { is_whole, ..read })
        };
        let mut read = read_from(before)?;
        if look != Look::Whole && !found(&read.newest) && read.is_whole {
            // It may be behind a transaction of somebody else.
            self.wait_until_decided(before)?;
            read = read_from(before)?;
        }
        shown.removed |= self.compacted != Some(false) && read.others || !read.is_whole;
        shown.newest = read.newest;
        Ok(shown)
    }

    /// Waits until every transaction that had begun when the topic was asked is decided: until then a reader sees nothing behind it.
    fn wait_until_decided(&self, before: &Bounds) -> Result<(), Trouble> {
        let reader = reader(self.sink, self.name, "read_committed")?;
        let started = Instant::now();
        let mut told = false;
        for (partition, held) in self.held.iter().enumerate().filter(|(partition, held)| before.at(*partition) < held.end) {
            loop {
                let (_, stable) = watermarks(self.sink, &reader, partition)?;
                if stable >= held.end {
                    break;
                }
                let why = format!(
                    "partition {partition} of the topic {} has a transaction that is not decided, at or after offset {stable}, so that what was \
                     delivered can't be seen (`kafka-transactions.sh find-hanging` tells whose it is)",
                    self.sink.spec.topic
                );
                if started.elapsed() > DECIDED_WITHIN || self.is_over() {
                    return Err(Trouble::Unknown(why));
                }
                self.sink.tell(Some(why));
                told = true;
                std::thread::sleep(PAUSE);
            }
        }
        if told {
            self.sink.tell(None);
        }
        Ok(())
    }

    /// Reads partitions from where `from` says on, to where a reader of that isolation sees their end, or until `take` says that it is enough, or time is
    /// up: then it gives false.
    fn read(
        &self,
        isolation: &str,
        from: impl Fn(usize) -> Option<i64>,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> bool,
        within: Duration,
    ) -> Result<bool, Trouble> {
        let consumer = reader(self.sink, self.name, isolation)?;
        let (mut list, mut left) = (TopicPartitionList::new(), BTreeSet::new());
        for (partition, held) in self.held.iter().enumerate() {
            let from = from(partition).map(|from| from.max(held.first));
            if let Some(from) = from.filter(|from| *from < held.end) {
                let number = i32::try_from(partition).unwrap_or(i32::MAX);
                list.add_partition_offset(&self.sink.spec.topic, number, Offset::Offset(from)).map_err(|e| self.unread(&consumer, &e))?;
                left.insert(number);
            }
        }
        consumer.assign(&list).map_err(|e| self.unread(&consumer, &e))?;
        let (mut messages, mut heard, started) = (0_usize, Instant::now(), Instant::now());
        let (mut is_whole, mut is_enough) = (true, false);
        while !left.is_empty() && !is_enough {
            if started.elapsed() > within {
                is_whole = false;
                break;
            }
            match consumer.poll(PAUSE) {
                None if heard.elapsed() > SILENCE_MAX || self.is_over() => {
                    return Err(Trouble::Unknown(format!("no answer in {} s to {}", heard.elapsed().as_secs(), self.question())));
                }
                None => continue,
                Some(Ok(message)) => {
                    is_enough = take(&message);
                    messages += 1;
                    if messages.is_multiple_of(MESSAGES_PER_NOTICE) {
                        self.sink
                            .tell(Some(format!("the topic {} is read for what was delivered: {messages} messages", self.sink.spec.topic)));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition);
                }
                Some(Err(error)) => return Err(self.unread(&consumer, &error)),
            }
            heard = Instant::now();
        }
        if messages >= MESSAGES_PER_NOTICE {
            self.sink.tell(None);
        }
        Ok(is_whole)
    }

    /// Whether the run is to end, and nobody waits any longer.
    fn is_over(&self) -> bool {
        NoticeSlot::is_over(&self.sink.notice)
    }

    fn question(&self) -> String {
        format!("what is in the topic {}", self.sink.spec.topic)
    }

    fn unread(&self, consumer: &BaseConsumer<Reports>, error: &KafkaError) -> Trouble {
        unseen(consumer.context(), &self.question(), error)
    }
}

/// What was read.
struct Read {
    newest: Option<Mark>,
    /// Whether there are messages without a mark of this sink.
    others: bool,
    /// Whether all was read that was wanted.
    is_whole: bool,
}

impl Read {
    fn take(&mut self, sink: &str, message: &BorrowedMessage<'_>) {
        match mark_of(sink, message) {
            Some(mark) if self.newest.as_ref().is_none_or(|newest| newest.through < mark.through) => self.newest = Some(mark),
            Some(_) => {}
            None => self.others = true,
        }
    }
}

/// What a message says of the transaction of this sink that it came with.
fn mark_of(sink: &str, message: &BorrowedMessage<'_>) -> Option<Mark> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.filter(|h| h.key == TRANSACTION_HEADER).filter_map(|h| Mark::read(h.value?)).find(|mark| mark.sink == sink)
}

/// What each partition holds.
fn held(sink: &KafkaSink, name: &str, partitions: usize) -> Result<Vec<Held>, Trouble> {
    let reader = reader(sink, name, "read_uncommitted")?;
    let held = |partition| {
        let (first, end) = watermarks(sink, &reader, partition)?;
        Ok(Held { first, end })
    };
    (0..partitions).map(held).collect()
}

pub(crate) fn watermarks(sink: &KafkaSink, reader: &BaseConsumer<Reports>, partition: usize) -> Result<(i64, i64), Trouble> {
    let number = i32::try_from(partition).unwrap_or(i32::MAX);
    reader
        .fetch_watermarks(&sink.spec.topic, number, ANSWER_WITHIN)
        .map_err(|e| unseen(reader.context(), &format!("where partition {partition} of the topic {} ends", sink.spec.topic), &e))
}

/// An answer that did not come, of a topic that was there when it was asked how many partitions it has.
fn unseen(reports: &Reports, question: &str, error: &KafkaError) -> Trouble {
    if error.rdkafka_error_code().is_some_and(lacks_topic) {
        return Trouble::Unknown(format!("{error}, for {question}"));
    }
    unanswered(reports, question, error)
}

pub(crate) fn reader(sink: &KafkaSink, name: &str, isolation: &str) -> Result<BaseConsumer<Reports>, Trouble> {
    let mut config = settings::group(&sink.spec, name, isolation);
    config.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "20");
    BaseConsumer::from_config_and_context(&config, Reports::new(Arc::clone(&sink.notice))).map_err(|e| Trouble::Final(e.to_string()))
}

/// Whether the topic keeps the newest message of each key alone; none where the cluster, or what we may ask, does not tell.
fn compacted(sink: &KafkaSink, name: &str) -> Option<bool> {
    let config = settings::group(&sink.spec, name, "read_committed");
    let admin = AdminClient::from_config_and_context(&config, Reports::new(Arc::clone(&sink.notice))).ok()?;
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN));
    let answers = block_on(admin.describe_configs(&[ResourceSpecifier::Topic(&sink.spec.topic)], &options)).ok()?;
    let config = answers.into_iter().next()?.ok()?;
    let policy = config.entry_map().get("cleanup.policy")?.value.clone()?;
    Some(policy.split(',').any(|part| part.trim() == "compact"))
}
