//! Maintenance of a table: small files become large sorted ones, old and orphaned files go, the log
//! is checkpointed and trimmed.
//!
//! ```text
//!   log ─▶ choose: which small files ─▶ rewrite (a thread each) ─▶ commit: remove + add, no data
//!                                          │                       change; again if the log moved
//!          source ─▶ sorter ─▶ spills ─┐   │
//!                 ─▶ files in order ───┴─▶ merge ─▶ output: files of the target size
//! ```
//! Safe beside a running pipeline: each step is a commit of its own that gives way to whoever was
//! faster, and files are removed only when no version within the retention, and nothing that waits
//! for delivery, names them.
//!
//! Invariants:
//! - The rows after a compaction are those before it: what was read is counted against the log, and
//!   what was written against what was read, before anything is committed.
//! - Memory does not grow with the rows that are sorted.
//! - What a crash leaves is named by nothing, and the vacuum takes it.

mod choose;
mod commit;
mod compact;
mod merge;
mod names;
mod one;
mod options;
mod output;
mod pieces;
mod report;
mod rewrite;
mod run;
mod scraps;
mod sort_key;
mod sorter;
mod source;
mod spill;
mod table;
#[cfg(test)]
mod tests;
mod vacuum;
mod work;

pub(crate) use one::rewrite_one;
pub use options::MaintainOptions;
pub use report::MaintainReport;
pub use table::{clean_table, compact_table, maintain};
