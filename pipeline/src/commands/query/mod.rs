//! `riskstream query`: SQL over the tables of a data folder.
//!
//! ```text
//!   SQL │ -f FILE │ standard input │ shell ─▶ shell/ ─▶ asker (session) ─▶ feed ─▶ show
//!                                                    screen │ output (a file) │ chart/ ◀┘
//! ```
//! Invariants:
//! - Rows are written as they come, and nothing but them goes to standard output.
//! - A file is there as a whole or not at all.
//! - Works beside a running program.

mod asker;
mod chart;
mod failure;
mod feed;
mod interrupts;
mod output;
mod pending;
mod screen;
mod setting;
mod shell;
mod show;
mod start;
mod tokens;
mod user;
mod view;

pub(crate) use failure::query_failed;
pub use start::query;
