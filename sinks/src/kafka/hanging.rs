//! Mends hanging transactions of this sink: those whose commit markers the cluster has lost.
//!
//! A broker that is stopped at the moment of a commit can record a transaction as complete and
//! never write its commit marker into some or all of the partitions. The transaction then stays
//! open there for ever: no time-out ends it, and a `read_committed` consumer sees nothing after it.
//! Only the same producer can end it, by the marker of another transaction in the same partition.
//! If that other transaction is aborted, the hanging one is aborted with it.
//!
//! ```text
//!   partition:   … committed | hanging: epoch 143 …………………… | a message, aborted | epoch 143 again
//!                            ▲ what readers see ends here     ▲ with it ends what hangs
//! ```
//! So every hanging transaction of this sink is aborted. Where another application's open
//! transaction hides this sink's messages, the mender waits for it to end. Then it reads all that
//! this sink has written since the last position known to be complete, both visible and invisible
//! messages, and compares them: see [`decide_incomplete`] and [`decide_lost`]. Messages of
//! committed transactions that can't be seen are copied, one by one, into their own partition. Each
//! copy names its original's offset, so after a crash, or another lost marker, the copying can
//! simply be repeated. A transaction of which nothing is known to be committed is delivered again
//! from the store.

use super::client::Reports;
use super::decide::{Why, decide_incomplete, decide_lost};
use super::group::{Group, Says};
use super::progress::refused;
use super::said::{Account, Bounds, Committed, Said, Whole, metadata};
use super::sink::KafkaSink;
use super::topic::{Standing, Topic};
use super::transaction::{Copied, Marking, Progress, Trouble, commit, end, fill_copies};
use rdkafka::producer::BaseProducer;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How long a notice stays up, so that the status display has time to show it.
const TOLD_FOR: Duration = Duration::from_millis(300);

/// How often mending is repeated when the cluster loses a marker again.
const ATTEMPTS: usize = 5;

/// What mends the topic, once all producers are fenced.
pub(crate) struct Mender<'a> {
    pub(crate) sink: &'a KafkaSink,
    pub(crate) run: &'a str,
    pub(crate) group: &'a Group<'a>,
    pub(crate) claimer: &'a BaseProducer<Reports>,
    pub(crate) producers: &'a [Arc<BaseProducer<Reports>>],
}

