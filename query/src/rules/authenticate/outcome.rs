//! What comes of signing in.

use crate::user::User;

/// How a client has to show who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A SCRAM exchange, or a password in clear over TLS.
    Password,
    /// A token in place of a password, over TLS alone.
    Token,
}

/// A user that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who it is.
    pub user: User,
    /// When its token ends, in seconds since 1970; none for a password.
    pub until: Option<i64>,
}

/// Why somebody was not let in. What is displayed is for our log alone: the client is told the same
/// whatever it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(in crate::rules) String);

impl Refusal {
    /// The text for the client, which begins as PostgreSQL's does (SQLSTATE 28P01).
    #[must_use]
    pub fn told(name: &str) -> String {
        format!("password authentication failed for user \"{name}\"")
    }
}
