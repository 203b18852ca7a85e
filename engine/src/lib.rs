//! The engine: epochs, shards, watermarks, the store, the outbox and recovery, on timely dataflow.
//!
//! It knows nothing of money, payments or models. Decisions live in [`protocol`] and are pure; what
//! is plugged in speaks one of the [`contract`]s; [`store`] holds the one durable truth, on a
//! [`disk`]; [`runtime`] drives it all with timely workers.

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
