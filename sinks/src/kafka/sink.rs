//! A Kafka sink, which its writers and its delivery share.

use super::immediate::Immediate;
use super::notice::NoticeSlot;
use super::settings;
use super::spec::{KafkaSinkSpec, failed};
use riskstream_engine::contract::{Notice, SinkError};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A Kafka sink.
#[derive(Debug)]
pub struct KafkaSink {
    pub(super) spec: KafkaSinkSpec,
    pub(super) notice: Arc<Mutex<NoticeSlot>>,
    immediate: OnceLock<Result<Immediate, String>>,
}

impl KafkaSink {
    /// Checks the settings; nothing is connected yet.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn new(spec: KafkaSinkSpec) -> Result<Self, SinkError> {
        settings::check(&spec)?;
        Ok(Self { spec, notice: Arc::default(), immediate: OnceLock::new() })
    }

    pub(crate) fn immediate(&self) -> Result<&Immediate, SinkError> {
        let made =
            self.immediate.get_or_init(|| Immediate::new(&self.spec, Arc::clone(&self.notice)));
        made.as_ref().map_err(|reason| self.failed(reason.clone()))
    }

    pub(super) fn failed(&self, reason: String) -> SinkError {
        failed(&self.spec, reason)
    }

    pub(super) fn away(&self, reason: String) -> SinkError {
        let KafkaSinkSpec { id, topic, brokers, .. } = &self.spec;
        SinkError::Away { sink: id.clone(), object: format!("topic {topic} of {brokers}"), reason }
    }

    pub(super) fn report_to(&self, notice: Notice) {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).notice = Some(notice);
    }

    pub(super) fn hurry_by(&self, hurry: Arc<AtomicBool>) {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).hurry = Some(hurry);
    }

    pub(super) fn tell(&self, what: Option<String>) {
        NoticeSlot::tell(&self.notice, what);
    }
}
