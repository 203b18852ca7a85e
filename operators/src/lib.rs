//! The steps of a pipeline: logic over batches, driven by the engine through its `Operator`
//! contract.
//!
//! | step | what it does |
//! | --- | --- |
//! | [`filter`] | keeps rows for which an SQL condition is true |
//! | [`derive`] | adds or replaces columns by SQL expressions |
//! | [`checks`] | sends rows that can't be to the dead-letter table |
//! | [`score`] | adds a model's score; models are swapped between epochs |
//! | [`decide`] | adds `decision` and `reasons` |
//! | [`features`] | adds exact trailing windows per key |
//! | [`captured`] | turns a table's captured changes into rows taken back and rows added |
//! | [`changelog`] | turns versions of records into rows taken back and rows added |
//! | [`previous`] | shows beside each row what the row before it of the same key said |
//! | [`sample`] | gives every record's row as of each period's end |
//! | [`totals`] | gives rows once more under a name for all |
//! | [`windows`] | adds rows up per key and window of time |
//! | [`shares`] | adds each window's share of its group |
//! | [`identities`] | says which identities do not hold for a row |
//!
//! Steps without state implement [`Stateless`]; [`Stateless::into_operator`] makes the engine's
//! `Operator` of them. A row that a step can't process becomes a dead letter and never stops the
//! run. A step that is not possible on its input is refused when it is made, with a [`StepError`]
//! (or [`ExpressionError`], which knows the place in the text).
//!
//! Invariants:
//! - Steps are pure over batches and state: they read no clock, and no file but those of their own
//!   state.
//! - What leaves depends neither on the sizes of batches, nor on workers, epochs or restarts.
//! - Sums are exact, of floats too; one that its type does not hold is null, and said.
//! - What a step saves is read by later programs, and its shape says all that its meaning depends
//!   on.

pub mod calendars;
pub mod captured;
pub mod changelog;
pub mod checks;
mod dead_rows;
pub mod decide;
pub mod derive;
pub mod expression;
pub mod features;
pub mod filter;
pub mod identities;
mod keyed;
pub mod periods;
pub mod previous;
pub mod sample;
pub mod score;
pub mod shares;
mod stateless;
mod step_error;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod testing;
pub mod totals;
pub mod windows;

pub use checks::ChecksOperator;
pub use dead_rows::{REASON_COMPUTE, REASON_IMPOSSIBLE};
pub use decide::{DecideOperator, Decision};
pub use derive::DeriveOperator;
pub use expression::{CompiledExpression, Compiler, EvaluationError, ExpressionError};
pub use filter::FilterOperator;
pub use identities::IdentitiesOperator;
pub use score::{ModelCell, ModelWatch, ScoreColumn, ScoreOperator, check_features};
pub use stateless::{Stateless, StatelessOperator};
pub use step_error::{FeatureMismatch, StepError};
pub use totals::TotalsOperator;
