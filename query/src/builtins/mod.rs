//! What PostgreSQL brings: its types and functions, with its own numbers.
//!
//! It is a leaf: values are sent by these types, and the catalog shows them.

pub(crate) mod procs;
pub(crate) mod types;
