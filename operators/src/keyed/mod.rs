//! What steps with state per key have in common: keys as numbers or bytes, values as integers, what
//! is kept of a key, and saved state. A step whose state is all by key is a [`step::KeyedStep`].

/// Rows of a batch that leaves, about.
pub(crate) const BATCH_ROWS: usize = 16_384;

pub(crate) mod bytes;
pub(crate) mod close;
pub(crate) mod columns;
pub(crate) mod dictionary;
pub(crate) mod encode;
pub(crate) mod exact;
pub(crate) mod horizon;
pub(crate) mod kept;
pub(crate) mod keys;
pub(crate) mod spelled;
pub(crate) mod step;
pub(crate) mod sums;
