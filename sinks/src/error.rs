//! Errors of the sinks, one enum for the crate, each with the class that tells its caller what to
//! do.

use std::io::ErrorKind;
use std::path::PathBuf;

use deltalake_core::DeltaTableError;

/// What a caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Something a person changes (a pipeline, a table, a permission) before the next start.
    Config,
    /// Worth trying again later with the same input.
    Transient,
    /// A broken promise inside the program or in what it stored: stop and report.
    Bug,
}

/// Why a sink could not stage, deliver or maintain.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A column has a type that not every Delta reader can read.
    #[error(
        "table '{table}': column '{column}' has type {data_type}, which Delta readers do not \
         share; {help}"
    )]
    UnsupportedColumn {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
        /// Its Arrow type.
        data_type: String,
        /// What to do instead.
        help: String,
    },
    /// Two columns have the same name but for capitals.
    #[error(
        "table '{table}': columns '{first}' and '{second}' differ only in capitals, and a Delta \
         table holds one of them; leave one out with `columns`, or give the source a schema that \
         has one of them"
    )]
    NamesAlike {
        /// The table's name.
        table: String,
        /// The first of the two.
        first: String,
        /// The second.
        second: String,
    },
    /// The partition rule and the columns do not fit.
    #[error("table '{table}': {problem}")]
    PartitionRule {
        /// The table's name.
        table: String,
        /// What does not fit, and what would.
        problem: String,
    },
    /// The table on disk has another schema than the pipeline writes.
    #[error(
        "table '{table}' at {location} has another schema than the pipeline writes: {difference}; \
         {help}"
    )]
    SchemaMismatch {
        /// The table's name.
        table: String,
        /// The table's folder.
        location: PathBuf,
        /// The first difference found.
        difference: String,
        /// What to do about it.
        help: String,
    },
    /// The table on disk needs a newer protocol than this writer keeps to.
    #[error(
        "table '{table}' at {location} needs Delta reader {reader} and writer {writer}, this \
         program writes reader 1 and writer 2 only; write to a new table, or remove the table \
         feature"
    )]
    UnsupportedProtocol {
        /// The table's name.
        table: String,
        /// The table's folder.
        location: PathBuf,
        /// The reader version that the table asks for.
        reader: i32,
        /// The writer version that the table asks for.
        writer: i32,
    },
    /// A batch given to a stager has other columns than the table.
    #[error("table '{table}': a batch has columns ({found}), the table has ({expected})")]
    BatchSchema {
        /// The table's name.
        table: String,
        /// The columns found.
        found: String,
        /// The columns expected.
        expected: String,
    },
    /// Rows that an earlier run left for the table do not fit the columns that the pipeline writes
    /// now.
    #[error(
        "table '{table}': rows of an earlier run wait for it and do not fit what the pipeline \
         writes now: {problem}; {help}"
    )]
    LeftRows {
        /// The table's name.
        table: String,
        /// The first difference found.
        problem: String,
        /// What to do about it.
        help: String,
    },
    /// An event time outside the years that a partition name can carry.
    #[error(
        "table '{table}': event time {micros} µs in column '{column}' is outside the years 1 to \
         9999; send such rows to the dead letters"
    )]
    EventTimeRange {
        /// The table's name.
        table: String,
        /// The event-time column.
        column: String,
        /// The value, microseconds since 1970.
        micros: i64,
    },
    /// A staged file named for delivery is not there.
    #[error(
        "table '{table}', epoch {epoch}: staged file {path} is missing; it was removed from \
         outside, restore it or start from an older snapshot"
    )]
    StagedFileMissing {
        /// The table's name.
        table: String,
        /// The epoch to deliver.
        epoch: i64,
        /// The file's path.
        path: PathBuf,
    },
    /// The table has some of the epochs that were to land together.
    #[error(
        "table '{table}': epochs {first} to {last} were to land together, but it has those up to \
         {recorded}; deliver the rest alone"
    )]
    PartlyDelivered {
        /// The table's name.
        table: String,
        /// The first epoch of the range.
        first: i64,
        /// The last epoch of the range.
        last: i64,
        /// The epoch recorded in the table.
        recorded: i64,
    },
    /// The table has less than was delivered to it in this run.
    #[error(
        "table '{table}' had everything through epoch {delivered} in this run, and now has \
         {recorded}: it was deleted or replaced by an older copy; start again, which says what is \
         missing and what can be done"
    )]
    WentBack {
        /// The table's name.
        table: String,
        /// The last epoch delivered.
        delivered: i64,
        /// The epoch that the table records; 0 for none.
        recorded: i64,
    },
    /// No commit landed after all attempts.
    #[error("table '{table}': no commit landed after {attempts} attempts, last reason: {reason}")]
    DeliveryGaveUp {
        /// The table's name.
        table: String,
        /// How often it was tried.
        attempts: u32,
        /// The last attempt's reason.
        reason: String,
    },
    /// Compaction would have changed the rows.
    #[error(
        "table '{table}': compacting {files} gives {found} rows instead of {expected}; nothing \
         was changed"
    )]
    CompactionRows {
        /// The table's name or folder.
        table: String,
        /// The files, or the first of them.
        files: String,
        /// Rows that were read or written.
        found: u64,
        /// Rows according to the log, or that were read.
        expected: u64,
    },
    /// There is no Delta table in the folder.
    #[error("{location} holds no Delta table")]
    NotATable {
        /// The folder.
        location: PathBuf,
    },
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The Delta log could not be read or written.
    #[error("delta log of {location}: {source}")]
    Delta {
        /// The table's folder.
        location: PathBuf,
        /// Why it failed.
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// Parquet could not be written or read.
    #[error("parquet file {path}: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: parquet::errors::ParquetError,
    },
    /// An Arrow kernel refused.
    #[error("columns: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A log action could not be written as JSON.
    #[error("delta log action: {0}")]
    Json(#[from] serde_json::Error),
}

