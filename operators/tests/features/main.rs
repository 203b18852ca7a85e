//! The features step against a reference that scans all earlier rows for each row.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "modules of one binary, each of which uses the others'")]

#[path = "../common/dice.rs"]
mod dice;
mod forgetting;
mod late;
#[path = "../common/nearest.rs"]
mod nearest;
mod random;
mod reference;
mod world;
