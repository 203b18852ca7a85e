//! The port that speaks PostgreSQL's protocol, version 3.0.
//!
//! ```text
//!   listen ─▶ startup: TLS, who is it ─▶ connection ─┬─▶ simple ──┐
//!                                                    └─▶ extended ┴─▶ sql (what is asked) ─▶ run
//!   run ─▶ service::Session ─▶ rows ─▶ values ─▶ wire
//! ```
//! Invariants:
//! - Nothing of a connection is shared with another, except the numbers by which it is cancelled.
//! - Rows are written as they come; a client that reads slowly slows its statement.
//! - No bytes of a client make the port panic, and none read before the TLS handshake count after
//!   it.
//! - A statement whose client has gone, or that is cancelled, is stopped.

mod columns;
mod connection;
mod copy;
mod cursor;
mod describe;
mod error;
mod extended;
mod failure;
mod gate;
mod half_open;
mod listen;
mod missing;
mod note;
mod portal;
mod prepared;
mod rows;
mod run;
mod send;
mod settings;
mod shared;
mod simple;
mod sql;
mod startup;
mod stop;
mod tls;
mod transaction;
mod tried;
pub(crate) mod values;
mod wire;

#[cfg(test)]
mod tests;

pub use error::PortError;
pub use listen::{PostgresPort, PostgresSettings};
pub use tls::TlsFiles;
pub use tried::{postgres_messages, postgres_start};
