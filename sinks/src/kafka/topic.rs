//! The topic as a reader of committed transactions sees it: which transactions of this sink are
//! there.

use super::client::{Reports, lacks_topic};
use super::decide::{Look, Part, Placed, Shown, Tally};
use super::group::{ANSWER_WITHIN, unanswered};
use super::notice::NoticeSlot;
use super::said::{Bounds, EPOCH_HEADER, Mark, NOTHING, Sent, TRANSACTION_HEADER, Whole};
use super::settings;
use super::sink::KafkaSink;
use super::transaction::{Copied, Trouble};
use super::window::{Hole, holes};
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long another application's open transaction is waited for before the delivery is tried
/// again.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// How long a transaction of this sink may stay open after its producers were fenced before it
/// counts as hanging. It normally ends at once; the cluster may be slow.
const HANGING_AFTER: Duration = Duration::from_secs(2);
/// How long reading the topic may go without an answer before it fails.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// How long the topic is read for the last transaction alone, where others have written much since.
/// After that the group's offset is trusted.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// After how many messages read a notice tells of it.
const MESSAGES_PER_NOTICE: usize = 65_536;

/// Positions of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Of the oldest message that is kept.
    pub(crate) first: i64,
    /// Where the next one goes.
    pub(crate) end: i64,
}

/// Partitions whose last stable offset lies before messages of this sink, with that offset.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The last stable offset is at a message of this sink: its transaction hangs.
    pub(crate) open: BTreeMap<usize, i64>,
    /// The last stable offset is at another application's transaction.
    pub(crate) hidden: BTreeMap<usize, i64>,
}

/// The topic of a sink.
pub(crate) struct Topic<'a> {
    sink: &'a KafkaSink,
    /// The name of the sink's group.
    pub(crate) name: &'a str,
    /// What each partition holds.
    pub(crate) held: Vec<Held>,
    /// None where the cluster doesn't say.
    pub(crate) compacted: Option<bool>,
}

impl<'a> Topic<'a> {
    /// Asks what the partitions hold.
    pub(crate) fn ask(
        sink: &'a KafkaSink,
        name: &'a str,
        partitions: usize,
    ) -> Result<Self, Trouble> {
        Ok(Self {
            sink,
            name,
            held: held(sink, name, partitions)?,
            compacted: compacted(sink, name),
        })
    }

    /// Asks anew what the partitions hold.
    pub(crate) fn ask_again(&mut self) -> Result<(), Trouble> {
        self.held = held(self.sink, self.name, self.held.len())?;
        Ok(())
    }

