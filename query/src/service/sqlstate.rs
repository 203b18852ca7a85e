//! SQLSTATEs of errors, as PostgreSQL gives them.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::stopped::Stopped;
use crate::error::QueryError;

/// A code of five characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlState(pub &'static str);

impl SqlState {
    /// What is asked for is not built.
    pub const UNSUPPORTED: Self = Self("0A000");
    /// Text is not of the form of its type.
    pub const INVALID_TEXT: Self = Self("22P02");
    /// A number does not fit its type.
    pub const OUT_OF_RANGE: Self = Self("22003");
    /// A division by zero.
    pub const DIVISION_BY_ZERO: Self = Self("22012");
    /// Text is no date or time.
    pub const INVALID_DATETIME: Self = Self("22007");
    /// A change where only reading is allowed.
    pub const READ_ONLY: Self = Self("25006");
    /// Not SQL.
    pub const SYNTAX: Self = Self("42601");
    /// No such table.
    pub const UNKNOWN_TABLE: Self = Self("42P01");
    /// No such column.
    pub const UNKNOWN_COLUMN: Self = Self("42703");
    /// A name that means several columns.
    pub const AMBIGUOUS_COLUMN: Self = Self("42702");
    /// No such function, or none for these types.
    pub const UNKNOWN_FUNCTION: Self = Self("42883");
    /// A column that is neither grouped nor aggregated.
    pub const GROUPING: Self = Self("42803");
    /// Types that do not go together.
    pub const TYPE_MISMATCH: Self = Self("42804");
    /// No memory.
    pub const OUT_OF_MEMORY: Self = Self("53200");
    /// No place.
    pub const TOO_MANY: Self = Self("53300");
    /// More than the user may take.
    pub const LIMIT: Self = Self("53400");
    /// Stopped by its user or by time.
    pub const CANCELLED: Self = Self("57014");
    /// The program ends.
    pub const SHUTDOWN: Self = Self("57P01");
    /// The disk says no.
    pub const IO: Self = Self("58030");
    /// A fault of the program.
    pub const INTERNAL: Self = Self("XX000");
}

impl QueryError {
    /// The code that tells programs what went wrong.
    #[must_use]
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::Syntax { .. } => SqlState::SYNTAX,
            Self::UnknownTable { .. } => SqlState::UNKNOWN_TABLE,
            Self::UnknownColumn { .. } => SqlState::UNKNOWN_COLUMN,
            Self::NotAQuery { .. } => SqlState::READ_ONLY,
            Self::Stopped(Stopped::Cancelled | Stopped::TimedOut) => SqlState::CANCELLED,
            Self::Stopped(Stopped::ShuttingDown) => SqlState::SHUTDOWN,
            Self::Busy { .. } => SqlState::TOO_MANY,
            Self::TooManyRows { .. } => SqlState::LIMIT,
            Self::NoTables { .. }
            | Self::List { .. }
            | Self::Table(_)
            | Self::Store(_)
            | Self::Behind { .. }
            | Self::Audit(_)
            | Self::Start(_) => SqlState::IO,
            Self::Sql(error) => of_datafusion(error),
            Self::Format(error) => of_arrow(error),
        }
    }
}

fn of_datafusion(error: &DataFusionError) -> SqlState {
    match error.find_root() {
        DataFusionError::SQL(..) => SqlState::SYNTAX,
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { .. } => SqlState::UNKNOWN_COLUMN,
            SchemaError::AmbiguousReference { .. } => SqlState::AMBIGUOUS_COLUMN,
            SchemaError::DuplicateQualifiedField { .. }
            | SchemaError::DuplicateUnqualifiedField { .. } => SqlState("42701"),
        },
        DataFusionError::Plan(said) => of_plan(said),
        DataFusionError::NotImplemented(_) => SqlState::UNSUPPORTED,
        DataFusionError::ResourcesExhausted(_) => SqlState::OUT_OF_MEMORY,
        DataFusionError::ArrowError(error, _) => of_arrow(error),
        DataFusionError::Execution(said) => of_execution(said),
        DataFusionError::IoError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::ParquetError(_) => SqlState::IO,
        _ => SqlState::INTERNAL,
    }
}

/// DataFusion's planner tells what is wrong only in words.
fn of_plan(said: &str) -> SqlState {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["table '", "No table named"]) && has(&["not found", "No table named"]) {
        SqlState::UNKNOWN_TABLE
    } else if has(&["Invalid function", "No function matches", "Function '", "function '"]) {
        SqlState::UNKNOWN_FUNCTION
    } else if has(&["must appear in the GROUP BY", "must be in GROUP BY", "GROUP BY clause"]) {
        SqlState::GROUPING
    } else if has(&["annot coerce", "annot infer common", "annot cast", "type_coercion"]) {
        SqlState::TYPE_MISMATCH
    } else {
        SqlState::SYNTAX
    }
}

fn of_execution(said: &str) -> SqlState {
    if said.contains("ivide by zero") {
        SqlState::DIVISION_BY_ZERO
    } else if said.contains("verflow") || said.contains("out of range") {
        SqlState::OUT_OF_RANGE
    } else {
        // Functions say so of their arguments.
        SqlState("22023")
    }
}

fn of_arrow(error: &ArrowError) -> SqlState {
    match error {
        ArrowError::DivideByZero => SqlState::DIVISION_BY_ZERO,
        ArrowError::ArithmeticOverflow(_) | ArrowError::DictionaryKeyOverflowError => {
            SqlState::OUT_OF_RANGE
        }
        ArrowError::CastError(said) | ArrowError::ParseError(said) => {
            let is_time = ["imestamp", "Date32", "Date64", "Time32", "Time64"];
            if said.contains("too large")
                || said.contains("overflow")
                || said.contains("can't cast")
            {
                SqlState::OUT_OF_RANGE
            } else if is_time.iter().any(|word| said.contains(word)) {
                SqlState::INVALID_DATETIME
            } else {
                SqlState::INVALID_TEXT
            }
        }
        ArrowError::MemoryError(_) => SqlState::OUT_OF_MEMORY,
        ArrowError::IoError(..) | ArrowError::ParquetError(_) => SqlState::IO,
        ArrowError::NotYetImplemented(_) => SqlState::UNSUPPORTED,
        ArrowError::InvalidArgumentError(_) | ArrowError::ComputeError(_) => SqlState("22023"),
        _ => SqlState::INTERNAL,
    }
}
