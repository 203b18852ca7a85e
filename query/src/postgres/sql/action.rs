//! The kinds of statements that the port knows.

use super::origin::Origin;
use crate::postgres::error::Problem;
use crate::postgres::values::copy::CopyOptions;
use crate::service::Statement;

/// A statement that gives rows of tables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// What the core runs.
    pub(crate) statement: Statement,
    /// The largest number of a `$1`.
    pub(crate) parameters: usize,
    /// Where it stands in the client's text.
    pub(crate) origin: Origin,
}

/// For how long a setting is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Until the connection's end.
    Session,
    /// Until the transaction's end.
    Local,
}

/// Where a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// So many rows on; none: all that are left.
    Forward(Option<u64>),
    /// To the row of a number, counted from 1.
    Absolute(u64),
    /// To the so manyth row from here.
    Relative(u64),
    /// Backward, or to the last row.
    Back,
}

/// What one statement asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Nothing: only spaces and comments.
    Empty,
    /// Rows.
    Query(Box<Query>),
    /// The plan of a query, which is run too if it says so.
    Explain(Box<Query>),
    /// `BEGIN`, `START TRANSACTION`: the tag, and the level of isolation that was named.
    Begin { tag: &'static str, isolation: Option<&'static str> },
    /// `COMMIT`.
    Commit { chain: bool },
    /// `ROLLBACK`.
    Rollback { chain: bool },
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE name`.
    Release(String),
    /// `ROLLBACK TO name`.
    RollbackTo(String),
    /// `SET name = value`; none: back to what it was at start.
    Set { name: String, value: Option<String>, scope: Scope },
    /// `SHOW name`.
    Show(String),
    /// `SHOW ALL`.
    ShowAll,
    /// `RESET name`, or `RESET ALL`.
    Reset(Option<String>),
    /// `DISCARD ALL`.
    DiscardAll,
    /// `DEALLOCATE name`, or `DEALLOCATE ALL`.
    Deallocate(Option<String>),
    /// `PREPARE name (types) AS statement`.
    Prepare { name: String, types: Vec<u32>, action: Box<Action> },
    /// `EXECUTE name (values)`: the values as they are written.
    Execute { name: String, values: Vec<String> },
    /// `DECLARE name CURSOR FOR query`.
    Declare { name: String, binary: bool, hold: bool, query: Box<Query> },
    /// `FETCH`.
    Fetch { name: String, to: Move },
    /// `MOVE`: as `FETCH`, without rows.
    MoveTo { name: String, to: Move },
    /// `CLOSE name`, or `CLOSE ALL`.
    Close(Option<String>),
    /// `COPY … TO STDOUT`.
    Copy { query: Box<Query>, options: Box<CopyOptions> },
    /// What is taken and changes nothing here.
    Accepted { tag: &'static str },
    /// What is known and not done.
    Refused(Box<Problem>),
}

impl Action {
    /// The query of which it gives rows or for which it opens a cursor.
    pub(crate) fn query(&self) -> Option<&Query> {
        match self {
            Self::Query(query)
            | Self::Explain(query)
            | Self::Declare { query, .. }
            | Self::Copy { query, .. } => Some(query),
            Self::Empty
            | Self::Begin { .. }
            | Self::Commit { .. }
            | Self::Rollback { .. }
            | Self::Savepoint(_)
            | Self::Release(_)
            | Self::RollbackTo(_)
            | Self::Set { .. }
            | Self::Show(_)
            | Self::ShowAll
            | Self::Reset(_)
            | Self::DiscardAll
            | Self::Deallocate(_)
            | Self::Prepare { .. }
            | Self::Execute { .. }
            | Self::Fetch { .. }
            | Self::MoveTo { .. }
            | Self::Close(_)
            | Self::Accepted { .. }
            | Self::Refused(_) => None,
        }
    }

    /// A problem of its query with the place of what it is about.
    pub(crate) fn placed(&self, problem: Problem) -> Problem {
        match self.query() {
            Some(query) => query.origin.placed(problem),
            None => problem,
        }
    }

    /// The largest number of a `$1`.
    pub(crate) fn parameters(&self) -> usize {
        self.query().map_or(0, |query| query.parameters)
    }

    /// Whether it may run in a transaction that has failed: it ends it.
    pub(crate) fn ends_failure(&self) -> bool {
        matches!(self, Self::Commit { .. } | Self::Rollback { .. } | Self::RollbackTo(_))
    }
}
