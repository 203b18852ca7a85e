//! Errors as gRPC tells them.

use datafusion::error::DataFusionError;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::catalog::postgres::SettingError;
use crate::error::QueryError;
use crate::service::{SqlState, Stopped};

/// Longest text of an error, in bytes of the header in which it goes: clients in Java take 8 KiB of
/// headers.
const TEXT_BYTES_MAX: usize = 5_000;
/// The header in which the SQLSTATE of an error is.
const SQL_STATE: &str = "sqlstate";
/// What is told of a statement that finds no memory.
const OUT_OF_MEMORY: &str =
    "out of memory: the statement needs more memory than is left for it now";

/// What a client is told of an error of a statement.
pub(super) fn status(error: &QueryError) -> Status {
    let state = error.sql_state();
    let is_late = matches!(error, QueryError::Stopped(Stopped::TimedOut));
    let code = if is_late { Code::DeadlineExceeded } else { code_of(state) };
    with_state(code, state, text(error))
}

/// A status with a SQLSTATE.
pub(super) fn with_state(code: Code, state: SqlState, text: impl Into<String>) -> Status {
    let text = cut(&text.into());
    let mut headers = MetadataMap::new();
    headers.insert(SQL_STATE, MetadataValue::from_static(state.0));
    Status::with_metadata(code, text, headers)
}

/// A text as long as a header may be, in which most marks and all letters beyond ASCII take three
/// bytes for each of their own.
fn cut(text: &str) -> String {
    let mut bytes = 0;
    let fits = |letter: &char| {
        bytes += if letter.is_ascii_alphanumeric() { 1 } else { 3 * letter.len_utf8() };
        bytes <= TEXT_BYTES_MAX
    };
    text.chars().take_while(fits).collect()
}

/// Something that is not SQL's: an argument of a call that can't be used.
pub(super) fn invalid(text: impl Into<String>) -> Status {
    Status::invalid_argument(text)
}

/// A statement that would change something, and whatever else writes.
pub(super) fn read_only() -> Status {
    let text = "only reading is allowed here: nothing can be changed through this port";
    with_state(code_of(SqlState::READ_ONLY), SqlState::READ_ONLY, text)
}

/// A plan instead of SQL.
pub(super) fn no_substrait() -> Status {
    let text = "Substrait plans are not taken: send the statement as SQL";
    with_state(Code::Unimplemented, SqlState::UNSUPPORTED, text)
}

/// The port ends.
pub(super) fn ending() -> Status {
    status(&QueryError::Stopped(Stopped::ShuttingDown))
}

/// A fault of ours: the log has what it is.
pub(super) fn internal(what: &str, error: &dyn std::error::Error) -> Status {
    tracing::error!(%error, "the Flight SQL port could not {what}");
    with_state(Code::Internal, SqlState::INTERNAL, format!("could not {what}"))
}

/// By the classes of SQLSTATEs, and where a class has several meanings by the state.
fn code_of(state: SqlState) -> Code {
    match state {
        SqlState::UNKNOWN_TABLE | SqlState::UNKNOWN_COLUMN | SqlState::UNKNOWN_FUNCTION => {
            Code::NotFound
        }
        SqlState::READ_ONLY => Code::PermissionDenied,
        SqlState::CANCELLED => Code::Cancelled,
        SqlState::SHUTDOWN => Code::Unavailable,
        SqlState(other) => match other.get(..2) {
            Some("0A") => Code::Unimplemented,
            Some("22" | "42") => match other {
                "42501" => Code::PermissionDenied,
                _ => Code::InvalidArgument,
            },
            Some("53") => Code::ResourceExhausted,
            _ => Code::Internal,
        },
    }
}

/// The text for the client: without paths of this machine.
fn text(error: &QueryError) -> String {
    match error {
        QueryError::Syntax { message, position: Some(position) } => {
            format!("{message}, at character {position}")
        }
        QueryError::Syntax { .. }
        | QueryError::UnknownTable { .. }
        | QueryError::UnknownColumn { .. }
        | QueryError::NotAQuery { .. }
        | QueryError::Stopped(_)
        | QueryError::Busy { .. }
        | QueryError::TooManyRows { .. }
        | QueryError::Behind { .. } => error.to_string(),
        QueryError::Format(inner) => inner.to_string(),
        QueryError::Sql(inner) => of_datafusion(inner),
        QueryError::NoTables { .. }
        | QueryError::List { .. }
        | QueryError::Table(_)
        | QueryError::Store(_)
        | QueryError::Audit(_)
        | QueryError::Start(_) => {
            tracing::error!(%error, "a statement of the Flight SQL port failed");
            "could not read the data of the tables; the log of the server says more".to_owned()
        }
    }
}

