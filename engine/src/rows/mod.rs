//! Rows by key: those that were touched lately in memory, the others in sorted files, so that a
//! step's state may be larger than memory.
//!
//! ```text
//!   fetch ─▶ memory ──(full)──▶ frozen ──▶ segment file, segment file, ...  newest first
//!               ▲                                │              │ merged in the background
//!               └──────────── found ─────────────┘              └──▶ larger segment file
//! ```
//! [`KeyedRows`] holds one step's rows on one worker. A key and its value are bytes; what they mean
//! is the caller's. Keys are ordered by their [hash](crate::key) and then by their bytes.
//! [`KeyedRows::fetch`] brings the rows of a batch of keys into memory, where each has a **place**
//! until the next [`KeyedRows::make_room`]. When memory is full, a thread writes what is in it as a
//! segment; segments of like size are merged into one by another.
//!
//! A key whose value is empty has none: an empty value only hides older ones, and is dropped where
//! a file is written and no older file holds rows of the key's shard. Once half of all entries in
//! files are empty, all files become one, without them.
//!
//! Durable is what the step saves: with every epoch the rows that it touched, with a snapshot those
//! in memory and the names of the segments. A segment never changes; whoever writes a snapshot
//! syncs the segments that it names first, and deletes those that none names any more.
//!
//! Invariants: of two segments that hold a key of the same shard, the one that stands first is
//! newer; memory is newer than both. What a caller sees does not depend on when a thread is done.

mod filter;
mod job;
mod keyed_rows;
mod levels;
mod memory;
mod merge;
mod page;
mod saved;
mod segment;

pub use keyed_rows::{BatchKeys, KeyedRows, RowsConfig};
pub use saved::{FILES, ROWS, SaveError};

/// Why rows can't be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("can't {action} {object}: {reason}")]
pub struct RowsError {
    /// What was tried: read, write.
    pub action: &'static str,
    /// The file.
    pub object: String,
    /// Cause.
    pub reason: String,
}

impl RowsError {
    pub(crate) fn new(
        action: &'static str,
        object: impl Into<String>,
        reason: impl std::fmt::Display,
    ) -> Self {
        Self { action, object: object.into(), reason: reason.to_string() }
    }
}
