//! The steps that a loan book is made with, against plain loops over all rows: any order, rows
//! taken back, repetitions, crashes and numbers of workers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "modules of one binary, each of which uses the others'")]

#[path = "../common/dice.rs"]
mod dice;
mod identities;
mod previous;
mod sample;
mod shares;
mod whole;
mod world;
