//! Delivery, maintenance and reading back, on real folders.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look behind the disk's back"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod away;
mod compaction;
mod delivery;
mod left_rows;
mod maintenance;
mod staging;
mod support;
