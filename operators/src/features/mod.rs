//! Exact trailing windows per key, as of every row: count, sum, mean, smallest, largest, standard
//! deviation, different values, last value, time since last.
//!
//! ```text
//!   batches ─▶ order ─▶ dictionary ─▶ history
//!           ──(rows that reach an age)──▶ state: numbers per key and edge ─▶ windows ─▶ columns
//! ```
//! A window (`t-d-w`, `t-d`] of a key is the difference of two running totals: rows of age `d` and
//! more, and rows of age `d+w` and more. So every distinct age is an *edge*: a cursor over the
//! step's [history](riskstream_engine::history) that counts each row once, when the clock reaches
//! row time + age. Windows of any length cost a cursor each and a few numbers per key.
//!
//! Rows are processed in event-time order when the epoch closes, or as they come. A row sees the
//! rows processed before it, by time; a row behind the clock (late, or out of order in arrival
//! order) reads its windows as of its own time and is counted in all later ones that cover it.
//! Results do not depend on batches, workers or restarts.
//!
//! Sums are of whole numbers throughout (see `sums`), so that what enters a sum leaves it again
//! exactly.

mod beside;
mod evolve;
mod extras;
mod fast;
mod forgetting;
mod idle;
mod operator;
mod order;
mod persist;
mod plan;
mod row;
mod shown;
mod since;
mod spec;
mod state;
mod wide;

pub use operator::FeaturesOperator;
pub use spec::{FeatureSpec, FeaturesError, FeaturesSpec, Function, Order, Window};
