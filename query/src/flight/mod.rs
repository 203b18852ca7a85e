//! The port that speaks Arrow Flight SQL: gRPC, and rows as Arrow has them in memory.
//!
//! ```text
//!   listen ─▶ connection: TLS, a place ─▶ service ─▶ sign_in: who asks
//!   service ─┬─▶ metadata: what the user may know of
//!            └─▶ flights, puts, actions ─▶ handles: tickets, prepared statements, transactions
//!                   └─▶ answer ─▶ service::Session ─▶ plain (types that clients know) ─▶ messages
//! ```
//! Invariants:
//! - No method answers before it is known who asks, and each answers with what that user may see at
//!   that moment. A handle is a random number; it serves the user to whom it was given, no other.
//! - The columns that DoGet sends are those that GetFlightInfo has told, to the nullability.
//! - Rows are encoded as the client takes them: one that reads slowly slows its statement. A
//!   statement whose client has gone, or that is cancelled, is stopped.
//! - A message has under 4 MiB, unless one row alone has more.
//! - No bytes of a client end the port, and what is a client's fault is never told as ours.
//!
//! arrow-flight's `FlightSqlService` is not used: it says `Internal` where a command can't be read,
//! and has no GetSchema. Its messages and builders are.

mod actions;
mod answer;
mod caller;
mod command;
mod connection;
mod error;
mod flights;
mod handles;
mod issued;
mod listen;
mod messages;
mod metadata;
mod parameters;
mod placeholders;
mod plain;
mod prepared;
mod puts;
mod running;
mod service;
mod sessions;
mod shared;
mod sign_in;
mod status;
mod strangers;
mod tls;
mod wire;
mod work;

#[cfg(test)]
mod tests;

pub use error::FlightPortError;
pub use listen::{FlightPort, FlightSettings};
