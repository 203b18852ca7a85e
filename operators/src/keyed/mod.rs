//! What steps with state per key have in common: keys as numbers or bytes, values as integers, what
//! is kept of a key, and saved state.

pub(crate) mod bytes;
pub(crate) mod close;
pub(crate) mod columns;
pub(crate) mod dictionary;
pub(crate) mod encode;
pub(crate) mod exact;
pub(crate) mod kept;
pub(crate) mod keys;
pub(crate) mod spelled;
pub(crate) mod sums;
