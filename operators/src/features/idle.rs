//! How long a key has had no row.

/// A key's number of rows, and the clock of the first snapshot at which it was this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    pub(super) rows: i64,
    /// `i64::MAX` before the first snapshot, and when a row came after it.
    pub(super) since: i64,
}

impl Default for Idle {
    fn default() -> Self {
        Self { rows: 0, since: i64::MAX }
    }
}
