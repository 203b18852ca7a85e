//! Turns versions of records into rows taken back and rows added.
//!
//! ```text
//!   batches ─▶ key ─▶ its versions, by event time
//!           ──(the epoch's close)──▶ what the epoch changed: rows taken back, rows added
//! ```
//! The input says, row by row, what a record is from an instant on: a loan as it is now, or a
//! change captured from a database. What leaves are **changes**: at that instant the version before
//! is taken back (`_diff` = -1) and the new one added (+1), so that sums over the changes are sums
//! over the records as they stand, also where a record moves from one group to another. A version
//! that says what the one before said changes nothing, so a repeated row, or a second snapshot of a
//! table, leaves no trace. A version for which `deleted` holds takes the record away.
//!
//! Versions are ordered by event time, then by the source's tie columns and position, whatever
//! order they come in. One that comes late is put in its place: what the later versions took back
//! and added is changed accordingly, with changes at their instants. For that a key keeps the
//! versions of the last `keep`, and the one before them. A version older than those becomes a dead
//! letter.
//!
//! `ever` adds columns that are true from the first version on for which a condition held (a loan
//! that ever was 90 days late), until a version deletes the record.

mod operator;
mod spec;
mod versions;

pub use operator::{Changelog, ChangelogOperator};
pub use spec::{ChangelogSpec, DIFF};
