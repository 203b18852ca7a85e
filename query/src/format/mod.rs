//! Results as text and files, written batch by batch.
//!
//! ```text
//!   batch ─▶ columns: names and types as the form has them ─▶ table | csv | json | parquet | arrow
//! ```
//! Invariants:
//! - A writer holds a bounded number of rows, however many come.
//! - Nothing is left out silently: what a form has no place for is an error, what is cut is noted.

mod arrow_ipc;
mod begin;
mod cells;
mod columns;
mod csv;
mod error;
mod expanded;
mod fit;
mod form;
mod json;
mod listing;
mod parquet_file;
mod table;
mod width;
mod writer;

#[cfg(test)]
mod tests;

pub use begin::{format_rows, row_writer};
pub use error::FormatError;
pub use form::Form;
pub use listing::listing;
pub use writer::{FormatSettings, RowWriter, Written};
