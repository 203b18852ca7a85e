//! What rewriting files needs.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use riskstream_engine::disk::Folder;

use super::sort_key::SortKey;

/// What rewriting a table's files needs, of one thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    /// The table's folder.
    pub(super) location: &'a Folder,
    /// The columns of its files, all nullable.
    pub(super) schema: &'a SchemaRef,
    /// The order of the rows; none: that in which they are read.
    pub(super) key: Option<&'a SortKey>,
    /// Where one file ends and the next begins.
    pub(super) target_file_bytes: u64,
    /// Bytes of rows in memory.
    pub(super) memory_bytes: usize,
    /// Set when the work is to end.
    pub(super) stop: &'a AtomicBool,
}

impl Work<'_> {
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
