//! What a session has chosen about the forms of values.

use super::zone::SessionZone;

/// The form of a value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// What PostgreSQL's output functions print.
    Text,
    /// What PostgreSQL's send functions write.
    Binary,
}

/// Settings of a session that change the text of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ValueSettings {
    /// The zone in which instants are shown, and local times meant.
    pub(crate) time_zone: SessionZone,
    /// More than 0: floats have the shortest digits that give the same float again; else that many
    /// digits fewer than 15 or 6.
    pub(crate) extra_float_digits: i8,
}

impl Default for ValueSettings {
    fn default() -> Self {
        Self { time_zone: SessionZone::UTC, extra_float_digits: 1 }
    }
}
