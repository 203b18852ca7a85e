//! The producer that sends at once: idempotent, one for all workers.

use super::client::{Counted, Reports, advice};
use super::encode::MessageRow;
use super::notice::NoticeSlot;
use super::settings;
use super::spec::KafkaSinkSpec;
use super::transaction::{record, wait};
use arrow::array::RecordBatch;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use riskstream_engine::ids::Epoch;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Immediate {
    producer: BaseProducer<Counted>,
    topic: String,
    /// Messages by epoch that are not acknowledged yet.
    pending: Mutex<BTreeMap<Epoch, Arc<AtomicUsize>>>,
}

impl std::fmt::Debug for Immediate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Immediate").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Immediate {
    pub(crate) fn new(
        spec: &KafkaSinkSpec,
        notice: Arc<Mutex<NoticeSlot>>,
    ) -> Result<Self, String> {
        let config = settings::immediate(spec);
        let producer =
            BaseProducer::from_config_and_context(&config, Counted(Reports::new(notice)))
                .map_err(|e| e.to_string())?;
        Ok(Self { producer, topic: spec.topic.clone(), pending: Mutex::default() })
    }

    /// Hands the messages of an epoch to the producer; waits while that has no room.
    pub(crate) fn send(&self, epoch: Epoch, messages: &RecordBatch) -> Result<(), String> {
        let pending = Arc::clone(
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).entry(epoch).or_default(),
        );
        for message in MessageRow::all(messages) {
            pending.fetch_add(1, Ordering::AcqRel);
            let mut record = record(&self.topic, message, (None, None), Arc::clone(&pending));
            loop {
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                        record = back;
                        wait(&self.producer);
                        self.check()?;
                    }
                    Err((error, _)) => {
                        let advice = error
                            .rdkafka_error_code()
                            .and_then(advice)
                            .unwrap_or("the producer can't go on");
                        return Err(format!("{error}: {advice}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until everything that was sent of an epoch is acknowledged; later epochs may go on
    /// meanwhile.
    pub(crate) fn acknowledged(&self, epoch: Epoch) -> Result<(), String> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&epoch);
        while pending.as_ref().is_some_and(|pending| pending.load(Ordering::Acquire) > 0) {
            wait(&self.producer);
            self.check()?;
        }
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        let fatal = self.producer.client().fatal_error();
        let refused = self.producer.context().0.take_refused();
        match (refused, fatal) {
            (None, None) => Ok(()),
            (Some(code), _) => Err(format!(
                "a message was not taken: {code}: {}",
                advice(code).unwrap_or("the run stops, and sends it again when started")
            )),
            (None, Some((_, reason))) => {
                Err(format!("the producer can't go on: {reason}; start again"))
            }
        }
    }
}
