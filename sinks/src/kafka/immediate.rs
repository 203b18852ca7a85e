//! The producer that sends at once: idempotent, one for all workers.

use super::client::{Reports, advice};
use super::encode::MessageRow;
use super::transaction::record;
use super::{KafkaSinkSpec, NoticeSlot, settings};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) struct Immediate {
    producer: BaseProducer<Reports>,
    topic: String,
}

impl std::fmt::Debug for Immediate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Immediate").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Immediate {
    pub(crate) fn new(spec: &KafkaSinkSpec, notice: Arc<Mutex<NoticeSlot>>) -> Result<Self, String> {
        let config = settings::immediate(spec);
        let producer = BaseProducer::from_config_and_context(&config, Reports::new(notice)).map_err(|e| e.to_string())?;
        Ok(Self { producer, topic: spec.topic.clone() })
    }

    /// Hands a message to the producer; waits while that has no room.
    pub(crate) fn send(&self, message: MessageRow<'_>) -> Result<(), String> {
        let mut record = record(&self.topic, message);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(2));
                    self.check()?;
                }
                Err((error, _)) => {
                    let advice = error.rdkafka_error_code().and_then(advice).unwrap_or("the producer can't go on");
                    return Err(format!("{error}: {advice}"));
                }
            }
        }
    }

    /// Waits until everything that was sent is acknowledged.
    pub(crate) fn acknowledged(&self) -> Result<(), String> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
            self.check()?;
        }
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        let fatal = self.producer.client().fatal_error();
        let refused = self.producer.context().take_refused();
        match (refused, fatal) {
            (None, None) => Ok(()),
            (Some(code), _) => Err(format!(
                "a message was not taken: {code}: {}",
                advice(code).unwrap_or("the run stops, and sends it again when started")
            )),
            (None, Some((_, reason))) => Err(format!("the producer can't go on: {reason}; start again")),
        }
    }
}
