//! Errors and notices as PostgreSQL tells them.

use std::path::PathBuf;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use super::values::error::{EncodeError, ParameterError};
use crate::catalog::postgres::SettingError;
use crate::error::QueryError;
use crate::service::{SqlState, Stopped};

/// Longest text of one field of an error.
const FIELD_CHARS_MAX: usize = 4_000;

/// Why the port does not begin.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Whoever reaches the address could read everything.
    #[error(
        "the PostgreSQL port does not listen on {listen} without users, as anyone there could read \
         all tables\n  listen on 127.0.0.1, or name a file of users: `users = \"users.toml\"` in \
         [query]"
    )]
    NoUsers {
        /// The address.
        listen: std::net::SocketAddr,
    },
    /// The address can't be had.
    #[error("the PostgreSQL port can't listen on {listen}: {source}")]
    Listen {
        /// The address.
        listen: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The system gives no threads.
    #[error("start the threads of the PostgreSQL port: {0}")]
    Threads(std::io::Error),
    /// A file of TLS can't be used.
    #[error("TLS of the PostgreSQL port: {file}: {reason}")]
    Tls {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// How bad a problem is for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The statement fails.
    Error,
    /// The connection ends.
    Fatal,
    /// Nothing fails.
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
        }
    }
}

/// What a client is told of a failure, or warned of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// The character of the client's text, counted from 1.
    pub(super) position: Option<usize>,
}

impl Problem {
    fn of(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity, code, message, detail: None, hint: None, position: None }
    }

    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::of(Severity::Error, code, message)
    }

    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::of(Severity::Fatal, code, message)
    }

    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::of(Severity::Warning, code, message)
    }

    /// The bytes of a message are not what its type says.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::error("08P01", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::error(SqlState::UNSUPPORTED.0, message)
    }

    /// A statement that would change something.
    pub(super) fn read_only(what: &str) -> Self {
        let message = format!("cannot execute {what} in a read-only transaction");
        Self::error(SqlState::READ_ONLY.0, message)
    }

    /// As PostgreSQL's parser says it; without a token, the text ends too early.
    pub(super) fn syntax(token: Option<&str>, position: usize) -> Self {
        let message = match token {
            Some(token) => format!("syntax error at or near \"{token}\""),
            None => "syntax error at end of input".to_owned(),
        };
        Self { position: Some(position), ..Self::error(SqlState::SYNTAX.0, message) }
    }

    pub(super) fn shutdown() -> Self {
        let message = "terminating connection due to administrator command";
        Self::fatal(SqlState::SHUTDOWN.0, message)
    }

    pub(super) fn stopped(why: Stopped) -> Self {
        match why {
            Stopped::ShuttingDown => Self::shutdown(),
            Stopped::Cancelled | Stopped::TimedOut => Self::from(QueryError::Stopped(why)),
        }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// A position within a part of the client's text, as one within all of it.
    pub(super) fn moved(self, characters: usize) -> Self {
        Self { position: self.position.map(|position| position + characters), ..self }
    }

    pub(super) fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }

    /// The message for the client.
    pub(super) fn message(&self) -> PgWireBackendMessage {
        let severity = self.severity.name().to_owned();
        let mut fields = vec![
            (b'S', severity.clone()),
            (b'V', severity),
            (b'C', self.code.to_owned()),
            (b'M', cut(&self.message)),
        ];
        fields.extend(self.detail.as_ref().map(|detail| (b'D', cut(detail))));
        fields.extend(self.hint.as_ref().map(|hint| (b'H', cut(hint))));
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        match self.severity {
            Severity::Warning => PgWireBackendMessage::NoticeResponse(NoticeResponse::new(fields)),
            Severity::Error | Severity::Fatal => {
                PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
            }
        }
    }
}

/// A text that fits a field: no zero byte, no end of all memory.
fn cut(text: &str) -> String {
    text.chars().filter(|&c| c != '\0').take(FIELD_CHARS_MAX).collect()
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        Self::error(error.sqlstate(), error.to_string())
    }
}

impl From<ParameterError> for Problem {
    fn from(error: ParameterError) -> Self {
        Self::error(error.sqlstate(), error.to_string())
    }
}

impl From<SettingError> for Problem {
    fn from(error: SettingError) -> Self {
        Self::error(error.sqlstate(), error.to_string())
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = error.sql_state().0;
        let position = error.position();
        let problem = match &error {
            QueryError::UnknownTable { name, help } => {
                Self::error(code, format!("relation \"{name}\" does not exist")).with_hint(help)
            }
            QueryError::UnknownColumn { name, help } => {
                Self::error(code, format!("column \"{name}\" does not exist")).with_hint(help)
            }
            QueryError::Syntax { .. }
            | QueryError::NotAQuery { .. }
            | QueryError::Stopped(_)
            | QueryError::Busy { .. }
            | QueryError::TooManyRows { .. }
            | QueryError::Behind { .. } => Self::error(code, error.to_string()),
            QueryError::Sql(inner) => of_datafusion(code, inner),
            QueryError::Format(inner) => of_arrow(code, inner),
            // Their texts name files of this machine.
            QueryError::NoTables { .. }
            | QueryError::List { .. }
            | QueryError::Table(_)
            | QueryError::Store(_)
            | QueryError::Audit(_)
            | QueryError::Start(_) => hidden(code, &error),
        };
        Self { position, ..problem }
    }
}

