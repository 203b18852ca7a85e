//! How a position of dead letters that were taken in again is told from others.

use riskstream_engine::contract::Position;

/// What the fingerprint of such a position begins with.
pub(crate) const MARK_PREFIX: &str = "dead-letters@";

/// Whether a committed position is one of a replay: no file and no generator has such a
/// fingerprint.
#[must_use]
pub fn is_replayed(position: &Position) -> bool {
    position.fingerprint.starts_with(MARK_PREFIX)
}
