//! Delivery, maintenance and reading back, on real folders.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod delivery;
mod left_rows;
mod maintenance;
mod staging;
mod support;
