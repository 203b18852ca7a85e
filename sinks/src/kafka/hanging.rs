//! Transactions of this sink that hang: the cluster has lost their ends.
//!
//! A broker that is stopped in the moment of a commit can write down that a transaction is complete, and never write its end into the partitions. It is then
//! open for ever: no time-out ends it, and a reader of committed transactions sees nothing behind it. Only its producer can end it, by the end of another
//! transaction in the same partitions.
//!
//! ```text
//!   partition:   … committed | hanging: epoch 143 …………………… | a message, aborted | epoch 143 again
//!                            ▲ what readers see ends here     ▲ with it ends what hangs
//! ```
//! Of one that nobody has seen anything of, nor of one after it, all is delivered again from the
//! store. Of one that is known to be committed, since its offset is, or other partitions show it,
//! or a later one, only what hangs is missing: that is copied, message by message, into the
//! partitions where it stands. Where it stands is said in the group before it is ended, and taken
//! back by the transaction of the copies, so that a crash anywhere only has it done once more.

use super::KafkaSink;
use super::client::Reports;
use super::decide::{Hanging, decide_hanging};
use super::group::Group;
use super::said::{Account, Bounds, Said, Whole, metadata, metadata_hanging};
use super::topic::{HANGING_AFTER, Hang, Topic};
use super::transaction::{Marking, Progress, Trouble, commit, end, fill_copies, say_through};
use rdkafka::producer::BaseProducer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What is told stands for so long, so that whoever shows it sees it.
const TOLD_FOR: Duration = Duration::from_millis(300);

/// What mends the topic, once all producers are fenced.
pub(crate) struct Mender<'a> {
    pub(crate) sink: &'a KafkaSink,
    pub(crate) run: &'a str,
    pub(crate) group: &'a Group<'a>,
    pub(crate) claimer: &'a BaseProducer<Reports>,
    pub(crate) producers: &'a [Arc<BaseProducer<Reports>>],
}

/// What is known of the sink's deliveries, and is to be said again.
struct Known {
    through: i64,
    before: Vec<i64>,
    whole: Whole,
}

