//! How long a key has had no row.

/// A key's rows so far, and the clock when there were first so many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    pub(super) rows: i64,
    /// `i64::MAX` where a row came since.
    pub(super) since: i64,
}

impl Default for Idle {
    fn default() -> Self {
        Self { rows: 0, since: i64::MAX }
    }
}