fn of_datafusion(error: &DataFusionError) -> String {
    let root = error.find_root();
    let said = match root {
        DataFusionError::Plan(said)
        | DataFusionError::NotImplemented(said)
        | DataFusionError::Execution(said)
        | DataFusionError::Configuration(said) => said.clone(),
        DataFusionError::ResourcesExhausted(said) => {
            // How much is held, and by what, tells of others.
            tracing::info!(said, "a statement finds no memory");
            OUT_OF_MEMORY.to_owned()
        }
        DataFusionError::SchemaError(..) | DataFusionError::SQL(..) => root.to_string(),
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        DataFusionError::External(inner) if inner.is::<SettingError>() => inner.to_string(),
        _ => {
            tracing::error!(error = %root, "a statement of the Flight SQL port failed");
            "the statement failed; the log of the server says more".to_owned()
        }
    };
    // DataFusion adds a trace of the place in its own source behind some texts.
    said.split("\n\nbacktrace").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use arrow::error::ArrowError;

    use super::*;

    #[test]
    fn codes_say_whose_fault_it_is() {
        let datafusion = |error: DataFusionError| QueryError::Sql(error);
        let memory = DataFusionError::ResourcesExhausted("x".into());
        let cases = [
            (QueryError::Syntax { message: "m".into(), position: Some(3) }, 3, "42601"),
            (QueryError::UnknownTable { name: "t".into(), help: "h".into() }, 5, "42P01"),
            (QueryError::UnknownColumn { name: "t".into(), help: "h".into() }, 5, "42703"),
            (QueryError::NotAQuery { statement: "insert".into() }, 7, "25006"),
            (QueryError::Stopped(Stopped::Cancelled), 1, "57014"),
            (QueryError::Stopped(Stopped::TimedOut), 4, "57014"),
            (QueryError::Stopped(Stopped::ShuttingDown), 14, "57P01"),
            (QueryError::Busy { waiting: 1 }, 8, "53300"),
            (QueryError::TooManyRows { rows_max: 1 }, 8, "53400"),
            (QueryError::Format(ArrowError::DivideByZero), 3, "22012"),
            (datafusion(memory), 8, "53200"),
            (datafusion(DataFusionError::NotImplemented("x".into())), 12, "0A000"),
            (datafusion(DataFusionError::Plan("Invalid function 'f'".into())), 5, "42883"),
            (datafusion(DataFusionError::Internal("x".into())), 13, "XX000"),
        ];
        for (error, code, state) in cases {
            let status = status(&error);
            assert_eq!(status.code(), Code::from(code), "{error}");
            let told = status.metadata().get(SQL_STATE).unwrap();
            assert_eq!(told.to_str().unwrap(), state, "{error}");
        }
    }

    #[test]
    fn texts_fit_a_header() {
        assert_eq!(cut("a'ä"), "a'ä");
        assert_eq!(cut(&"x".repeat(10_000)).len(), TEXT_BYTES_MAX);
        assert_eq!(cut(&"ä".repeat(10_000)).chars().count(), TEXT_BYTES_MAX / 6);
    }

    #[test]
    fn the_memory_of_others_is_not_told() {
        let said = "Failed to allocate 5 MB with top memory consumers (across 3 users): secret";
        let error = QueryError::Sql(DataFusionError::ResourcesExhausted(said.into()));
        assert_eq!(status(&error).message(), OUT_OF_MEMORY);
    }

    #[test]
    fn paths_are_not_told() {
        let location = PathBuf::from("/secret/place");
        let source = std::io::Error::other("/secret/place is gone");
        for error in [
            QueryError::NoTables { location: location.clone() },
            QueryError::List { location, source },
            QueryError::Sql(DataFusionError::IoError(std::io::Error::other("/secret/x"))),
        ] {
            assert!(!status(&error).message().contains("secret"));
        }
    }
}
