//! Committed rows on their way to a table.

use riskstream_engine::contract::OutboxPart;

/// What one sink of a pipeline has committed and not landed.
#[derive(Debug)]
pub(super) struct NotLanded {
    pub(super) pipeline: String,
    /// Whether the rows of this pipeline that have landed are gone by what follows.
    pub(super) empties: bool,
    pub(super) parts: Vec<OutboxPart>,
}
