//! What was asked, by whom, and what came of it: a line for each statement, chained by hashes.
//!
//! ```text
//!   statement done ──▶ bounded queue ──▶ own thread ──▶ audit-000001.ndjson, -000002 …
//!                                           │ fsync, at most ten a second
//!                                           └─▶ head.json: the last line that is surely there
//! ```
//! Each line ends with the hash of the line before (`previous`) and its own (`hash`): SHA-256 of
//! the previous hash and the line without both. A line that is edited, removed, moved, or put
//! between others shows, and with the head a removed end. Who can write the folder can also go on
//! with the chain at its end, or write all of it anew: to see that, keep a head somewhere else; it
//! is written to our log at each start and new file. Only the program's own user can read it.
//!
//! What is lost: when the program is killed, records that were still in the queue (milliseconds);
//! when the power goes, those of the last tenth of a second as well. A line that was half written
//! is put aside at the next start, and the chain goes on. When the disk takes no more,
//! [`Audit::record`] says so from then on, so that nothing is answered unrecorded, and goes on by
//! itself later.

mod chain;
mod columns;
mod error;
mod folder;
mod private;
mod tampered;
mod writer;

pub use chain::AuditRecord;
pub use columns::{audit_schema, read};
pub use error::AuditError;
pub use folder::{Verified, verify};
pub use tampered::Tampered;
pub use writer::Audit;

#[cfg(test)]
mod tests;
