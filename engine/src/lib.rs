//! The engine: epochs, shards, watermarks, the store, the outbox and recovery, on timely dataflow.
//!
//! It knows nothing of money, payments or models. Decisions live in [`protocol`] and are pure; what
//! is plugged in speaks one of the [`contract`]s; [`store`] holds the one durable truth, on a
//! [`disk`]; [`runtime`] drives it all with timely workers.
//!
//! Invariants:
//! - `protocol/` has no timely, no tokio, no clock and no I/O: it takes facts and gives decisions.
//! - Only `runtime/clock.rs` reads clocks (`runtime/outside.rs` also measures its own sleeps); only
//!   `disk/local.rs` speaks to the system's files.
//! - An epoch is committed exactly when its file has its name, and that file is durable by then.
//! - Nothing becomes visible outside before its epoch is committed, and nothing twice.
//! - The watermark moves only when an epoch closes, and is the same on every worker; a run puts it
//!   back only at its start, where an earlier run's clock was wrong.
//! - One worker changes a key's state. State goes on only where it means what it meant.

// Tests damage files behind the disk's back.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

mod background;
pub mod contract;
pub mod disk;
pub mod history;
pub mod ids;
pub mod key;
pub mod protocol;
pub mod rows;
pub mod runtime;
pub mod store;

pub use background::lower_priority;
