//! Tests of the program as a whole.

mod commands;
mod configs;
mod examples;
mod program;
