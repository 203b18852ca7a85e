//! Every record's row as of each period's end: a loan book's month ends, or its nights, whether
//! anything happened to a loan or not.
//!
//! ```text
//!   changes (`_diff`) ─▶ key ─▶ the rows that there are
//!           ──(the watermark passes a period's end)──▶ each of them, with `as_of`
//! ```
//! Comes after a `changelog` step. When the watermark reaches the end of a period, every row that
//! was added and not taken back before that instant leaves with the instant as `as_of`, which is
//! the event time from here on, in place of the input's. So what depends on time alone (days past
//! due, months on book) moves by itself.
//!
//! A change that comes late leaves at once, for each instant after it that was sampled before, with
//! its `_diff`: sums over what leaves are those over the records as they stood, in any order of
//! changes. A period whose end the watermark has not reached is not there yet.

mod operator;
mod record;

pub use operator::{AS_OF, Sample, SampleOperator, SampleSpec};
