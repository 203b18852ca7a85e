//! Where rows leave the program: Delta tables and Kafka topics, exactly once.
//!
//! ```text
//!   worker:   batches ──▶ Stager::stage ──▶ [StagedFile]        Parquet files that nobody sees
//!   committer:            sync_files, then the epoch file names them: the epoch is committed
//!   delivery:             DeltaTableWriter::deliver(epoch, files)
//!                         one Delta commit with txn(app id, epoch)
//! ```
//!
//! A crash anywhere repeats the delivery, and the writer finds the epoch recorded in the table's
//! log and does nothing. Exactly once holds per table; several tables of a pipeline do not become
//! visible at the same instant.
//!
//! `outbox.rs` speaks the engine's `SinkWriter` and `Delivery` contracts; the rest knows nothing of
//! the engine.
//!
//! Invariants:
//! - Nothing is visible before its epoch is committed; nothing is visible twice.
//! - A destination tells which epoch it has last, and is asked before anything is delivered again.
//! - Rows find the columns of a table by name.

// Tests damage files behind the disk's back.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

mod alerts;
mod applications;
mod as_read;
mod checkpoint;
mod console;
mod delta;
mod empty;
mod error;
mod kafka;
mod left_rows;
mod log;
mod maintain;
mod objects;
mod outbox;
mod parquet_file;
mod parquet_settings;
mod partition;
mod row_group;
mod runtime;
mod snapshot;
mod stage;
mod stats;
mod table;
mod versions;
mod watch;

pub use alerts::{
    ALERT_ID_COLUMN, AlertIdentity, SessionIdentity, alert_ids, alert_schema, with_alert_ids,
};
pub use applications::applications;
pub use as_read::as_read;
pub use console::{LastRows, SinkSummary, format_summary};
pub use delta::{Delivered, DeltaTableWriter, WriterOptions};
pub use empty::OwnRows;
pub use error::{ErrorClass, SinkError};
pub use kafka::{
    EPOCH_HEADER, KafkaSink, KafkaSinkSpec, MESSAGE_ID_HEADER, TRANSACTION_HEADER,
    kafka_setting_refused,
};
pub use maintain::{MaintainOptions, MaintainReport, clean_table, compact_table, maintain};
pub use outbox::{
    DeltaDelivery, Projection, STAGE_ROWS_MIN, TableSink, alerts_table_schema, named_files, staged,
};
pub use parquet_settings::{IntegerEncoding, StageCompression, StageSettings};
pub use runtime::DeltaRuntime;
pub use snapshot::{ActiveFile, TableSnapshot};
pub use stage::{StagedFile, Stager, sync_files};
pub use table::{PartitionRule, TableSpec};
pub use versions::LogVersions;