impl Mender<'_> {
    /// Aborts hanging transactions, and copies the lost messages of committed ones. Afterwards a
    /// `read_committed` consumer sees all messages of this sink that it will ever see, and the
    /// group and the topic tell which epoch was delivered last.
    pub(crate) fn mend(&self, topic: &mut Topic<'_>) -> Result<(), Trouble> {
        for _ in 0..ATTEMPTS {
            self.decide_all(topic)?;
            if !self.copy_lost(topic)? {
                return Ok(());
            }
        }
        Err(Trouble::Unknown(format!(
            "the cluster loses the ends of transactions in the topic {} again and again",
            self.sink.spec.topic
        )))
    }

    /// Aborts hanging transactions of this sink, and waits for other applications' open
    /// transactions that hide this sink's messages.
    fn decide_all(&self, topic: &mut Topic<'_>) -> Result<(), Trouble> {
        let name = &self.sink.spec.topic;
        let before = self
            .group
            .decided()?
            .and_then(|said| said.account)
            .map_or_else(Bounds::default, |account| account.before);
        let mut ended = 0;
        while ended < ATTEMPTS {
            let Standing { open, hidden } = topic.standing()?;
            if let Some((partition, _)) =
                open.iter().find(|(partition, open)| **open < before.at(**partition))
            {
                return Err(Trouble::Final(refused(self.sink, topic.name, Why::Open(*partition))));
            }
            if !open.is_empty() {
                let partitions: Vec<_> = open.keys().collect();
                self.told(format!(
                    "partitions {partitions:?} of the topic {name} have a transaction whose end \
                     the cluster has lost; it is ended"
                ));
                self.end(topic, &open)?;
                ended += 1;
            } else if hidden.is_empty() {
                return Ok(());
            } else {
                topic.wait_until_past(&hidden)?;
            }
        }
        Err(Trouble::Unknown(format!(
            "transactions of the topic {name} are open though they were ended \
             (`kafka-transactions.sh find-hanging` tells which, and `abort` ends one)"
        )))
    }

    /// Copies the lost messages of committed transactions; false if there are none.
    fn copy_lost(&self, topic: &mut Topic<'_>) -> Result<bool, Trouble> {
        let Says { decided, undecided } = self.group.says()?;
        let Some(Said { through, account: Some(account), .. }) = decided else { return Ok(false) };
        let range = |(partition, end)| account.before.at(partition)..end;
        let ranges: Vec<Range<i64>> = topic.ends().into_iter().enumerate().map(range).collect();
        if ranges.iter().all(Range::is_empty) {
            return Ok(false);
        }
        // With an undecided offset, the topic may have more epochs than the group's decided offset
        // says.
        if let Some(whole) = account.whole.filter(|_| !undecided) {
            match topic.is_whole(&account.before, whole) {
                Ok(false) => {}
                Ok(true) => return Ok(false),
                // This user may not read the topic, and need not: no offset is undecided.
                Err(Trouble::Final(_)) => return Ok(false),
                Err(trouble) => return Err(trouble),
            }
        }
        // The visible messages are counted first, so that messages which retention removes in
        // between are not taken for lost.
        let (visible, written) =
            (topic.tally("read_committed", &ranges)?, topic.tally("read_uncommitted", &ranges)?);
        let (incomplete, committed) = decide_incomplete(&account.committed, &written, &visible);
        if incomplete.is_empty() {
            return Ok(false);
        }
        let of_these = |isolation| topic.placed(isolation, &ranges, &incomplete);
        let seen = of_these("read_committed")?;
        let lost = decide_lost(&of_these("read_uncommitted")?, &seen);
        if lost.is_empty() {
            return Ok(false);
        }
        let newest =
            visible.keys().map(|(.., through)| *through).chain([through]).max().unwrap_or(through);
        self.told(format!(
            "{} messages of the topic {}, of transactions that are committed, were lost with a \
             transaction's end; they are copied, through epoch {newest}",
            lost.len(),
            self.sink.spec.topic
        ));
        let copies = topic.copied(&ranges, &lost)?;
        self.copy(topic, &account, (newest, &committed), &copies)?;
        Ok(true)
    }

    fn told(&self, what: String) {
        self.sink.tell(Some(what));
        std::thread::sleep(TOLD_FOR);
        self.sink.tell(None);
    }

    /// Aborts whatever this sink's producers have left open in these partitions.
    fn end(&self, topic: &mut Topic<'_>, hanging: &BTreeMap<usize, i64>) -> Result<(), Trouble> {
        let partitions = || hanging.keys().filter_map(|p| i32::try_from(*p).ok());
        let producers = self.producers.iter().map(Arc::as_ref).chain([self.claimer]);
        producers.into_iter().try_for_each(|producer| {
            end(producer, (&self.sink.spec.topic, topic.name), partitions())
        })?;
        topic.ask_again()
    }

    /// Commits the copies, together with the last epoch that the topic has with them.
    fn copy(
        &self,
        topic: &mut Topic<'_>,
        account: &Account,
        (through, committed): (i64, &[Committed]),
        copies: &[Copied],
    ) -> Result<(), Trouble> {
        let since = account.whole.map_or(through, |whole| whole.since);
        let before: Vec<_> = topic
            .held
            .iter()
            .enumerate()
            .map(|(p, held)| account.before.at(p).min(held.end))
            .collect();
        let metadata =
            metadata((self.run, committed), through, 0, &before, Whole { since, through });
        let mark = Marking { value: "", all: false, sent: "" };
        let (name, group) = (&self.sink.spec.topic, &self.group.metadata()?);
        // Only the claimer writes here: the other producers' undecided offsets have to stay, since
        // they tell a later run that the topic has to be read.
        fill_copies(
            self.claimer,
            &Progress { topic: name, group, epoch: through, metadata: &metadata, mark },
            topic.name,
            copies,
        )?;
        commit(self.claimer)?;
        self.group.shows(self.run, through)?;
        topic.ask_again()
    }
}
