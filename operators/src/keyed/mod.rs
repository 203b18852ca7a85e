//! What steps with state per key have in common: keys as numbers, values as integers, and saved state.

pub(crate) mod close;
pub(crate) mod columns;
pub(crate) mod dictionary;
pub(crate) mod encode;
pub(crate) mod keys;
pub(crate) mod spelled;
