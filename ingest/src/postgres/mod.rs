//! Changes of a PostgreSQL table, by logical replication with the server's own plugin pgoutput; no
//! Debezium, no Kafka.
//!
//! ```text
//!   reader (a thread, session.rs): snapshot, then transactions in commit order
//!     │    ▲ acknowledged: what is committed here ◀── committed positions
//!     └──▶ frames ──▶ feed ──▶ decoder.rs (each worker) ──▶ rows
//! ```
//! - **First start**: a slot is made, and the table is read as it was at the slot's beginning
//!   (`_op` is `r`), after one row that truncates. A crash within it loses the server's snapshot:
//!   the slot is made anew and the table is read again from the start; the truncation takes away
//!   what was deleted in between, and everything else is the same rows again.
//! - **Order**: transactions come whole, in the order of their commits. `_commit_position` is the
//!   commit's LSN, `_position` the change's; rows of a snapshot have the positions just before and
//!   at the slot's beginning.
//! - **Nothing twice, nothing lost**: a position holds the end of the last transaction read, and
//!   how many changes of the next were taken, so a block may end within a transaction. The server
//!   hears only of what is committed.
//! - **All of it**: a publication that leaves out kinds of changes or wanted columns, and a table
//!   of which the user sees only some rows, are refused. A table that is dropped and made anew, or
//!   whose publication is changed, is read anew, after a row that truncates.
//! - **Exactness**: values travel as the text that the server sends, and are parsed by the same
//!   columns as files; what does not fit is a dead letter with the change's text.

mod catalog;
mod completion;
mod decoder;
mod endpoint;
mod error;
mod frames;
mod message;
mod place;
mod reader;
mod scram;
mod session;
mod shared;
mod source;
mod tls;
mod watch;

pub use endpoint::Endpoint;
pub use place::{begun_anew, is_read_anew, replication_slot};
pub use source::{PostgresSource, PostgresSourceSpec};
