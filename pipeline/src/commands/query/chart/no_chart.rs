//! Why a result is not drawn.

use std::fmt;

/// What can't be drawn, and what could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::query) struct NoChart {
    pub(in crate::commands::query) message: String,
    pub(in crate::commands::query) help: String,
}

impl NoChart {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

impl fmt::Display for NoChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.help)
    }
}
