//! Why statements end before their end.

/// Why a statement was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Its user has asked for it.
    Cancelled,
    /// It has taken longer than it may.
    TimedOut,
    /// The program ends.
    ShuttingDown,
}
