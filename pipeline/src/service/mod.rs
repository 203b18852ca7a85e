//! The program as a service: it runs for months, says how it is, and ends with a status that tells
//! whoever supervises it what happened.
//!
//! ```text
//!   supervisor (a thread per pipeline)     runs it, and again after a failure where it may
//!        │ Life: phase, failures, restarts
//!        ├──▶ watch                          tells of failures and troubles, stops the others
//!        ├──▶ endpoint ◀── GET /metrics    gauges.rs reads the engine's counters when asked
//!        ├──▶ ports ◀── SQL by PostgreSQL's protocol
//!        ├──▶ housekeeping                 small files of tables into large ones
//!        └──▶ sampler                      rates and lag of the last hour, for `status`, and how
//!                                          it is each second (observer), for `top`
//!   engine ──▶ otlp                        finished epochs and deliveries as spans
//! ```
//! *Invariants:* nothing here holds up a worker: workers only write counters, and never wait for
//! this module. The endpoint's thread bears the cost of a scrape.

mod backoff;
pub mod catalog;
pub mod charts;
mod endpoint;
mod gauges;
mod housekeeping;
mod life;
pub mod logs;
pub mod now;
mod observer;
mod otlp;
mod ports;
mod query_gauges;
mod sampler;
pub mod samples;
mod spans;
mod supervisor;
mod voice;
mod watch;

pub(crate) use endpoint::Endpoint;
pub(crate) use gauges::Shared;
pub(crate) use housekeeping::{Housekeeping, maintain_options, waiting_files};
pub(crate) use life::Life;
pub(crate) use otlp::Exporter;
pub(crate) use ports::{Ports, query_service};
pub(crate) use sampler::Sampler;
pub(crate) use supervisor::{Outcome, supervise};
pub(crate) use voice::{Importance, Voice};
pub(crate) use watch::{Watched, watch};
