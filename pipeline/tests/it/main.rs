//! Tests of the program as a whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod banks;
mod changes;
mod commands;
mod configs;
mod destinations;
mod examples;
mod housekeeping;
mod inferred;
mod kafka;
mod kafka_wire;
mod kill;
mod left_rows;
#[cfg(unix)]
mod pages;
mod plan;
mod postgres;
mod program;
mod query_command;
mod query_time_travel;
mod resume;
mod running;
mod service;
mod shuffle;
mod state;
mod top;
