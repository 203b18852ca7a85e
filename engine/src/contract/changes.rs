//! Changes captured from a database, in one form whatever captured them: Debezium's records and
//! PostgreSQL's own replication.
//!
//! Each row holds the table's row after a change, in the user's columns. These columns describe the
//! change:
//!
//! | column | | |
//! | --- | --- | --- |
//! | `_op` | text | [`Op`] |
//! | `_committed_at` | timestamp | when the transaction was committed at the database |
//! | `_commit_position` | int64 or null | orders transactions |
//! | `_position` | int64 or null | orders changes within one |
//! | `_transaction` | text or null | the transaction's id |
//! | `_unchanged` | text or null | comma-separated names of columns whose value was not sent |
//!
//! Changes are ordered by `_commit_position`, then by `_position`, never by `_position` alone;
//! where both are null, by their offset in the source. For a row of a snapshot, `_committed_at` is
//! when the row was read. A column that `_unchanged` names was not sent because its value did not
//! change; here it is null.
//!
//! A deletion has the key's columns only, the others null, whatever the capturing program fills in.
//! A change of a key is a deletion and a creation. A truncation has no column at all: it takes
//! every row of the table away. The user's columns are all nullable.

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Column of the kind of change, as [`Op::code`].
pub const OP: &str = "_op";
/// Column of when the change was committed.
pub const COMMITTED_AT: &str = "_committed_at";
/// Column that orders transactions.
pub const COMMIT_POSITION: &str = "_commit_position";
/// Column that orders changes within a transaction.
pub const POSITION: &str = "_position";
/// Column of the transaction's id.
pub const TRANSACTION: &str = "_transaction";
/// Column that names the columns whose value was not sent.
pub const UNCHANGED: &str = "_unchanged";
/// The number of columns that describe the change; they follow the user's columns.
pub const CHANGE_COLUMNS: usize = 6;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It was inserted.
    Create,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
    /// It was there when a snapshot was read.
    Read,
    /// All rows of the table were deleted at once.
    Truncate,
}

impl Op {
    /// The operation's code in the column [`OP`], which is Debezium's code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Read => "r",
            Self::Truncate => "t",
        }
    }

    /// The inverse of [`Self::code`].
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete, Self::Read, Self::Truncate]
            .into_iter()
            .find(|op| op.code() == code)
    }
}

/// The columns that say what happened, in order.
#[must_use]
pub fn change_fields() -> [Field; CHANGE_COLUMNS] {
    [
        Field::new(OP, DataType::Utf8, false),
        Field::new(
            COMMITTED_AT,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ),
        Field::new(COMMIT_POSITION, DataType::Int64, true),
        Field::new(POSITION, DataType::Int64, true),
        Field::new(TRANSACTION, DataType::Utf8, true),
        Field::new(UNCHANGED, DataType::Utf8, true),
    ]
}