impl Mender<'_> {
    /// Ends what hangs. Afterwards the group and the topic tell how far it is.
    pub(crate) fn mend(&self, topic: &mut Topic<'_>) -> Result<(), Trouble> {
        let decided = self.group.decided()?;
        let account = decided.as_ref().and_then(|said| said.account.as_ref());
        let partitions = topic.held.len();
        if let (Some(Said { through, .. }), Some(Account { hanging: Some(hanging), before, whole, .. })) = (&decided, account) {
            let ranges: Vec<_> = (0..partitions).map(|p| (hanging.from.at(p), hanging.until.at(p))).collect();
            let whole = whole.unwrap_or(Whole { since: *through, through: *through });
            let known = Known { through: *through, before: (0..partitions).map(|p| before.at(p)).collect(), whole };
            return self.copy(topic, &ranges, &known);
        }
        let Some(Hang { stuck, oldest, each }) = topic.hanging()? else { return Ok(()) };
        let before = account.map_or_else(Bounds::default, |account| account.before.clone());
        let seen = topic.visible(|partition| Some(before.at(partition)))?.into_iter().map(|(.., through)| through).max();
        let newest = decided.as_ref().map_or(0, |said| said.through).max(seen.unwrap_or(0));
        let name = &self.sink.spec.topic;
        let places: Vec<_> = stuck.keys().collect();
        match decide_hanging(oldest, newest) {
            Hanging::End => {
                self.told(format!(
                    "partitions {places:?} of the topic {name} have a transaction whose end the cluster has lost, after epoch {newest}; it is ended, and \
                     delivered again"
                ));
                self.end(topic, |partition| stuck.contains_key(&partition))
            }
            // A version that did not say so of each message: it is waited for, as for those of
            // others.
            Hanging::Copy if !each => Ok(()),
            Hanging::Copy => {
                self.told(format!(
                    "partitions {places:?} of the topic {name} have a committed transaction whose end the cluster has lost there, through epoch {newest}; it \
                     is ended, and what hangs is copied"
                ));
                let ranges: Vec<_> =
                    topic.held.iter().enumerate().map(|(p, held)| (stuck.get(&p).copied().unwrap_or(held.end), held.end)).collect();
                let whole = account.and_then(|account| account.whole).map_or(newest, |whole| whole.since);
                let before = topic.held.iter().enumerate().map(|(p, held)| before.at(p).min(held.end)).collect();
                let known = Known { through: newest, before, whole: Whole { since: whole, through: newest } };
                self.say(&known, Some(&ranges))?;
                self.copy(topic, &ranges, &known)
            }
        }
    }

    fn told(&self, what: String) {
        self.sink.tell(Some(what));
        std::thread::sleep(TOLD_FOR);
        self.sink.tell(None);
    }

    /// Whatever our producers have left open in these partitions ends.
    fn end(&self, topic: &mut Topic<'_>, is_meant: impl Fn(usize) -> bool) -> Result<(), Trouble> {
        let meant = || (0..topic.held.len()).filter(|p| is_meant(*p)).filter_map(|p| i32::try_from(p).ok());
        self.producers.iter().try_for_each(|producer| end(producer, &self.sink.spec.topic, meant()))?;
        topic.ask_again()
    }

    /// Copies what hangs in these ranges, or hung and is ended, and takes back that it does.
    fn copy(&self, topic: &mut Topic<'_>, ranges: &[(i64, i64)], known: &Known) -> Result<(), Trouble> {
        let is_meant = |partition: &usize| ranges.get(*partition).is_some_and(|(from, until)| from < until);
        self.end(topic, |partition| is_meant(&partition))?;
        if topic.stuck(HANGING_AFTER)?.keys().any(is_meant) {
            return Err(Trouble::Unknown(format!(
                "the topic {} has a transaction of somebody else that is not decided; what hangs behind it can't be seen",
                self.sink.spec.topic
            )));
        }
        let from = |partition: usize| ranges.get(partition).filter(|(from, until)| from < until).map(|(from, _)| *from);
        let until = |partition: i32| usize::try_from(partition).ok().and_then(|p| ranges.get(p)).map_or(0, |(_, until)| *until);
        let (mut seen, mut done) = (BTreeSet::new(), BTreeSet::new());
        for (partition, offset, through) in topic.visible(from)? {
            seen.insert((partition, offset));
            if offset >= until(partition) && through <= known.through {
                // The copies are there, and only their offset was lost.
                done.insert(partition);
            }
        }
        let mut copies = topic.written(ranges)?;
        copies.retain(|c| c.through <= known.through && !seen.contains(&(c.partition, c.offset)) && !done.contains(&c.partition));
        if copies.is_empty() {
            return self.say(known, None);
        }
        let Some(producer) = self.producers.first() else { return Ok(()) };
        let metadata = metadata(self.run, known.through, 0, &known.before, known.whole);
        let mark = Marking { value: "", all: false, epoch: "" };
        let (name, group) = (&self.sink.spec.topic, &self.group.metadata()?);
        fill_copies(producer, &Progress { topic: name, group, epoch: known.through, metadata: &metadata, mark }, &copies)?;
        commit(producer)?;
        self.group.shows(self.run, known.through)
    }

    /// Says how far the topic is, and what hangs.
    fn say(&self, known: &Known, ranges: Option<&[(i64, i64)]>) -> Result<(), Trouble> {
        let sides = ranges.map(|ranges| ranges.iter().copied().unzip::<i64, i64, Vec<_>, Vec<_>>());
        let hanging = sides.as_ref().map(|(from, until)| (&from[..], &until[..]));
        let metadata = metadata_hanging(self.run, (known.through, 0), &known.before, known.whole, hanging);
        say_through(self.claimer, (&self.sink.spec.topic, &self.group.metadata()?), known.through, &metadata)?;
        self.group.shows(self.run, known.through)
    }
}
