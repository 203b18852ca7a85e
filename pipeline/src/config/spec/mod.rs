//! The typed form of `pipelines.toml`: plain data, every default filled in, nothing opened or
//! looked up yet. What a step of each kind says is in [`steps`](crate::steps).
//!
//! Paths are relative to the working directory, as the arguments of a command are. Names and
//! expressions keep their [`Span`](super::Span), so that the planner can still point at them once
//! the schema of the input is known.

mod destination;
mod formats;
mod kafka;
pub(crate) mod keywords;
mod maintain;
mod order;
mod period;
mod pipeline;
mod query;
mod riskstream;
mod service;
mod source;
mod sql;
mod whole;

pub use destination::{
    Console, Deliver, Destination, DestinationKind, Partitioning, TableDestination,
};
pub use formats::{CsvOptions, Debezium, Decimals, Times};
pub use kafka::{
    Isolation, KafkaDestination, KafkaFormat, KafkaSource, KafkaStart, KafkaStop, MessagePart,
    Tombstones,
};
pub(crate) use keywords::Keywords;
pub use maintain::Maintain;
pub use order::{Late, Order};
pub use period::Period;
pub use pipeline::{Pipeline, Step};
pub use query::{Query, Tls};
pub use riskstream::{EpochLimits, Riskstream};
pub use service::{
    Log, LogFormat, LogLevel, MetricsEndpoint, OnFailure, OnFailureName, Restart, Tracing,
};
pub(crate) use source::timestamp_type;
pub use source::{
    Compression, EventTime, Field, FileFormat, FileSource, GENERATOR_COLUMNS, GeneratorSource,
    Loans, MissingColumns, Payments, PostgresSource, Rate, Simulation, SimulationKind, Source,
    SourceKind, Stop, TimeFormat, WhenQuiet,
};
pub use sql::Sql;
pub use whole::Spec;
