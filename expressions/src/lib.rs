//! SQL expressions as text: their syntax, the columns they name, and their plan on the rows of a
//! step.
//!
//! ```text
//!   text ─▶ [syntax]  one expression, its columns, where it is wrong     (a configuration is read)
//!        ─▶ [planner] columns and functions resolved, types coerced, simplified   (a step is made)
//! ```
//! All of this happens once, before rows flow. It is a crate of its own to keep builds short:
//! generic code of the parser and of DataFusion's planner is compiled into the crate that uses it,
//! and this crate is built without optimization.
//!
//! Invariants:
//! - Nothing here sees a row, reads a file or a clock.
//! - An error of a text names the bytes of it that are wrong.
//! - Two texts that mean the same are equal in [`syntax::canonical`]'s words, as far as their trees
//!   are; saved state is compared by these words.

pub mod place;
pub mod planner;
pub mod syntax;