impl SinkError {
    /// What a caller does about this error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::UnsupportedColumn { .. }
            | Self::NamesAlike { .. }
            | Self::PartitionRule { .. }
            | Self::SchemaMismatch { .. }
            | Self::UnsupportedProtocol { .. }
            | Self::LeftRows { .. }
            | Self::WentBack { .. }
            | Self::NotATable { .. } => ErrorClass::Config,
            Self::PartlyDelivered { .. }
            | Self::DeliveryGaveUp { .. }
            | Self::Io { .. }
            | Self::Delta { .. } => ErrorClass::Transient,
            Self::BatchSchema { .. }
            | Self::EventTimeRange { .. }
            | Self::StagedFileMissing { .. }
            | Self::CompactionRows { .. }
            | Self::Parquet { .. }
            | Self::Arrow(_)
            | Self::Json(_) => ErrorClass::Bug,
        }
    }

    /// Whether the destination is only away, so that the same may be tried again for as long as it
    /// takes. A folder that is not there may be on a disk that is about to be mounted again; what a
    /// person has to allow or to change is not waited for.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() != ErrorKind::PermissionDenied,
            Self::Delta { source, .. } => is_storage(source),
            Self::DeliveryGaveUp { .. } | Self::NotATable { .. } => true,
            Self::UnsupportedColumn { .. }
            | Self::NamesAlike { .. }
            | Self::PartitionRule { .. }
            | Self::SchemaMismatch { .. }
            | Self::UnsupportedProtocol { .. }
            | Self::LeftRows { .. }
            | Self::WentBack { .. }
            | Self::PartlyDelivered { .. }
            | Self::BatchSchema { .. }
            | Self::EventTimeRange { .. }
            | Self::StagedFileMissing { .. }
            | Self::CompactionRows { .. }
            | Self::Parquet { .. }
            | Self::Arrow(_)
            | Self::Json(_) => false,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn delta<E: Into<deltalake_core::DeltaTableError>>(
        location: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let location = location.into();
        move |source| Self::Delta { location, source: Box::new(source.into()) }
    }

    pub(crate) fn parquet(
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { path, source }
    }
}

/// Whether the log could not be read because of where it is, and not because of what it says.
fn is_storage(error: &DeltaTableError) -> bool {
    use object_store::Error as Storage;
    match error {
        DeltaTableError::ObjectStore { source } => {
            !matches!(source, Storage::PermissionDenied { .. } | Storage::Unauthenticated { .. })
        }
        DeltaTableError::Io { source } => source.kind() != ErrorKind::PermissionDenied,
        DeltaTableError::NotATable(_) => true,
        // Another crate's enum, which is open: what else it may say is about the log's content.
        _ => false,
    }
}
