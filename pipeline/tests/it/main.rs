//! Tests of the program as a whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod banks;
mod changes;
mod commands;
mod configs;
mod destinations;
mod examples;
mod inferred;
mod kafka;
mod kafka_wire;
mod kill;
mod left_rows;
mod plan;
mod postgres;
mod program;
mod resume;
mod running;
mod service;
mod shuffle;
mod state;
mod top;
#[cfg(unix)]
mod tutorial;
