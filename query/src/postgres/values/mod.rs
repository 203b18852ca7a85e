//! Values between Arrow and PostgreSQL's text and binary forms.
//!
//! ```text
//!   Field ─▶ types ─▶ Encoder ─(per batch)─▶ column ─(per row)─▶ text | binary ─▶ DataRow, COPY
//!   Bind ─▶ parameters ─▶ ScalarValue
//! ```
//! Invariants:
//! - No data makes this module panic: what has no form is an error with an SQLSTATE.
//! - Decimals stay exact in both directions, and so do instants down to the microsecond; parts of
//!   a microsecond are cut toward minus infinity, alike in text and in binary.

mod binary;
mod calendar;
mod column;
pub(crate) mod copy;
pub(crate) mod encoder;
pub(crate) mod error;
mod numeric;
pub(super) mod oid;
pub(crate) mod parameters;
pub(crate) mod pg_types;
pub(crate) mod settings;
mod text;
pub(crate) mod types;
mod value;
pub(crate) mod zone;

#[cfg(test)]
mod tests;
