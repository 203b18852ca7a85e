//! The riskstream program as a library: `pipelines.toml` to a checked [`config::Spec`], and the
//! commands of the program, one file each.
//!
//! ```text
//!   config/: text to a checked Spec ─▶ plan/: sources, steps, sinks ─▶ the engine's plan
//!                     └── steps/: a file per kind of step ──┘
//!   commands/: what a user asks for, each a function that prints
//! ```
//! Invariants:
//! - Only `config/` reads TOML; whatever is wrong is said with its place, all at once.
//! - Only `steps/` knows the kinds of steps: the rest goes through its list.
//! - Nothing is made or claimed before a plan is known to be possible.

pub mod cli;
pub mod commands;
pub mod config;
pub mod plan;
pub mod progress;
pub mod report;
pub mod service;
mod steps;
pub mod system;
