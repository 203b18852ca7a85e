//! `[sources.NAME]`: where rows come from, how they are decoded, and what their event time is.

use std::time::Duration;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use chrono::NaiveDate;
use riskstream_ingest::{EncodingChoice, TimePattern, ValueForms};

use super::formats::{CsvOptions, Debezium};
use super::kafka::KafkaSource;
use super::keywords::keywords;
use super::sql::Sql;
use crate::config::span::Spanned;

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    /// The NAME of `[sources.NAME]`, unique.
    pub name: Spanned<String>,
    /// Where rows come from.
    pub kind: SourceKind,
    /// When a row happened, and how disorderly rows come.
    pub event_time: EventTime,
    /// The columns to decode, in the order of the file; `None`: inferred from the input.
    pub schema: Option<Vec<Field>>,
    /// How values are written, where not as usual; what single columns say of it is in `schema`.
    pub forms: ValueForms,
    /// Expressions that every possible row meets, such as `tx_amount >= 0`; a row for which one is
    /// false is a dead letter. A row for which one is null passes.
    pub checks: Vec<Sql>,
}

impl Source {
    /// The schema as given in the file.
    pub fn arrow_schema(&self) -> Option<Schema> {
        let fields = self.schema.as_ref()?;
        let fields: Vec<_> = fields
            .iter()
            .map(|field| {
                arrow::datatypes::Field::new(
                    &*field.name.value,
                    field.data_type.value.clone(),
                    true,
                )
            })
            .collect();
        Some(Schema::new(fields))
    }
}

/// Where the rows of a source come from.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// Files that exist, or that are still being written.
    File(FileSource),
    /// Simulated rows.
    Generator(GeneratorSource),
    /// A Kafka topic.
    Kafka(KafkaSource),
    /// The changes of a PostgreSQL table.
    Postgres(PostgresSource),
}

impl SourceKind {
    /// The name in `pipelines.toml`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Generator(_) => "generator",
            Self::Kafka(_) => "kafka",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// `kind = "file"`.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Paths and glob patterns, at least one. Each file is a partition.
    pub paths: Vec<Spanned<String>>,
    /// `None`: from each file's extension (`.json`, `.jsonl`, `.ndjson`, `.csv`, `.parquet`, before
    /// `.gz` or `.zst`).
    pub format: Option<FileFormat>,
    /// How the bytes are compressed; Parquet compresses within the file, so that this is for JSON
    /// and CSV.
    pub compression: Compression,
    /// Whether to wait for more lines at the end of a file instead of ending.
    pub follow: bool,
    /// How text is encoded.
    pub encoding: EncodingChoice,
    /// What becomes of a column of `schema` that a file does not have.
    pub missing_columns: MissingColumns,
    /// How CSV is read.
    pub csv: CsvOptions,
    /// How Debezium's records are read.
    pub debezium: Debezium,
}

/// What becomes of a column that a file does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingColumns {
    /// The file is refused.
    Refuse,
    /// It is null.
    Null,
}
keywords!(MissingColumns { "refuse" => Refuse, "null" => Null });

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object per line.
    Json,
    /// Comma-separated values.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Debezium's change records as JSON.
    DebeziumJson,
}
keywords!(FileFormat {
    "json" => Json,
    "csv" => Csv,
    "parquet" => Parquet,
    "debezium-json" => DebeziumJson,
});

/// The compression around a JSON or CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// By the file's extension.
    Auto,
    /// Plain.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}
keywords!(Compression { "auto" => Auto, "none" => None, "gzip" => Gzip, "zstd" => Zstd });

/// `kind = "generator"`: simulated rows.
#[derive(Debug, Clone)]
pub struct GeneratorSource {
    /// What is simulated.
    pub of: Simulation,
    /// The same seed gives the same rows.
    pub seed: u64,
    /// The first simulated day.
    pub start: NaiveDate,
    /// How fast rows come.
    pub rate: Rate,
    /// Ends after this many rows; `None`: when the simulated time ends.
    pub rows: Option<u64>,
    /// Share (0 to 1) of rows made undecodable on purpose, to show dead letters.
    pub broken_share: f64,
}

/// What a generator simulates.
#[derive(Debug, Clone)]
pub enum Simulation {
    /// Card payments after the Fraud Detection Handbook's simulator.
    Payments(Payments),
    /// A loan book, as the changes of the database that keeps it.
    Loans(Loans),
}

/// `of = "payments"`.
#[derive(Debug, Clone)]
pub struct Payments {
    /// Number of customers, at least 1.
    pub customers: u64,
    /// Number of terminals, at least 1.
    pub terminals: u64,
    /// Distance within which a customer uses terminals, on a square of 100 by 100.
    pub radius: f64,
    /// Simulated days, at least 1.
    pub days: u32,
}

/// `of = "loans"`.
#[derive(Debug, Clone)]
pub struct Loans {
    /// Number of loans, those included that are there at the start; at least 1.
    pub loans: u64,
    /// Number of lenders, at least 1.
    pub lenders: u32,
    /// Simulated months, at least 1.
    pub months: u32,
}

