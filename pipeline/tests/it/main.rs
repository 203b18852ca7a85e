//! Tests of the program as a whole.

mod bad_input;
mod commands;
mod configs;
mod examples;
mod kill;
mod program;
mod resume;
mod shuffle;
