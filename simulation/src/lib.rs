//! A deterministic world for the engine's pure parts: one seed drives the input, the batches, the
//! epochs, the crashes and the workers.
//!
//! ```text
//! input ─▶ EpochPolicy ─▶ Hold ─▶ features by customer ─▶ by terminal ─▶ outbox ─▶ Store ─▶ tables
//! seeded    closes         one of each per worker, rows routed by shard            real  in memory
//!   │          └────────── crash at any point, restart with other workers ───────────┘         │
//!   └──────▶ oracle: a naive scan in row order, and SQL by DataFusion ◀── compared, row by row ┘
//! ```
//! The store is on a [`disk`] that fails and loses power at seeded places. The [`auditor`] checks
//! invariants at every step; the [`oracle`] and [`sql`] say what must have been delivered at the
//! end. The same seed gives the same [`Report::trace`]. A [`Fault`] breaks the engine on purpose,
//! so that tests can show that the auditors would notice.
//!
//! Invariants:
//! - One seed, one trace: the same on every machine. [`whole`] runs real threads and has no trace.
//! - Outside [`whole`] and the program's `main`, nothing here reads a clock, starts a thread or
//!   uses timely.

pub mod auditor;
mod committer;
pub mod disk;
pub mod input;
pub mod oracle;
mod pipeline;
pub mod sql;
pub mod table;
mod trace;
pub mod whole;
mod world;

pub use world::{Failure, Fault, Options, Report, simulate};
