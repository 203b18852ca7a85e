//! Kafka topics as sources.
//!
//! ```text
//!   broker ─▶ librdkafka ─▶ a queue per partition ─▶ KafkaSource::poll ─▶ Messages
//!          ─▶ KafkaDecoder (one per worker) ─▶ rows │ rejected rows
//! ```
//! Invariants:
//! - Partitions are assigned from the cluster's own list, never by a consumer group: nobody else
//!   can take one away, and where to go on is in the pipeline's commit alone. The offsets that are
//!   also committed to Kafka are for dashboards.
//! - Every message's offset is checked against the one expected next. A larger one is legal
//!   (compaction, markers of transactions); what retention has removed before it was read is an
//!   error that says so, never a silent gap.
//! - One message is one record: a row, a rejected row, or a tombstone that the source was told to
//!   skip.

mod connection;
mod decoder;
mod messages;
mod offsets;
mod settings;
mod source;

use crate::changes::DebeziumOptions;
use crate::decode::{CsvMarks, Encoding, ValueForms};
use crate::file::EventTimeSpec;
use arrow::datatypes::DataType;
pub use settings::setting_refused;
pub use source::KafkaSource;

/// What a message's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFormat {
    /// One JSON object.
    Json,
    /// One CSV record, its fields the schema's columns in their order, but for those that other
    /// parts of the message fill.
    Csv(CsvMarks),
    /// One of Debezium's change records; its key tells what a deletion deletes, and its tombstones
    /// say nothing new.
    Debezium(DebeziumOptions),
}

/// Where the first run of a pipeline begins in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest message.
    Earliest,
    /// Behind the newest message. Partitions that come later are read from their beginning all the
    /// same.
    Latest,
}

/// A part of a message beside its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessagePart {
    /// Its key, as text.
    Key,
    /// Its timestamp.
    Timestamp,
    /// The newest header of this name, as text.
    Header(String),
}

/// A topic to be read.
#[derive(Debug, Clone)]
pub struct KafkaSourceSpec {
    /// The source's name.
    pub name: String,
    /// `host:port`, several with commas between.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// What values are.
    pub format: MessageFormat,
    /// How values are encoded.
    pub encoding: Encoding,
    /// How what is in them is written, where not as usual.
    pub forms: ValueForms,
    /// Where a first run begins.
    pub start: StartAt,
    /// End at what was the end of each partition when the run began, instead of waiting for more.
    pub stop_at_end: bool,
    /// Leave out what open and aborted transactions wrote.
    pub read_committed: bool,
    /// Leave out messages without a value, which are rejected otherwise.
    pub skip_tombstones: bool,
    /// Under which consumer group the positions are shown in Kafka.
    pub group: String,
    /// Further settings of librdkafka, such as those of TLS and SASL.
    pub settings: Vec<(String, String)>,
    /// Columns that are filled from other parts of the message than its value.
    pub parts: Vec<(String, MessagePart)>,
    /// All columns in order.
    pub schema: Vec<(String, DataType)>,
    /// The event time.
    pub event_time: EventTimeSpec,
    /// Columns that order rows of equal event time.
    pub ties_by: Vec<String>,
    /// How far ahead of the clock an event time may be, in microseconds.
    pub future_skew_max_us: i64,
    /// Longer values become dead letters.
    pub record_bytes_max: usize,
}
