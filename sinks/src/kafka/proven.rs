//! Verifies that the cluster has committed what it promised to commit: [`Prover`].
//!
//! The cluster acknowledges a commit once it has recorded that it will write the commit markers
//! into the partitions. A broker that is stopped at that moment can fail to write them. So a
//! delivery counts as visible only once the group shows its offset as decided. A thread beside the
//! deliveries asks for that, for many of them at once; until then their rows stay in the store.

use super::client::Reports;
use super::group::Group;
use super::notice::NoticeSlot;
use super::sink::KafkaSink;
use super::topic::{reader, watermarks};
use super::transaction::Trouble;
use super::turns::WakeSlot;
use super::window::Window;
use rdkafka::consumer::BaseConsumer;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The group is asked at most so often.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How often the partitions' last stable offsets are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A promised commit is visible within milliseconds. One that isn't within this time has lost its
/// commit marker.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// What is proven.
#[derive(Debug)]
struct Proven {
    through: i64,
    trouble: Option<Trouble>,
}

/// Asks the group whether it shows what was promised.
#[derive(Debug)]
pub(crate) struct Prover {
    proven: Arc<Mutex<Proven>>,
}

impl Prover {
    /// Starts with everything through an epoch visible. The sender is told the last epoch of each
    /// promised transaction; once it is gone, nothing more is asked.
    pub(crate) fn start(
        sink: &Arc<KafkaSink>,
        (name, run): (&str, &str),
        through: i64,
        window: &Arc<Window>,
        wake: &WakeSlot,
    ) -> Result<(Self, Sender<i64>), Trouble> {
        let proven = Arc::new(Mutex::new(Proven { through, trouble: None }));
        let (promise, promised) = channel();
        let asking = Asking {
            sink: Arc::clone(sink),
            name: name.to_owned(),
            run: run.to_owned(),
            promised,
            proven: Arc::clone(&proven),
            window: Arc::clone(window),
            wake: wake.clone(),
        };
        let named = std::thread::Builder::new().name("kafka-proof".into());
        // It ends with the sender. Nobody waits for it, since the cluster may be away.
        let _thread = named
            .spawn(move || asking.run())
            .map_err(|e| Trouble::Final(format!("no thread can be started: {e}")))?;
        Ok((Self { proven }, promise))
    }

    /// The last epoch that is visible for certain.
    pub(crate) fn through(&self) -> Result<i64, Trouble> {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.trouble.clone().map_or(Ok(proven.through), Err)
    }
}

/// The thread's part.
struct Asking {
    sink: Arc<KafkaSink>,
    name: String,
    run: String,
    promised: Receiver<i64>,
    proven: Arc<Mutex<Proven>>,
    window: Arc<Window>,
    wake: WakeSlot,
}

impl Asking {
    fn run(self) {
        if let Err(trouble) = self.prove_all() {
            self.proven.lock().unwrap_or_else(PoisonError::into_inner).trouble = Some(trouble);
        }
        self.wake.wake();
    }

    fn prove_all(&self) -> Result<(), Trouble> {
        let group = Group::new(&self.sink, &self.name)?;
        let topic = reader(&self.sink, &self.name, "read_committed")?;
        let mut looked = Instant::now();
        while let Ok(first) = self.promised.recv() {
            let newest = self.promised.try_iter().fold(first, i64::max);
            let asked = Instant::now();
            self.prove(&group, newest)?;
            if looked.elapsed() >= LOOK_EVERY && self.window.can_move() {
                self.look(&topic);
                looked = Instant::now();
            }
            std::thread::sleep(ASK_EVERY.saturating_sub(asked.elapsed()));
        }
        Ok(())
    }

    /// Asks for the partitions' last stable offsets, and moves the window on. A failed request is
    /// repeated the next time.
    fn look(&self, topic: &BaseConsumer<Reports>) {
        let partitions = self.window.first().map_or(0, |start| start.ends.len());
        let stable = (0..partitions)
            .map(|partition| watermarks(&self.sink, topic, partition).map(|(_, stable)| stable));
        if let Ok(stable) = stable.collect::<Result<Vec<_>, _>>() {
            self.window.decided(&stable);
        }
    }

    /// Waits until the group shows an epoch.
    fn prove(&self, group: &Group<'_>, epoch: i64) -> Result<(), Trouble> {
        // Since when the cluster has answered without showing the epoch.
        let mut unseen: Option<Instant> = None;
        let mut pause = Duration::from_millis(1);
        loop {
            let before = self.through();
            if before >= epoch {
                self.wake.wake();
                return Ok(());
            }
            match group.decided() {
                Ok(said) => {
                    if let Some(said) =
                        said.filter(|said| said.run == self.run && said.through > before)
                    {
                        self.proven.lock().unwrap_or_else(PoisonError::into_inner).through =
                            said.through;
                        unseen = None;
                        continue;
                    }
                    if unseen.get_or_insert_with(Instant::now).elapsed() > SHOWN_WITHIN {
                        return Err(Trouble::Unknown(format!(
                            "the cluster has promised to commit what goes through epoch {epoch}, \
                             and the group {} does not show it",
                            self.name
                        )));
                    }
                }
                Err(Trouble::Final(reason)) => return Err(Trouble::Final(reason)),
                // The cluster is away; the time it is away does not count.
                Err(Trouble::Unknown(_)) => unseen = None,
            }
            if NoticeSlot::is_over(&self.sink.notice) {
                return Err(Trouble::Unknown("the run ends".into()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn through(&self) -> i64 {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).through
    }
}
