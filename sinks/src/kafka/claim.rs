//! Who delivers, and how far the topic is: [`Claim`] connects a run's producers.
//!
//! A run begins with a transaction without messages, sent by a producer that delivers nothing. Its
//! offset names the last epoch that the topic has, and the run. A run whose producer is fenced
//! later reads the run's name there. Another name means that another run has taken over, and the
//! fenced run stops. Its own name means that the cluster has only timed the producer out, and the
//! run goes on after the last epoch that the cluster has.

use super::client::{Ends, Reports};
use super::group::{ANSWER_WITHIN, Group, unanswered};
use super::hanging::Mender;
use super::progress::{Found, Say, find_out};
use super::proven::Prover;
use super::said::{Said, Whole, metadata};
use super::settings;
use super::sink::KafkaSink;
use super::topic::Topic;
use super::transaction::{Trouble, again, say_through};
use super::turns::{TURNS, Turns, WakeSlot};
use super::window::{Hole, Start, Window};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use riskstream_engine::disk::LocalDisk;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often the topic's metadata is asked for while the cluster is still creating the topic.
const TOPIC_ATTEMPTS: usize = 25;
const TOPIC_PAUSE: Duration = Duration::from_millis(200);

/// A run's claim to be the one that delivers.
pub(crate) struct Claim {
    /// The run's random name, written into the metadata of its offsets and into its messages'
    /// marks.
    pub(crate) run: String,
    claimed: bool,
}

/// Producers that nobody else has, and what they go on from.
pub(crate) struct Connected {
    pub(crate) turns: Turns,
    pub(crate) prover: Prover,
    pub(crate) group: ConsumerGroupMetadata,
    /// The last epoch that the topic has, or that a transaction under way brings.
    pub(crate) through: i64,
    /// Epochs up to `through` that no `read_committed` consumer will ever see, though the cluster
    /// had promised to commit them. They are delivered again.
    pub(crate) holes: Vec<Hole>,
    /// The last epoch of which the topic has messages, or of which a transaction under way brings
    /// some.
    pub(crate) marked: i64,
    /// The positions after which the sink's transactions still have to be verified.
    pub(crate) window: Arc<Window>,
    /// The end offset of each partition, as far as acknowledged messages tell.
    pub(crate) ends: Arc<Ends>,
    /// The name by which the sink's messages say whose they are.
    pub(crate) name: String,
    /// Whether every message carries the transaction's mark; otherwise only the first one does.
    pub(crate) mark_all: bool,
    /// A random number that tells this connection's messages from those of other connections.
    pub(crate) by: u32,
}

impl Claim {
    pub(crate) fn new() -> Self {
        Self { run: uuid::Uuid::new_v4().simple().to_string(), claimed: false }
    }

    /// Takes over from whoever delivered before, unless it is a run that came after this one.
    pub(crate) fn connect(
        &mut self,
        sink: &Arc<KafkaSink>,
        wake: &WakeSlot,
    ) -> Result<Connected, Trouble> {
        let spec = &sink.spec;
        let identity = identity(&spec.identity).map_err(|e| {
            Trouble::Final(format!("the store's identity {}: {e}", spec.identity.display()))
        })?;
        let name = format!("riskstream.{}.{identity}", spec.name);
        let group = Group::new(sink, &name)?;
        let reports = || Reports::new(Arc::clone(&sink.notice));
        let made = |transactional_id: &str| {
            BaseProducer::from_config_and_context(
                &settings::transactional(spec, transactional_id),
                reports(),
            )
            .map(Arc::new)
            .map_err(|e| Trouble::Final(e.to_string()))
        };
        let claimer = made(&format!("{name}.claim"))?;
        let producers = (0..TURNS)
            .map(|turn| made(&transactional_id(&name, turn)))
            .collect::<Result<Vec<_>, _>>()?;
        let partitions = wait_for_topic(&claimer, &spec.topic)?;
        // A run that has claimed before checks who delivers now, before it fences any producer. An
        // undecided offset may be the run's own, so the check does not wait for one.
        self.check_decided(&group)?;
        // `init_transactions` commits or aborts what an earlier producer of the same name left
        // open, and fences that producer. Afterwards nobody else changes the group or the topic's
        // part of this sink.
        for producer in producers.iter().chain([&claimer]) {
            again(producer, || producer.init_transactions(ANSWER_WITHIN))?;
        }
        let mut topic = Topic::ask(sink, &name, partitions)?;
        self.check_decided(&group)?;
        Mender { sink, run: &self.run, group: &group, claimer: &claimer, producers: &producers }
            .mend(&mut topic)?;
        let Found { through, by, say } = find_out(sink, &name, &group, &topic)?;
        if self.claimed {
            self.check(&by, through)?;
        }
        let Behind { first, marked, holes } =
            look_behind(&topic, group.decided()?.as_ref(), through)?;
        if let (true, Some((after, last))) = (self.claimed, holes.first()) {
            // This run's engine counts these epochs as delivered and no longer holds them. The
            // store may still hold their rows, which a new run delivers.
            return Err(Trouble::Final(format!(
                "the cluster has lost what it had promised to commit: the rows of the epochs after \
                 {after} through {last}; they are delivered again when it is started again"
            )));
        }
        if !self.claimed || say != Say::Nobody {
            let whole = Whole { since: first.since, through: marked };
            let (asked, text) =
                (group.metadata()?, metadata((&self.run, &[]), through, 0, &first.ends, whole));
            let say_by = |producer: &BaseProducer<Reports>| {
                say_through(producer, (&spec.topic, &asked), through, &text)
            };
            say_by(&claimer)?;
            // The other producers write nothing before the group shows this offset. So the group
            // always has a decided offset that names the positions to read from, and the undecided
            // offsets, which tell that the topic has to be read, stay until that offset is visible.
            group.shows(&self.run, through)?;
            if say == Say::All {
                producers.iter().try_for_each(|producer| say_by(producer))?;
            }
        }
        self.claimed = true;
        let ends = Arc::new(Ends::new(topic.ends()));
        producers.iter().for_each(|producer| producer.context().follow(&ends));
        let (group, mark_all) = (group.metadata()?, topic.compacted != Some(false));
        let window = Arc::new(Window::new(first));
        let (prover, promise) = Prover::start(sink, (&name, &self.run), through, &window, wake)?;
        let turns = Turns::new(producers, promise, wake)
            .map_err(|e| Trouble::Final(format!("no thread can be started: {e}")))?;
        let by = random();
        Ok(Connected {
            turns,
            prover,
            group,
            through,
            holes,
            marked,
            window,
            ends,
            name,
            mark_all,
            by,
        })
    }

