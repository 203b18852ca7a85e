//! Errors of queries.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use riskstream_engine::store::StoreError;
use riskstream_sinks::SinkError;

use crate::rules::AuditError;
use crate::stopped::Stopped;

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
    /// The text is no SQL.
    #[error("{message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// The character of the text at which it is seen, counted from 1.
        position: Option<usize>,
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
    /// The statement was stopped before its end.
    #[error("{}", said_of(*.0))]
    Stopped(Stopped),
    /// Too many statements run or wait.
    #[error("too many statements run at the same time, and {waiting} wait: try again later")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The statement gives more rows than it may.
    #[error("the statement gives more than {rows_max} rows, which is the limit")]
    TooManyRows {
        /// The limit.
        rows_max: u64,
    },
    /// A table's log could not be read.
    #[error(transparent)]
    Table(#[from] SinkError),
    /// A store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Committed rows are neither in the table nor in the store.
    #[error(
        "the table '{table}' lacks epochs {missing} of the pipeline '{pipeline}', and the store \
         does not have them any more: `riskstream plan` says what to do"
    )]
    Behind {
        /// The table.
        table: String,
        /// The pipeline.
        pipeline: String,
        /// The epochs.
        missing: String,
    },
    /// The audit can't be written, so that nothing is answered.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The query is not SQL, or failed.
    #[error("{0}")]
    Sql(#[from] DataFusionError),
    /// The rows could not be written as text.
    #[error("format the result: {0}")]
    Format(#[from] arrow::error::ArrowError),
    /// The system gave no threads or no memory for the service.
    #[error("start the query service: {0}")]
    Start(std::io::Error),
}

fn said_of(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Cancelled => "canceling statement due to user request",
        Stopped::TimedOut => "canceling statement due to statement timeout",
        Stopped::ShuttingDown => "terminating connection due to administrator command",
    }
}

impl QueryError {
    /// What the parser says of a text, with the place that it names.
    pub(crate) fn syntax(text: &str, error: &ParserError) -> Self {
        let said = match error {
            ParserError::TokenizerError(said) | ParserError::ParserError(said) => said.clone(),
            ParserError::RecursionLimitExceeded => {
                "the statement has too many levels of parentheses or subqueries".to_owned()
            }
        };
        let (message, place) = match said.rsplit_once(" at Line: ") {
            Some((message, place)) => (message.to_owned(), Some(place.to_owned())),
            None => (said, None),
        };
        let position = place.and_then(|place| {
            let (line, column) = place.split_once(", Column: ")?;
            let (line, column): (usize, usize) = (line.parse().ok()?, column.trim().parse().ok()?);
            let before = text.split_inclusive('\n').take(line.checked_sub(1)?);
            Some(before.map(|line| line.chars().count()).sum::<usize>() + column)
        });
        Self::Syntax { message: format!("syntax error: {message}"), position }
    }

    /// The character of the statement's text, counted from 1, at which it is wrong.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        if let Self::Syntax { position, .. } = self { *position } else { None }
    }
}
