//! The real runtime, driven with a source, a step and sinks in memory: timely threads, a store in a
//! folder, restarts.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look behind the disk's back"
)]
#![allow(unreachable_pub, reason = "modules of one binary, each of which uses the others'")]

mod away;
mod behind;
mod clock;
mod edit;
mod failing;
mod flow;
mod history;
mod operator;
mod results;
mod resume;
mod sinks;
mod source;
mod store;
mod world;