/// An error whose text is not for clients.
fn hidden(code: &'static str, error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = %error, code, "a statement of the PostgreSQL port failed");
    let message = match code {
        "58030" => "could not read the data of the tables",
        _ => "internal error",
    };
    Problem::error(code, message).with_hint("The log of the server says more.")
}

fn of_datafusion(code: &'static str, error: &DataFusionError) -> Problem {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => of_schema(code, schema),
        DataFusionError::Plan(said) if code == SqlState::UNKNOWN_FUNCTION.0 => {
            of_function(code, said)
        }
        DataFusionError::ResourcesExhausted(said) => {
            Problem::error(code, "out of memory").with_detail(first_line(said))
        }
        DataFusionError::ArrowError(inner, _) => of_arrow(code, inner),
        DataFusionError::Plan(said)
        | DataFusionError::NotImplemented(said)
        | DataFusionError::Execution(said)
        | DataFusionError::Configuration(said) => match code {
            "22012" => Problem::error(code, "division by zero"),
            _ => Problem::error(code, first_line(said)),
        },
        DataFusionError::SQL(inner, _) => Problem::error(code, inner.to_string()),
        root => hidden(code, root),
    }
}

/// DataFusion adds a trace of the place in its own source behind some texts.
fn first_line(said: &str) -> String {
    let said = said.split("\n\nbacktrace").next().unwrap_or(said);
    said.trim().to_owned()
}

fn of_schema(code: &'static str, error: &SchemaError) -> Problem {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => format!("\"{}\"", field.name),
            };
            let names: Vec<&str> =
                valid_fields.iter().take(20).map(|column| column.name.as_str()).collect();
            let problem = Problem::error(code, format!("column {name} does not exist"));
            if names.is_empty() {
                problem
            } else {
                problem.with_hint(format!("Columns here are {}.", names.join(", ")))
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Problem::error(code, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Problem::error(code, format!("column \"{name}\" specified more than once"))
        }
    }
}

fn of_function(code: &'static str, said: &str) -> Problem {
    let name = said.split('\'').nth(1).unwrap_or_default();
    Problem::error(code, format!("function {name} does not exist")).with_detail(first_line(said))
}

fn of_arrow(code: &'static str, error: &ArrowError) -> Problem {
    match error {
        ArrowError::DivideByZero => Problem::error(code, "division by zero"),
        ArrowError::CastError(said) | ArrowError::ParseError(said) => {
            Problem::error(code, of_cast(said).unwrap_or_else(|| first_line(said)))
        }
        ArrowError::ArithmeticOverflow(said) => {
            Problem::error(code, "value out of range").with_detail(first_line(said))
        }
        ArrowError::InvalidArgumentError(said) | ArrowError::ComputeError(said) => {
            Problem::error(code, first_line(said))
        }
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => of_datafusion(code, inner),
            None => hidden(code, error),
        },
        _ => hidden(code, error),
    }
}

/// `Cannot cast string 'x' to value of Int64 type` as PostgreSQL says it.
fn of_cast(said: &str) -> Option<String> {
    let rest = said.strip_prefix("Cannot cast string '")?;
    let (text, to) = rest.rsplit_once("' to value of ")?;
    let name = match to.split([' ', '(']).next()? {
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" => "bigint",
        "UInt64" | "Decimal128" | "Decimal256" => "numeric",
        "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" | "Date64" => "date",
        _ => return None,
    };
    Some(format!("invalid input syntax for type {name}: \"{text}\""))
}

/// Why a connection's step did not come to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The client is not there any more.
    Gone,
    /// The client is told why.
    Problem(Box<Problem>),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<QueryError> for Halt {
    fn from(error: QueryError) -> Self {
        Problem::from(error).into()
    }
}

impl From<EncodeError> for Halt {
    fn from(error: EncodeError) -> Self {
        Problem::from(error).into()
    }
}

impl From<ParameterError> for Halt {
    fn from(error: ParameterError) -> Self {
        Problem::from(error).into()
    }
}

impl From<SettingError> for Halt {
    fn from(error: SettingError) -> Self {
        Problem::from(error).into()
    }
}

/// What steps of a connection give.
pub(super) type Step<T> = Result<T, Halt>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_begin_as_those_of_postgres_do() {
        for (error, code, text) in [
            (
                QueryError::UnknownTable { name: "t".into(), help: "h".into() },
                "42P01",
                "relation \"t\" does not exist",
            ),
            (
                QueryError::Format(ArrowError::CastError(
                    "Cannot cast string 'a' to value of Int64 type".into(),
                )),
                "22P02",
                "invalid input syntax for type bigint: \"a\"",
            ),
            (DataFusionError::from(ArrowError::DivideByZero).into(), "22012", "division by zero"),
            (
                QueryError::Stopped(Stopped::TimedOut),
                "57014",
                "canceling statement due to statement timeout",
            ),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.code, problem.message.as_str()), (code, text));
        }
    }

    #[test]
    fn paths_are_not_told() {
        let location = PathBuf::from("/secret/place");
        let source = std::io::Error::other("/secret/place is gone");
        for error in [
            QueryError::NoTables { location: location.clone() },
            QueryError::List { location, source },
            DataFusionError::IoError(std::io::Error::other("/secret/x")).into(),
        ] {
            let told = format!("{:?}", Problem::from(error).message());
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