/// `of`, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulationKind {
    /// [`Payments`].
    Payments,
    /// [`Loans`].
    Loans,
}
keywords!(SimulationKind { "payments" => Payments, "loans" => Loans });

/// Names of the columns of simulated payments; `tx_fraud` is 1 for fraud, `tx_fraud_scenario` is 0
/// or the Handbook's number of the fraud.
pub const GENERATOR_COLUMNS: [&str; 7] = [
    "transaction_id",
    "tx_datetime",
    "customer_id",
    "terminal_id",
    "tx_amount",
    "tx_fraud",
    "tx_fraud_scenario",
];

/// How fast a generator makes rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// As fast as they are taken.
    Max,
    /// This many a second, on the wall clock.
    PerSecond(f64),
}

/// `kind = "postgres"`: a table's rows and then its changes, by logical replication.
#[derive(Debug, Clone)]
pub struct PostgresSource {
    /// `postgresql://user@host:port/database?sslmode=…`, without a password.
    pub url: Spanned<String>,
    /// The environment variable that holds the password.
    pub password_env: Option<Spanned<String>>,
    /// `schema.table`.
    pub table: Spanned<String>,
    /// The replication slot. It is the source's own, and has one reader.
    pub slot: Spanned<String>,
    /// The publication; made when there is none.
    pub publication: Spanned<String>,
    /// How often a slot without changes moves on, so that the server can throw WAL away.
    pub heartbeat: Duration,
    /// When to end.
    pub stop: Stop,
}

/// When a source of changes ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// When the run is stopped.
    Never,
    /// At the end that the server had when the run began.
    End,
}
keywords!(Stop { "never" => Never, "end" => End });

/// `event_time = { column, ... }`.
#[derive(Debug, Clone)]
pub struct EventTime {
    /// The column that says when a row happened.
    pub column: Spanned<String>,
    /// The columns that it is made of; none: it is one of the input's.
    pub parts: Vec<Spanned<String>>,
    /// The zone of times without an offset, by its IANA name; `None`: UTC.
    pub zone: Option<Spanned<String>>,
    /// How that column writes a time, where it isn't a timestamp already.
    pub format: TimeFormat,
    /// How far the watermark trails the newest event time of a partition; an older row is late.
    pub out_of_orderness: Duration,
    /// Columns that order rows of the same event time; after them the position in the source
    /// decides.
    pub ties_by: Vec<Spanned<String>>,
    /// A partition without rows for this long stops holding the watermark back.
    pub idle_after: Duration,
    /// A partition is not read further ahead of the slowest than this, in event time.
    pub skew_max: Duration,
    /// What becomes of event time once all partitions are idle.
    pub when_quiet: WhenQuiet,
    /// A row further ahead of the clock than this is a dead letter.
    pub future_skew_max: Duration,
}

/// What becomes of event time while no partition has anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenQuiet {
    /// It waits for the next row: what is older than the clock may still come.
    Wait,
    /// It goes on by the clock: windows end and timers fire though nothing happens.
    Clock,
}
keywords!(WhenQuiet { "wait" => Wait, "clock" => Clock });

/// How a text or number column writes a time. Without a zone it is UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339, and the same without zone or with a space for the `T`.
    Auto,
    /// Seconds since 1970, with a fraction or without.
    UnixSeconds,
    /// Milliseconds since 1970, with a fraction or without.
    UnixMillis,
    /// Microseconds since 1970.
    UnixMicros,
    /// A strftime pattern that determines an instant, such as `%d/%m/%Y %H:%M`.
    Pattern(TimePattern),
}

impl TimeFormat {
    /// The same, as decoders take it.
    pub(crate) fn read_as(&self) -> riskstream_ingest::TimeFormat {
        use riskstream_ingest::TimeFormat as Read;
        match self {
            Self::Auto => Read::Auto,
            Self::UnixSeconds => Read::EpochSeconds,
            Self::UnixMillis => Read::EpochMillis,
            Self::UnixMicros => Read::EpochMicros,
            Self::Pattern(pattern) => Read::Pattern(pattern.clone()),
        }
    }
}

/// One column of a given schema.
#[derive(Debug, Clone)]
pub struct Field {
    /// The column's name.
    pub name: Spanned<String>,
    /// Its Arrow type; `timestamp` is microseconds UTC, `decimal(p,s)` is `Decimal128`.
    pub data_type: Spanned<DataType>,
    /// Its name in the input; `None`: the same.
    pub from: Option<Spanned<String>>,
    /// How its dates or times are written.
    pub format: Option<Spanned<TimeFormat>>,
    /// The zone of its times without an offset.
    pub zone: Option<Spanned<String>>,
}

impl Field {
    /// A column that is written as usual.
    pub(crate) fn new(name: Spanned<String>, data_type: Spanned<DataType>) -> Self {
        Self { name, data_type, from: None, format: None, zone: None }
    }
}

/// The Arrow type of every timestamp in the program.
pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
