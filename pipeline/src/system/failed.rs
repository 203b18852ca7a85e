//! Why rows of a table of the program itself can't be read.

/// An error of whatever kind, which the query layer tells as it is.
pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;
