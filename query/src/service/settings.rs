//! What a client has set for its own session.

use std::time::Duration;

/// Settings that change what a statement gives or how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// The zone in which instants are shown and local times are meant, a name of the IANA database
    /// or an offset.
    pub time_zone: String,
    /// How long a statement may take, if less than the service's own limit.
    pub statement_timeout: Option<Duration>,
    /// What the client calls itself.
    pub application_name: String,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            time_zone: "UTC".to_owned(),
            statement_timeout: None,
            application_name: String::new(),
        }
    }
}
