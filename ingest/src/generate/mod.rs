//! Seeded simulators, each as a source and as a file: card payments ([`cards`]) and the changes of
//! a loan book ([`loans`]).
//!
//! ```text
//!   spec ──▶ slices (days; pieces of a snapshot), each from the seed alone
//!        ──▶ rows, counted from 0 ──▶ source │ file
//! ```
//! Invariants:
//! - Everything follows from the seed. A slice is made without the ones before it, so a source that
//!   is resumed makes one slice again, not all.
//! - A row's number, and what is in it, never depend on block sizes.

mod calendar;
mod cards;
mod loans;
mod source;
mod text;
mod write;

pub use cards::{GeneratorSpec, IdType};
pub use loans::LoansSpec;
pub use source::GeneratorSource;
pub use write::{WriteError, WriteFormat, write_file, write_text};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

/// Rows per block, at most.
pub(crate) const BLOCK_ROWS_MAX: usize = 262_144;

/// What is to be generated: a spec of one of the simulators.
pub trait Generate {
    /// The source's name in the configuration.
    fn name(&self) -> &str;

    /// The rows' columns.
    fn schema(&self) -> Schema;

    /// The column that says when a row happened, and those that order rows of the same time.
    fn order(&self) -> (&'static str, Vec<String>);

    /// What is wrong with the numbers, if anything.
    ///
    /// # Errors
    /// A sentence that names the option and its limits.
    fn validate(&self) -> Result<(), String>;

    /// A hash of what the rows follow from. How many rows there are, and how fast they come, may
    /// change between runs.
    fn fingerprint(&self) -> u64;

    /// Whether the rows end.
    fn has_end(&self) -> bool;

    /// How records arrive broken, to show dead letters.
    fn breakage(&self) -> Breakage;

    /// The rows from the first on. Only of a valid spec.
    fn rows(&self) -> Box<dyn GeneratedRows>;
}

/// How records arrive broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breakage {
    /// The seed from which it follows which records are broken.
    pub seed: u64,
    /// Their share, 0 to 1.
    pub share: f64,
    /// A column of amounts, to hold what is none.
    pub amount: &'static str,
    /// The column of the event time, and how it is misspelled.
    pub time: (&'static str, &'static str),
}

/// Generated rows, from any on.
pub trait GeneratedRows: std::fmt::Debug + Send {
    /// The next at most `rows` rows; an empty batch at the end.
    ///
    /// # Errors
    /// Never but for a bug.
    fn next(&mut self, rows: usize) -> Result<RecordBatch, ArrowError>;

    /// The next row's number.
    fn row(&self) -> u64;

    /// The slice that the next row is in or after, counted from 0, and the slice's first row.
    fn slice(&self) -> (u32, u64);

    /// Goes to a row of a slice whose first row is known.
    fn seek(&mut self, slice: u32, slice_row: u64, row: u64);

    /// How much there is in all, and how much of it was made; in rows, else in slices. None without
    /// an end.
    fn progress(&self) -> Option<(u64, u64)>;
}
