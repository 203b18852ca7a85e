//! Turns captured changes of a table (change data capture) into rows taken back and rows added.
//!
//! ```text
//!   batches ─▶ (the epoch's close) ─▶ by place in the source ─▶ each against its key's last row
//!           ─▶ rows taken back, rows added
//! ```
//! The input has the form of captured changes ([`riskstream_engine::contract::change_fields`]): a
//! table's row after each insertion, update and deletion. For every key the step keeps the last
//! row, so it knows what a change replaces even where the database does not say: the row before is
//! taken back (`_diff` = -1) and the new one added (+1). Sums over what leaves are sums over the
//! table as it is, also where a row moves from one group to another.
//!
//! - A repetition (a connector that was restarted, a snapshot that was read again) is not after the
//!   key's last change, or says what is there already, and leaves no trace. A truncation takes
//!   every row back that it is after.
//! - A column that was not sent because it did not change is taken from the row before. Where there
//!   is none, it is null, and a dead letter says so.
//! - `previous` adds columns with what a column was in the row before (null in a key's first row),
//!   `ever` columns that are true once a condition held.
//!
//! Changes are ordered as the database made them, not by event time: rows are never late here.
//! State: one row per key, as bytes.

mod codec;
mod operator;
mod persist;
mod rows;
mod spec;

pub use operator::{CapturedOperator, REASON_NO_KEY, REASON_OPERATION, REASON_UNSENT};
pub use spec::CapturedSpec;
