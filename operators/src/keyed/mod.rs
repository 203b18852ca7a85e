//! What steps with state per key have in common: keys as numbers, values as integers, and columns of saved state.

pub(crate) mod columns;
pub(crate) mod dictionary;
pub(crate) mod encode;
pub(crate) mod keys;
