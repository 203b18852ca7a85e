//! `kind = "kafka"`: topics as sources and destinations.

use super::formats::{CsvOptions, Debezium};
use super::keywords::keywords;
use crate::config::span::Spanned;

/// `kind = "kafka"` of a source.
#[derive(Debug, Clone)]
pub struct KafkaSource {
    /// `host:port`, several with commas between.
    pub brokers: Spanned<String>,
    /// The topic; each of its partitions is one of the source.
    pub topic: Spanned<String>,
    /// What a message's value is.
    pub format: KafkaFormat,
    /// How a message's value is encoded.
    pub encoding: riskstream_ingest::Encoding,
    /// How Debezium's records are read.
    pub debezium: Debezium,
    /// How CSV is read; a message has no header line.
    pub csv: CsvOptions,
    /// Where the first run begins.
    pub start: KafkaStart,
    /// Whether the run ends at what was the end when it began.
    pub stop: KafkaStop,
    /// Whether messages of open and aborted transactions are seen.
    pub isolation: Isolation,
    /// What becomes of a message without a value.
    pub tombstones: Tombstones,
    /// The consumer group under which positions are shown in Kafka; `None`: `riskstream-` and the
    /// source's name.
    pub group: Option<Spanned<String>>,
    /// Columns that are filled from other parts of the message than its value.
    pub columns: Vec<(Spanned<String>, MessagePart)>,
    /// Further settings of librdkafka.
    pub settings: Vec<(Spanned<String>, String)>,
}

/// The format of a message's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaFormat {
    /// One JSON object.
    Json,
    /// One CSV record without a header.
    Csv,
    /// One of Debezium's change records as JSON.
    DebeziumJson,
}
keywords!(KafkaFormat { "json" => Json, "csv" => Csv, "debezium-json" => DebeziumJson });

/// Where the first run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaStart {
    /// At the oldest message.
    Earliest,
    /// Behind the newest message.
    Latest,
}
keywords!(KafkaStart { "earliest" => Earliest, "latest" => Latest });

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaStop {
    /// It waits for more.
    Never,
    /// At what was the end of each partition when it began.
    End,
}
keywords!(KafkaStop { "never" => Never, "end" => End });

/// Whether messages of open and aborted transactions are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// They are not.
    ReadCommitted,
    /// They are.
    ReadUncommitted,
}
keywords!(Isolation { "read_committed" => ReadCommitted, "read_uncommitted" => ReadUncommitted });

/// What becomes of a message without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstones {
    /// A dead letter.
    DeadLetter,
    /// Nothing.
    Skip,
}
keywords!(Tombstones { "dead-letter" => DeadLetter, "skip" => Skip });

/// A part of a message beside its value: `key`, `timestamp` or `header:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessagePart {
    /// The key.
    Key,
    /// The timestamp.
    Timestamp,
    /// A header.
    Header(String),
}

/// `kind = "kafka"` of a destination.
#[derive(Debug, Clone)]
pub struct KafkaDestination {
    /// `host:port`, several with commas between.
    pub brokers: Spanned<String>,
    /// The topic.
    pub topic: Spanned<String>,
    /// The column whose text is the key.
    pub key: Option<Spanned<String>>,
    /// Headers, and the columns whose text they hold.
    pub headers: Vec<(Spanned<String>, Spanned<String>)>,
    /// Further settings of librdkafka.
    pub settings: Vec<(Spanned<String>, String)>,
}
