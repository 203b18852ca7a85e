//! Statements and commands one after the other: typed, of a file, or of standard input.
//!
//! ```text
//!   lines (editor | text) ─▶ run ─┬─ \command ─▶ command (slash, describe, edit)
//!                                 └─ statement; ─▶ session ─▶ show ─▶ screen | file
//! ```
//! Invariants:
//! - What is typed and what stands in a file go the same way; only an error ends a file, and not a
//!   shell.
//! - The parser of commands and the completion are functions of text; the loop reads from a trait.

mod command;
mod complete;
mod describe;
mod edit;
mod editor;
mod history;
mod lines;
mod names;
mod run;
mod slash;
mod state;
mod text;

#[cfg(test)]
mod tests;

pub(super) use editor::Typed;
pub(super) use lines::TextLines;
pub(super) use run::run;
pub(super) use state::{Shell, Streams};