    /// Finds the partitions in which a `read_committed` consumer can't see this sink's messages
    /// yet, though all of its producers are fenced.
    pub(crate) fn standing(&self) -> Result<Standing, Trouble> {
        let stuck = self.stuck(HANGING_AFTER)?;
        let mut standing = Standing::default();
        let mut unknown = stuck.clone();
        let take = |message: &BorrowedMessage<'_>| {
            let partition = usize::try_from(message.partition()).unwrap_or(usize::MAX);
            let Some(stable) = unknown.get(&partition).copied() else { return unknown.is_empty() };
            // An older version's messages don't carry [`EPOCH_HEADER`], so what an abort would lose
            // isn't known. They are waited for.
            let can_end = self.sent(message).is_some();
            let is_ours = can_end || mark_of(self.name, message).is_some();
            if is_ours {
                let found = if can_end && message.offset() == stable {
                    &mut standing.open
                } else {
                    &mut standing.hidden
                };
                found.insert(partition, stable);
            }
            if is_ours
                || self.held.get(partition).is_none_or(|held| message.offset() + 1 >= held.end)
            {
                unknown.remove(&partition);
            }
            unknown.is_empty()
        };
        if !stuck.is_empty() {
            self.read(
                "read_uncommitted",
                |partition| stuck.get(&partition).copied(),
                take,
                Duration::MAX,
            )?;
        }
        Ok(standing)
    }

    /// Waits until readers of committed transactions have gone on from these positions.
    pub(crate) fn wait_until_past(&self, positions: &BTreeMap<usize, i64>) -> Result<(), Trouble> {
        let reader = reader(self.sink, self.name, "read_committed")?;
        let started = Instant::now();
        for (partition, position) in positions {
            while watermarks(self.sink, &reader, *partition)?.1 <= *position {
                let why = format!(
                    "partition {partition} of the topic {} has a transaction that is not decided, \
                     at offset {position}, so that what was delivered can't be seen \
                     (`kafka-transactions.sh find-hanging` tells whose it is)",
                    self.sink.spec.topic
                );
                if started.elapsed() > DECIDED_WITHIN || self.is_over() {
                    return Err(Trouble::Unknown(why));
                }
                self.sink.tell(Some(why));
                std::thread::sleep(PAUSE);
            }
        }
        self.sink.tell(None);
        Ok(())
    }

    /// Whether a `read_committed` consumer sees everything that `whole` says. It stops reading as
    /// soon as it does.
    pub(crate) fn is_whole(&self, before: &Bounds, whole: Whole) -> Result<bool, Trouble> {
        let (mut marks, mut marked, mut seen) =
            (Vec::new(), BTreeSet::new(), BTreeMap::<(u32, i64), u64>::new());
        // `unseen`: transactions of which only some messages were seen so far. `is_there`: whether
        // the marks seen so far cover all epochs of `whole`.
        let (mut unseen, mut is_there) = (BTreeMap::new(), whole.since >= whole.through);
        let take = |message: &BorrowedMessage<'_>| {
            let Some(Sent { by, through, .. }) = self.sent(message) else {
                return is_there && unseen.is_empty();
            };
            let seen = seen.entry((by, through)).or_default();
            *seen += 1;
            // All messages of a compacted topic have one.
            let mark = mark_of(self.name, message).filter(|_| marked.insert((by, through)));
            if let Some(mark) = mark {
                // An older version's mark does not say how many messages there are.
                unseen.insert((by, through), mark.sent.map_or(u64::MAX, |(_, messages)| messages));
                marks.push(mark);
                is_there = holes(&marks, whole.since, whole.through).is_empty();
            }
            if unseen.get(&(by, through)) == Some(seen) {
                unseen.remove(&(by, through));
            }
            is_there && unseen.is_empty()
        };
        self.read("read_committed", |partition| Some(before.at(partition)), take, Duration::MAX)?;
        Ok(is_there && unseen.is_empty())
    }

    /// How many messages of this sink are between positions, by transaction and partition.
    pub(crate) fn tally(&self, isolation: &str, ranges: &[Range<i64>]) -> Result<Tally, Trouble> {
        let mut tally = Tally::new();
        self.read_ours(isolation, ranges, |placed, _| {
            *tally.entry(placed.part()).or_default() += 1
        })?;
        Ok(tally)
    }

    /// The messages of this sink in `ranges` that belong to `parts`.
    pub(crate) fn placed(
        &self,
        isolation: &str,
        ranges: &[Range<i64>],
        parts: &BTreeSet<Part>,
    ) -> Result<Vec<Placed>, Trouble> {
        let mut found = Vec::new();
        self.read_ours(isolation, ranges, |placed, _| {
            found.extend(Some(placed).filter(|placed| parts.contains(&placed.part())))
        })?;
        Ok(found)
    }

    /// The wanted messages with key, payload and headers.
    pub(crate) fn copied(
        &self,
        ranges: &[Range<i64>],
        wanted: &[Placed],
    ) -> Result<Vec<Copied>, Trouble> {
        let wanted: HashSet<_> =
            wanted.iter().map(|placed| (placed.partition, placed.offset)).collect();
        let mut found = Vec::new();
        self.read_ours("read_uncommitted", ranges, |placed, message| {
            if wanted.contains(&(placed.partition, placed.offset)) {
                found.push(Copied {
                    placed,
                    key: message.key().map(<[u8]>::to_vec),
                    payload: message.payload().map(<[u8]>::to_vec),
                    headers: message.headers().map(BorrowedHeaders::detach),
                });
            }
        })?;
        Ok(found)
    }

    fn read_ours(
        &self,
        isolation: &str,
        ranges: &[Range<i64>],
        mut take: impl FnMut(Placed, &BorrowedMessage<'_>),
    ) -> Result<(), Trouble> {
        let range = |partition: usize| ranges.get(partition).filter(|range| !range.is_empty());
        let take = |message: &BorrowedMessage<'_>| {
            let (partition, offset) = (message.partition(), message.offset());
            let is_wanted = usize::try_from(partition)
                .ok()
                .and_then(range)
                .is_some_and(|range| range.contains(&offset));
            if let Some(sent) =
                self.sent(message).filter(|sent| is_wanted && sent.through != NOTHING)
            {
                take(Placed { partition, offset, sent }, message);
            }
            false
        };
        self.read(
            isolation,
            |partition| range(partition).map(|range| range.start),
            take,
            Duration::MAX,
        )
        .map(|_| ())
    }

    /// What a message of this sink says of itself.
    fn sent(&self, message: &BorrowedMessage<'_>) -> Option<Sent> {
        let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        headers.find_map(|h| Sent::read(self.name, h.value.filter(|_| h.key == EPOCH_HEADER)?))
    }

    /// Partitions whose last stable offset stays below their end even after waiting, with that
    /// offset.
    fn stuck(&self, after: Duration) -> Result<BTreeMap<usize, i64>, Trouble> {
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

    /// Epochs that should lie after `before` and that no `read_committed` consumer will ever see.
    /// Empty where messages may have been removed since.
    pub(crate) fn holes(&self, before: &Bounds, whole: Whole) -> Result<Vec<Hole>, Trouble> {
        let removed =
            self.held.iter().enumerate().any(|(partition, held)| held.first > before.at(partition));
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
    fn read_marks(
        &self,
        before: &Bounds,
        mut take: impl FnMut(Mark) -> bool,
    ) -> Result<(), Trouble> {
        let take =
            |message: &BorrowedMessage<'_>| mark_of(self.name, message).is_some_and(&mut take);
        self.read("read_committed", |partition| Some(before.at(partition)), take, Duration::MAX)
            .map(|_| ())
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
            cut: numbered()
                .find(|(partition, held)| held.end < before.at(*partition))
                .map(|(partition, _)| partition),
        };
        if shown.cut.is_some() || look == Look::No {
            return Ok(shown);
        }
        let found = |newest: &Option<Mark>| {
            matches!(
                (look, newest),
                (Look::For(through), Some(mark)) if mark.through >= through
            )
        };
        let within = if look == Look::Whole { Duration::MAX } else { LOOK_WITHIN };
        let mut read = Read { newest: None, others: false };
        let take = |message: &BorrowedMessage<'_>| {
            read.see(self.name, message, self.sent(message).is_some());
            found(&read.newest)
        };
        let is_whole =
            self.read("read_committed", |partition| Some(before.at(partition)), take, within)?;
        shown.removed |= self.compacted != Some(false) && read.others || !is_whole;
        shown.newest = read.newest;
        Ok(shown)
    }

    /// Reads partitions from the offsets that `from` gives to the end that this isolation level
    /// sees. It stops early when `take` returns true, or when the time is up, and then returns
    /// false for the time only.
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
                list.add_partition_offset(&self.sink.spec.topic, number, Offset::Offset(from))
                    .map_err(|e| self.unread(&consumer, &e))?;
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
                    return Err(Trouble::Unknown(format!(
                        "no answer in {} s to {}",
                        heard.elapsed().as_secs(),
                        self.question()
                    )));
                }
                None => continue,
                Some(Ok(message)) => {
                    is_enough = take(&message);
                    messages += 1;
                    if messages.is_multiple_of(MESSAGES_PER_NOTICE) {
                        self.sink.tell(Some(format!(
                            "the topic {} is read for what was delivered: {messages} messages",
                            self.sink.spec.topic
                        )));
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
    /// Whether there are messages of which it is not known whether they are this sink's.
    others: bool,
}

impl Read {
    fn see(&mut self, sink: &str, message: &BorrowedMessage<'_>, is_ours: bool) {
        match mark_of(sink, message) {
            Some(mark)
                if self.newest.as_ref().is_none_or(|newest| newest.through < mark.through) =>
            {
                self.newest = Some(mark)
            }
            Some(_) => {}
            None => self.others |= !is_ours,
        }
    }
}

/// What a message says of the transaction of this sink that it came with.
fn mark_of(sink: &str, message: &BorrowedMessage<'_>) -> Option<Mark> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers
        .filter(|h| h.key == TRANSACTION_HEADER)
        .filter_map(|h| Mark::read(h.value?))
        .find(|mark| mark.sink == sink)
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

pub(crate) fn watermarks(
    sink: &KafkaSink,
    reader: &BaseConsumer<Reports>,
    partition: usize,
) -> Result<(i64, i64), Trouble> {
    let number = i32::try_from(partition).unwrap_or(i32::MAX);
    reader.fetch_watermarks(&sink.spec.topic, number, ANSWER_WITHIN).map_err(|e| {
        unseen(
            reader.context(),
            &format!("where partition {partition} of the topic {} ends", sink.spec.topic),
            &e,
        )
    })
}

/// An answer that did not come, of a topic that was there when it was asked how many partitions it
/// has.
fn unseen(reports: &Reports, question: &str, error: &KafkaError) -> Trouble {
    if error.rdkafka_error_code().is_some_and(lacks_topic) {
        return Trouble::Unknown(format!("{error}, for {question}"));
    }
    unanswered(reports, question, error)
}

pub(crate) fn reader(
    sink: &KafkaSink,
    name: &str,
    isolation: &str,
) -> Result<BaseConsumer<Reports>, Trouble> {
    let mut config = settings::group(&sink.spec, name, isolation);
    config
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20");
    BaseConsumer::from_config_and_context(&config, Reports::new(Arc::clone(&sink.notice)))
        .map_err(|e| Trouble::Final(e.to_string()))
}

/// Whether the topic keeps the newest message of each key alone; none where the cluster, or what we
/// may ask, does not tell.
fn compacted(sink: &KafkaSink, name: &str) -> Option<bool> {
    let config = settings::group(&sink.spec, name, "read_committed");
    let admin =
        AdminClient::from_config_and_context(&config, Reports::new(Arc::clone(&sink.notice)))
            .ok()?;
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN));
    let answers =
        block_on(admin.describe_configs(&[ResourceSpecifier::Topic(&sink.spec.topic)], &options))
            .ok()?;
    let config = answers.into_iter().next()?.ok()?;
    let policy = config.entry_map().get("cleanup.policy")?.value.clone()?;
    Some(policy.split(',').any(|part| part.trim() == "compact"))
}
