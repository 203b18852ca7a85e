//! What errors of queries are to PostgreSQL's clients: codes, and texts where ours are others.

use std::error::Error;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::sqlstate::SqlState;
use super::words::{Said, of_cast, of_internal, of_plan, of_unsupported, of_work};
use crate::catalog::postgres::SettingError;
use crate::catalog::value_error::ValueError;
use crate::error::QueryError;
use crate::stopped::Stopped;

impl QueryError {
    /// The code that tells programs what went wrong.
    #[must_use]
    pub fn sql_state(&self) -> SqlState {
        self.said().0
    }

    /// What went wrong, for who has written the statement: PostgreSQL's text where there is one.
    #[must_use]
    pub fn message(&self) -> String {
        let Self::Sql(error) = self else {
            return self.postgres_text().unwrap_or_else(|| self.to_string());
        };
        // DataFusion says at which of its stages each error came up.
        self.postgres_text().unwrap_or_else(|| match error.find_root() {
            DataFusionError::External(error) => error.to_string(),
            DataFusionError::ArrowError(error, _) => error.to_string(),
            root => root.message().into_owned(),
        })
    }

    /// PostgreSQL's text for what went wrong, where DataFusion's is another.
    pub(crate) fn postgres_text(&self) -> Option<String> {
        self.said().1
    }

    fn said(&self) -> Said {
        let code = match self {
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
            Self::Sql(error) => return of_datafusion(error),
            Self::Format(error) => return of_arrow(error),
        };
        (code, None)
    }
}

fn of_datafusion(error: &DataFusionError) -> Said {
    let code = match error.find_root() {
        DataFusionError::SQL(..) => SqlState::SYNTAX,
        DataFusionError::SchemaError(schema, _) => return of_schema(schema),
        DataFusionError::Plan(said) => return of_plan(said),
        DataFusionError::NotImplemented(said) => return of_unsupported(said),
        DataFusionError::ResourcesExhausted(_) => SqlState::OUT_OF_MEMORY,
        DataFusionError::ArrowError(error, _) => return of_arrow(error),
        DataFusionError::Execution(said) => return of_work(said),
        DataFusionError::Internal(said) => {
            return of_internal(said).unwrap_or((SqlState::INTERNAL, None));
        }
        DataFusionError::IoError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::ParquetError(_) => SqlState::IO,
        DataFusionError::External(error) => return of_another(error.as_ref()),
        _ => SqlState::INTERNAL,
    };
    (code, None)
}

/// What our functions say, and other crates.
fn of_another(error: &(dyn Error + Send + Sync + 'static)) -> Said {
    if let Some(error) = error.downcast_ref::<ValueError>() {
        return (SqlState(error.state), Some(error.message.clone()));
    }
    if let Some(error) = error.downcast_ref::<SettingError>() {
        return (SqlState(error.sqlstate()), Some(error.to_string()));
    }
    of_internal(&error.to_string()).unwrap_or((SqlState::INTERNAL, None))
}

fn of_schema(error: &SchemaError) -> Said {
    match error {
        SchemaError::FieldNotFound { .. } => (SqlState::UNKNOWN_COLUMN, None),
        SchemaError::AmbiguousReference { .. } => (SqlState::AMBIGUOUS_COLUMN, None),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let text = format!("table name \"{}\" specified more than once", qualifier.table());
            (SqlState("42712"), Some(text))
        }
        SchemaError::DuplicateUnqualifiedField { .. } => (SqlState("42701"), None),
    }
}

fn of_arrow(error: &ArrowError) -> Said {
    let code = match error {
        ArrowError::DivideByZero => SqlState::DIVISION_BY_ZERO,
        ArrowError::ArithmeticOverflow(_) | ArrowError::DictionaryKeyOverflowError => {
            SqlState::OUT_OF_RANGE
        }
        ArrowError::CastError(said) | ArrowError::ParseError(said) => return of_cast(said),
        ArrowError::InvalidArgumentError(said) | ArrowError::ComputeError(said) => {
            return of_work(said);
        }
        ArrowError::ExternalError(error) => {
            return match error.downcast_ref::<DataFusionError>() {
                Some(error) => of_datafusion(error),
                None => of_another(error.as_ref()),
            };
        }
        ArrowError::MemoryError(_) => SqlState::OUT_OF_MEMORY,
        ArrowError::IoError(..) | ArrowError::ParquetError(_) => SqlState::IO,
        ArrowError::NotYetImplemented(_) => SqlState::UNSUPPORTED,
        _ => SqlState::INTERNAL,
    };
    (code, None)
}
