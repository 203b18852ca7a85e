//! Why the history can't go on.

/// Why the history can't go on.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {object}: {reason}")]
pub struct HistoryError {
    /// What was tried: read, write.
    pub action: &'static str,
    /// The file.
    pub object: String,
    /// Cause.
    pub reason: String,
}

impl HistoryError {
    pub(crate) fn new(
        action: &'static str,
        object: impl Into<String>,
        reason: impl std::fmt::Display,
    ) -> Self {
        Self { action, object: object.into(), reason: reason.to_string() }
    }
}
