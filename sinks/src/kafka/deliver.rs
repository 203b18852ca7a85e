//! Committed epochs into the topic, each once: [`KafkaDelivery`].
//!
//! While one transaction is committed the next is filled ([`Turns`](super::turns::Turns)). One that fails takes those after it along: the producers are
//! made anew, the cluster is asked what it has, and the rest of what was under way goes out in one transaction.

use super::KafkaSink;
use super::claim::{Claim, Connected};
use super::encode::MessageRow;
use super::transaction::{Progress, Trouble};
use super::turns::{UNDER_WAY_MAX, WakeSlot};
use riskstream_engine::contract::{Delivery, Notice, OutboxEntry, SinkError, Wake};
use riskstream_engine::ids::Epoch;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A run that is just starting gives up after so many attempts,
const START_ATTEMPTS: usize = 12;
/// one that is under way after so many: a quarter of an hour at least. What was not delivered stays in the store.
const ATTEMPTS: usize = 900;
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct KafkaDelivery {
    sink: Arc<KafkaSink>,
    claim: Claim,
    wake: WakeSlot,
    connected: Option<Connected>,
    /// What every delivery brings that is not visible yet, the oldest first.
    under_way: VecDeque<Vec<OutboxEntry>>,
    /// Deliveries that have become visible, and were not told of.
    settled: usize,
}

impl KafkaDelivery {
    pub(crate) fn new(sink: Arc<KafkaSink>) -> Self {
        Self { sink, claim: Claim::new(), wake: WakeSlot::default(), connected: None, under_way: VecDeque::new(), settled: 0 }
    }

    fn connect(&mut self) -> Result<&mut Connected, Trouble> {
        match &mut self.connected {
            Some(connected) => Ok(connected),
            slot => Ok(slot.insert(self.claim.connect(&self.sink, &self.wake)?)),
        }
    }

    /// Fills the next transaction with what the topic lacks of the newest `deliveries` under way, and has it committed in its turn.
    fn begin(&mut self, deliveries: usize) -> Result<(), Trouble> {
        self.connect()?;
        let Some(connected) = &mut self.connected else { return Err(Trouble::Unknown("not connected".into())) };
        let number = |entry: &OutboxEntry| i64::try_from(entry.epoch.0).unwrap_or(i64::MAX);
        let before = connected.through;
        let first = self.under_way.len().saturating_sub(deliveries);
        let missing = || self.under_way.iter().skip(first).flatten().filter(|entry| number(entry) > before);
        let Some(newest) = missing().map(number).max() else { return connected.turns.skip() };
        let messages = missing().flat_map(|e| &e.parts).flat_map(|p| &p.rows).flat_map(MessageRow::all);
        let progress = Progress { topic: &self.sink.spec.topic, group: &connected.group, epoch: newest, run: &self.claim.run };
        connected.turns.take(&progress, messages)?;
        connected.through = newest;
        Ok(())
    }

    /// Everything under way at once, in one transaction that is waited for.
    fn deliver_all(&mut self) -> Result<(), Trouble> {
        self.begin(self.under_way.len())?;
        let Some(connected) = &mut self.connected else { return Err(Trouble::Unknown("not connected".into())) };
        connected.turns.wait()
    }

    /// After a transaction has failed: all that was under way is delivered anew.
    fn deliver_anew(&mut self, trouble: Trouble) -> Result<(), SinkError> {
        self.persist(ATTEMPTS, Some(trouble), Self::deliver_all)?;
        self.settled += self.under_way.len();
        self.under_way.clear();
        self.wake.wake();
        Ok(())
    }

    /// Does something until it is done, it is clear that it can't be, or the patience is over. `trouble` is what has kept it from being done so far.
    fn persist(
        &mut self,
        attempts: usize,
        mut trouble: Option<Trouble>,
        mut attempt: impl FnMut(&mut Self) -> Result<(), Trouble>,
    ) -> Result<(), SinkError> {
        let mut tried = 0;
        loop {
            if let Some(trouble) = trouble {
                let reason = match trouble {
                    Trouble::Final(reason) => return Err(self.sink.failed(reason)),
                    Trouble::Unknown(reason) => reason,
                };
                // Waits for the transaction that is being committed, if any: the next producers will ask how it ended.
                self.connected = None;
                tried += 1;
                if tried >= attempts {
                    return Err(self.sink.failed(format!(
                        "{reason}; given up after {tried} attempts: what was not delivered is in the store, and goes out at the next start"
                    )));
                }
                self.sink.tell(Some(format!("the delivery is tried again: {reason}")));
                std::thread::sleep(PAUSE.min(Duration::from_millis(50) * tried.min(100) as u32));
            }
            trouble = attempt(self).err();
            if trouble.is_none() {
                if tried > 0 {
                    self.sink.tell(None);
                }
                return Ok(());
            }
        }
    }
}

impl Delivery for KafkaDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        self.persist(START_ATTEMPTS, None, |delivery| delivery.connect().map(|_| ()))?;
        let through = self.connected.as_ref().map_or(0, |c| c.through);
        Ok(u64::try_from(through).ok().filter(|epoch| *epoch > 0).map(Epoch))
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn report_to(&mut self, notice: Notice) {
        self.sink.report_to(notice);
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        self.under_way.push_back(entries);
        match self.begin(1) {
            Ok(()) => Ok(()),
            Err(trouble) => self.deliver_anew(trouble),
        }
    }

    fn under_way_max(&self) -> usize {
        UNDER_WAY_MAX
    }

    fn wake_by(&mut self, wake: Wake) {
        self.wake.set(wake);
    }

    fn settle(&mut self) -> Result<usize, SinkError> {
        while let Some(outcome) = self.connected.as_ref().and_then(|c| c.turns.outcome()) {
            match outcome {
                Ok(()) => {
                    self.under_way.pop_front();
                    self.settled += 1;
                }
                Err(trouble) => self.deliver_anew(trouble)?,
            }
        }
        Ok(std::mem::take(&mut self.settled))
    }
}
