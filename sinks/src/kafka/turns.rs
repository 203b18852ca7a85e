//! Producers of transactions that take turns: while one's transaction is committed, the next one's
//! is filled.
//!
//! ```text
//!   delivery: fill 1 ─▶ fill 2 ─▶ fill 3 ─▶
//!   thread:          commit 1 ─▶ commit 2 ─▶ commit 3 ─▶ outcomes
//! ```
//! Filling and committing both keep the order of the epochs, so the topic and the group's offset
//! have the same order. After a failed commit no later transaction is committed.

use super::client::Reports;
use super::encode::MessageRow;
use super::transaction::{Progress, Trouble, commit, fill};
use rdkafka::producer::BaseProducer;
use riskstream_engine::contract::Wake;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Transactions at once: one that is filled, one that is committed.
const AT_ONCE: usize = 2;
/// One producer more than that: the cluster is busy with a transaction for a moment after it has
/// promised to commit it, and lets its producer wait.
pub(crate) const TURNS: usize = AT_ONCE + 1;

/// The engine's callback that wakes its delivery thread, once the engine has set it.
#[derive(Clone, Default)]
pub(crate) struct WakeSlot(Arc<OnceLock<Wake>>);

impl WakeSlot {
    pub(crate) fn set(&self, wake: Wake) {
        // The contract is that there is one.
        let _told_before = self.0.set(wake);
    }

    pub(crate) fn wake(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

/// What the thread has to do in its turn.
struct Turn {
    /// Its last epoch.
    epoch: i64,
    /// Whose transaction is committed; none where there is nothing to commit.
    producer: Option<Arc<BaseProducer<Reports>>>,
}

pub(crate) struct Turns {
    producers: Vec<Arc<BaseProducer<Reports>>>,
    /// Transactions that were filled so far.
    taken: usize,
    /// Turns whose outcome was not asked for.
    waiting: usize,
    /// None once no more come.
    turns: Option<Sender<Turn>>,
    outcomes: Receiver<Result<(), Trouble>>,
    thread: Option<JoinHandle<()>>,
}

impl Turns {
    /// `committed` is told the last epoch of every transaction that the cluster has promised to
    /// commit.
    pub(crate) fn new(
        producers: Vec<Arc<BaseProducer<Reports>>>,
        committed: Sender<i64>,
        wake: &WakeSlot,
    ) -> std::io::Result<Self> {
        let ((turns, to_do), (said, outcomes)) = (channel(), channel());
        let wake = wake.clone();
        let named = std::thread::Builder::new().name("kafka-commit".into());
        let thread = named.spawn(move || commit_in_turn(&to_do, &said, &committed, &wake))?;
        Ok(Self {
            producers,
            taken: 0,
            waiting: 0,
            turns: Some(turns),
            outcomes,
            thread: Some(thread),
        })
    }

    /// Fills the next producer's transaction, which is committed after those before it. First waits
    /// until at most one earlier transaction is uncommitted.
    pub(crate) fn begin<'a>(
        &mut self,
        progress: &Progress<'a>,
        messages: impl Iterator<Item = MessageRow<'a>>,
    ) -> Result<(), Trouble> {
        self.wait_for_others(AT_ONCE - 1)?;
        let producer = Arc::clone(&self.producers[self.taken % self.producers.len()]);
        fill(&producer, progress, messages)?;
        self.taken += 1;
        self.hand_over(Turn { epoch: progress.epoch, producer: Some(producer) })
    }

    /// A turn with nothing to commit: the topic has everything through an epoch.
    pub(crate) fn skip(&mut self, epoch: i64) -> Result<(), Trouble> {
        self.hand_over(Turn { epoch, producer: None })
    }

    fn hand_over(&mut self, turn: Turn) -> Result<(), Trouble> {
        if self.turns.as_ref().is_some_and(|turns| turns.send(turn).is_ok()) {
            self.waiting += 1;
            return Ok(());
        }
        let failed = self.outcomes.try_iter().find_map(Result::err);
        Err(failed
            .unwrap_or_else(|| Trouble::Unknown("a transaction before was not committed".into())))
    }

    /// How the oldest turn that was not asked for has ended; none while it has not.
    pub(crate) fn outcome(&mut self) -> Option<Result<(), Trouble>> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.waiting -= 1;
        Some(outcome)
    }

    /// Waits until all turns have ended but the newest `rest`.
    pub(crate) fn wait_for_others(&mut self, rest: usize) -> Result<(), Trouble> {
        while self.waiting > rest {
            let ended = self.outcomes.recv();
            self.waiting -= 1;
            ended.unwrap_or_else(|_| {
                Err(Trouble::Unknown("the transaction before was not committed".into()))
            })?;
        }
        Ok(())
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.turns = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; nothing it owed is counted as delivered.
            let _panicked = thread.join();
        }
    }
}

fn commit_in_turn(
    turns: &Receiver<Turn>,
    outcomes: &Sender<Result<(), Trouble>>,
    committed: &Sender<i64>,
    wake: &WakeSlot,
) {
    for Turn { epoch, producer } in turns {
        let outcome = producer.map_or(Ok(()), |producer| commit(&producer));
        let failed = outcome.is_err();
        if !failed {
            let _nobody_looks = committed.send(epoch);
        }
        let _nobody_asks = outcomes.send(outcome);
        if failed {
            wake.wake();
            return;
        }
    }
}
