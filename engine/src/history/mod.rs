//! The event history: a step's past events in time order, read forward by one cursor per window
//! edge.
//!
//! ```text
//!   time ──▶  [segment files ......................][chunks in memory][open chunk]
//!                ▲ 37 d        ▲ 14 d     ▲ 8 d  ▲ 7 d            append ▲
//! ```
//! A [`History`] holds one step's events on one worker: the main log, to which rows are appended in
//! time order; logs taken over from other workers after a restart with another number of workers;
//! and the *side*, a small time-sorted set of rows that came behind the clock. For each edge (an
//! age in microseconds) it keeps one cursor per log, and [`History::advance`] hands every row to
//! the caller exactly once per edge, when it reaches that age. It knows nothing of what is added
//! up.
//!
//! Invariants: a log is sorted by time; at clock `T` exactly the rows with time at most `T - age`
//! have been handed over for an edge; a chunk leaves memory only after it is in a segment file,
//! which never changes and is synced before the first snapshot that names it.

mod by_key;
mod chunk;
mod cursor;
mod error;
mod log;
mod segment;
mod shards;
mod side;
mod window;

pub use chunk::{Chunk, Column, Values, Width};
pub use error::HistoryError;
pub use log::SavedChunk;
pub use shards::ShardSet;
pub use window::{History, HistoryConfig, Tail};

/// Rows per chunk at most: the unit of reading and of dropping from memory.
pub const CHUNK_ROWS: usize = 16 * 1024;
/// Rows per chunk at least, however small the memory budget.
pub const CHUNK_ROWS_MIN: usize = 16;
