//! Errors of queries.

use std::path::PathBuf;

use riskstream_sinks::SinkError;

/// Why a query gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The folder of tables is not there.
    #[error("no folder of tables at {location}: run a pipeline first, or name another data folder")]
    NoTables {
        /// The folder.
        location: PathBuf,
    },
    /// The folder can't be listed.
    #[error("list tables in {location}: {source}")]
    List {
        /// The folder.
        location: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The query names a table that does not exist.
    #[error("no table '{name}'; {help}")]
    UnknownTable {
        /// The name in the query.
        name: String,
        /// The nearest name, or all names.
        help: String,
    },
    /// The query names a column that does not exist.
    #[error("no column '{name}'; {help}")]
    UnknownColumn {
        /// The name in the query.
        name: String,
        /// The nearest name, or all names.
        help: String,
    },
    /// The statement would change something.
    #[error("only queries are allowed here, this would change data or settings: {statement}")]
    NotAQuery {
        /// The statement's beginning.
        statement: String,
    },
    /// A table's log could not be read.
    #[error(transparent)]
    Table(#[from] SinkError),
    /// The query is not SQL, or failed.
    #[error("{0}")]
    Sql(#[from] datafusion::error::DataFusionError),
    /// The rows could not be written as text.
    #[error("format the result: {0}")]
    Format(#[from] arrow::error::ArrowError),
}
