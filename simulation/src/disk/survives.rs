//! What survives a loss of power.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What survives a loss of power, of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Survives {
    Nothing,
    Everything,
    /// What was made before a moment.
    Until(u64),
    /// Each with this chance.
    Some(f64),
}

impl Survives {
    pub(super) fn draw(self, moment: u64, rng: &mut ChaCha8Rng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Until(end) => moment <= end,
            Self::Some(chance) => rng.random_bool(chance),
        }
    }
}
