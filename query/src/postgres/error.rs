//! Errors and notices as PostgreSQL tells them.

use std::path::PathBuf;

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

impl Halt {
    /// With its problem changed, if it is one.
    pub(super) fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        match self {
            Self::Problem(problem) => change(*problem).into(),
            Self::Gone => Self::Gone,
        }
    }
}

/// What steps of a connection give.
pub(super) type Step<T> = Result<T, Halt>;
