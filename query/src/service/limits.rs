//! What statements may take: of the machine, together, and each.

use std::time::Duration;

/// Limits of a service; what a role may take is never more.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads on which statements are planned and run.
    pub threads: usize,
    /// Bytes that the operators of all statements may hold; what is more goes to the disk, and what
    /// can't is refused.
    pub memory_bytes: usize,
    /// Bytes that may be on the disk for them.
    pub spill_bytes_max: u64,
    /// How long one statement may take; none: as long as it needs.
    pub statement_timeout: Option<Duration>,
    /// Rows that one statement may give; none: all.
    pub rows_max: Option<u64>,
    /// Statements that run at the same time.
    pub statements_max: usize,
    /// Statements that may wait for their turn; one more is refused.
    pub queue_max: usize,
    /// Statements that have begun and not ended, those whose client does not take its rows
    /// included; one more is refused.
    pub open_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            threads: cores.max(2),
            memory_bytes: 1 << 30,
            spill_bytes_max: 16 << 30,
            statement_timeout: None,
            rows_max: None,
            statements_max: 4 * cores.max(2),
            queue_max: 100,
            open_max: 400,
        }
    }
}
