//! Why a session with a server ends.

use pgwire_replication::PgWireError;
use pgwire_replication::protocol::messages::ErrorFields;

/// Why a session has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// It will be the same the next time: a wrong password, no such table.
    Fatal(String),
    /// It may pass: a server that is away or starting.
    Passing(String),
    /// The server refuses a statement.
    Refused {
        /// The SQLSTATE.
        code: String,
        /// What it says.
        message: String,
    },
    /// What was read before is no longer what the server has.
    Changed(String),
    /// Nobody reads any more.
    Stopped,
}

impl From<std::io::Error> for SessionError {
    fn from(error: std::io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<PgWireError> for SessionError {
    fn from(error: PgWireError) -> Self {
        match error {
            PgWireError::Io(e) => Self::Passing(e.to_string()),
            other => Self::Fatal(other.to_string()),
        }
    }
}

impl SessionError {
    /// What the server says, and whether it may say otherwise later.
    pub(crate) fn of_server(payload: &[u8]) -> Self {
        let fields = ErrorFields::parse(payload);
        let code = fields.code.unwrap_or_default();
        let mut message = fields.message.unwrap_or_else(|| "an error without a message".into());
        for more in [fields.detail, fields.hint].into_iter().flatten() {
            message = format!("{message}; {more}");
        }
        Self::Refused { code, message }
    }

    /// A refusal outside of a statement that is looked at: shutting down, too many connections and
    /// the like pass, others don't.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Refused { code, message } => {
                // Connection exceptions, insufficient resources, operator intervention, and a slot
                // that its last reader still holds.
                let passes =
                    ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class))
                        || code == "55006";
                let said = format!("{message} (SQLSTATE {code})");
                if passes { Self::Passing(said) } else { Self::Fatal(said) }
            }
            other @ (Self::Fatal(_) | Self::Passing(_) | Self::Changed(_) | Self::Stopped) => other,
        }
    }
}
