//! Where rows come from: files, Kafka topics, generators of card payments and of a loan book's
//! changes, and dead letters taken in again.
//!
//! ```text
//!   file ──▶ blocks of whole records ──▶ decoder (one per worker) ──▶ rows │ rejected rows
//!   feed thread: FileSource, KafkaSource, GeneratorSource, ReplaySource     workers: decode/
//! ```
//! Invariants:
//! - Every record is either a row or a rejected row, whatever the block sizes were; nothing that a
//!   file holds makes the program panic.
//! - Money is parsed exactly: a decimal that does not fit its column is rejected, never rounded.
//! - Offsets never depend on block sizes, so a source that is stopped after any block and resumed
//!   gives the same rows. They count the bytes of the file (as decompressed), however its text is
//!   encoded, and a rejected record is kept as it came.
//! - `sniff` only looks: it gives what a person may put into a configuration, and no source takes
//!   anything from it by itself.

mod changes;
mod decode;
mod file;
mod generate;
mod kafka;
mod paced;
mod postgres;
mod replay;
mod replayed;
mod sniff;
mod types;

pub use changes::{DebeziumOptions, DecimalHandling, TimePrecision};
pub use decode::{
    ColumnForm, CsvLayout, CsvMarks, Encoding, EncodingChoice, LocalTime, NumberMarks,
    RecordDecoder, RecordFormat, TimeFormat, TimePattern, TimePatternError, TruthWords, ValueForms,
    reason, zone_names,
};
pub use file::{
    Compression, CsvOptions, EventTimeSpec, FileFormat, FileSource, FileSourceSpec, SkipLines,
};
pub use generate::{
    Generate, GeneratorSource, GeneratorSpec, IdType, LoansSpec, WriteError, WriteFormat,
    write_file, write_text,
};
pub use kafka::{
    KafkaSource, KafkaSourceSpec, MessageFormat, MessagePart, StartAt, setting_refused,
};
pub use paced::Paced;
pub use postgres::{
    Endpoint, PostgresSource, PostgresSourceSpec, begun_anew, is_read_anew, replication_slot,
};
pub use replay::{DeadLetterRows, REWRITTEN_SUFFIX, ReplaySource, replay_partition};
pub use replayed::is_replayed;
pub use sniff::{Sniffed, SniffedColumn, SniffedCsv, SniffedTime, sniff};
pub use types::{parse_type, type_name, utc_timestamp};