    /// Fails if the run has claimed before and the group's decided offset names another run.
    fn check_decided(&self, group: &Group<'_>) -> Result<(), Trouble> {
        if !self.claimed {
            return Ok(());
        }
        group.decided()?.map_or(Ok(()), |said| self.check(&said.run, said.through))
    }

    fn check(&self, by: &str, through: i64) -> Result<(), Trouble> {
        if by == self.run || by.is_empty() {
            return Ok(());
        }
        Err(Trouble::Final(format!(
            "another run has taken over the delivery, and has delivered through epoch {through}; \
             this one stops (is the same store run twice?)"
        )))
    }
}

/// What the topic holds after the positions that the group's decided offset names.
struct Behind {
    /// The positions from which transactions still have to be verified.
    first: Start,
    /// The last epoch of which the topic has messages, or will have.
    marked: i64,
    holes: Vec<Hole>,
}

/// Verifies that the topic holds every epoch up to `through`, and finds those that are missing.
fn look_behind(topic: &Topic<'_>, decided: Option<&Said>, through: i64) -> Result<Behind, Trouble> {
    let here = Behind {
        first: Start { since: through, ends: topic.ends() },
        marked: through,
        holes: Vec::new(),
    };
    let account = decided.and_then(|said| said.account.as_ref());
    let Some((before, whole)) = account.and_then(|account| Some((&account.before, account.whole?)))
    else {
        return Ok(here);
    };
    let ends = topic.ends().into_iter().enumerate();
    let first = Start {
        since: whole.since.min(through),
        ends: ends.map(|(partition, end)| before.at(partition).min(end)).collect(),
    };
    // The topic can show an epoch after the decided offset only by messages of that epoch.
    let marked = if decided.is_some_and(|said| said.through < through) {
        through
    } else {
        whole.through.min(through)
    };
    let holes = match topic.holes(before, Whole { since: first.since, through: marked }) {
        // This user may not read the topic, so only the group's offset tells what was delivered.
        Err(Trouble::Final(_)) => Vec::new(),
        holes @ (Ok(_) | Err(Trouble::Unknown(_))) => holes?,
    };
    Ok(if holes.is_empty() { here } else { Behind { first, marked, holes } })
}

/// A random number for a connection; two connections practically never draw the same one.
fn random() -> u32 {
    let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The name of the producer whose turn is the `turn`th.
fn transactional_id(name: &str, turn: usize) -> String {
    if turn == 0 { name.to_owned() } else { format!("{name}.{turn}") }
}

/// Waits until the topic exists, and returns its number of partitions. With
/// `auto.create.topics.enable` the metadata request itself creates the topic, which takes a moment.
fn wait_for_topic(producer: &BaseProducer<Reports>, topic: &str) -> Result<usize, Trouble> {
    let mut asked_times = 0;
    let question = format!("which partitions the topic {topic} has");
    let asked = |error: &KafkaError| unanswered(producer.context(), &question, error);
    loop {
        let metadata =
            producer.client().fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(|e| asked(&e))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let missing = found
            .map_or(Some(RDKafkaErrorCode::UnknownTopicOrPartition), |t| t.error().map(Into::into));
        let Some(code) = missing else { return Ok(found.map_or(0, |t| t.partitions().len())) };
        asked_times += 1;
        if asked_times == TOPIC_ATTEMPTS {
            return Err(asked(&KafkaError::MetadataFetch(code)));
        }
        std::thread::sleep(TOPIC_PAUSE);
    }
}

/// The store's identity, made when there is none.
fn identity(path: &Path) -> std::io::Result<String> {
    let disk = LocalDisk::shared();
    let read = || disk.read(path).map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    match read() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        found => return found,
    }
    if let Some(folder) = path.parent() {
        disk.make_folders_durably(folder)?;
    }
    // Complete and durable before it is used: nothing delivered under it may be forgotten.
    let identity = uuid::Uuid::new_v4().simple().to_string();
    let hidden = path.with_extension(format!("{:016x}.new", disk.unique()));
    if disk.create_durably(&hidden, path, &[identity.clone().into()])? {
        Ok(identity)
    } else {
        read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store/identity");
        let made = identity(&path).expect("made");
        assert_eq!(made.len(), 32);
        assert_eq!(identity(&path).expect("read"), made);
        assert_ne!(identity(&folder.path().join("other/identity")).expect("made"), made);
    }
}
