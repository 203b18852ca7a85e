//! What a client has set for its own session.

use std::time::{Duration, Instant};

/// Settings that change what a statement gives or how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// The zone in which instants are shown and local times are meant, a name of the IANA database
    /// or an offset.
    pub time_zone: String,
    /// How long a statement may take each time that its client asks for rows, if less than the
    /// service's own limit.
    pub statement_timeout: Option<Duration>,
    /// When the client's right to ask ends, such as that of its token.
    pub until: Option<Instant>,
    /// What the client calls itself.
    pub application_name: String,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            time_zone: "UTC".to_owned(),
            statement_timeout: None,
            until: None,
            application_name: String::new(),
        }
    }
}
