//! What a Kafka sink is told.

use crate::outbox::Projection;
use riskstream_engine::contract::SinkError;
use std::path::PathBuf;

/// The header of messages that are delivered immediately: the same for the same input, so that a
/// reader can drop what it has seen.
pub const MESSAGE_ID_HEADER: &str = "message-id";

/// A topic that rows go to.
#[derive(Debug, Clone)]
pub struct KafkaSinkSpec {
    /// The sink's id.
    pub id: String,
    /// `host:port`, several with commas between.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The column of the pipeline's rows whose text is the key; none: no key.
    pub key: Option<usize>,
    /// Headers: name, and the column of the pipeline's rows whose text is the value.
    pub headers: Vec<(String, usize)>,
    /// What becomes of rows: the fields of the messages' JSON objects.
    pub projection: Projection,
    /// Further settings of librdkafka, such as those of TLS and SASL.
    pub settings: Vec<(String, String)>,
    /// What names this sink in the cluster, before the store's identity.
    pub name: String,
    /// The file that holds the store's identity; made when the sink is opened.
    pub identity: PathBuf,
    /// Columns of the pipeline's rows that say where a row came from: partition and offset. Where
    /// rows have none (windows), the message itself makes the id of what is delivered immediately.
    pub origin: Option<(usize, usize)>,
}

/// A failure of the sink as the engine's error.
pub(super) fn failed(spec: &KafkaSinkSpec, reason: String) -> SinkError {
    SinkError::Write {
        sink: spec.id.clone(),
        object: format!("topic {} of {}", spec.topic, spec.brokers),
        reason,
    }
}
