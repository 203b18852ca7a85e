//! SQL expressions as text: their syntax, the columns they name, and their plan on the rows of a
//! step.
//!
//! ```text
//!   text ─▶ [syntax]  one expression, its columns, where it is wrong     (a configuration is read)
//!        ─▶ [planner] columns and functions resolved, types coerced, simplified   (a step is made)
//! ```
//! Everything here happens once, before rows flow, and stands in a crate of its own for that: the
//! parser's tree and DataFusion's planner are compiled into whoever uses them, which took most of
//! the time of the steps' crate. This one is not optimized.
//!
//! Invariants:
//! - Nothing here sees a row, reads a file or a clock.
//! - An error of a text names the bytes of it that are wrong.
//! - Two texts that mean the same are equal in [`syntax::canonical`]'s words, as far as their trees
//!   are; saved state is compared by these words.

pub mod place;
pub mod planner;
pub mod syntax;
