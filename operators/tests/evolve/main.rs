//! Steps whose configuration changes between runs, compared with the same steps over all rows from
//! the beginning: what is shown is the same or nothing, and nothing only where the change says so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/dice.rs"]
mod dice;
mod features;
mod meanings;
mod windows;
mod world;
