//! Beside each row, what the row before it of the same key said: a loan's status of last month
//! beside this month's.
//!
//! ```text
//!   batches ─▶ key ─▶ its rows, by event time
//!           ──(the epoch's close)──▶ rows with the columns of the one before; `_diff`
//! ```
//! Rows of a key are ordered by event time, then by the source's tie columns and position, whatever
//! order they come in. A row that comes late is put in its place: the row after it, which stood
//! beside another one, is taken back (`_diff` = -1) and added again (+1). So sums over what leaves
//! are exact for any order. A row that says at the same instant what the row before it says is a
//! repetition and changes nothing.
//!
//! Rows may be changes themselves (with `_diff`): one that is taken back leaves, and its neighbors
//! stand beside each other. A key keeps the rows of the last `keep`, and the one before them; a row
//! older than those becomes a dead letter.

mod operator;
mod spec;
mod timeline;

pub use operator::{Previous, PreviousOperator};
pub use spec::PreviousSpec;
