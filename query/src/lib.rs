//! SQL over what pipelines know: the tables that they have written, and what is committed and not
//! written yet.
//!
//! ```text
//!   postgres/ (port) ─┐
//!   command line     ─┼─▶ service/ ─▶ catalog/ ─▶ rules/ ─▶ lake/ files of the Delta logs
//!   flight/ (port)   ─┘                                 └─▶ live/ rows of the stores
//! ```
//! Invariants:
//! - A statement sees all its tables at one moment: see [`service`].
//! - It changes nothing of the tables and the stores.
//! - A folder imports none that comes later in this order: user, stopped, suggest, trees,
//!   builtins, rules, error, naming, lake, live, postgres/values, catalog, service, postgres,
//!   flight, format. Tests may.

mod builtins;
mod catalog;
mod error;
mod flight;
mod format;
mod lake;
mod live;
mod naming;
mod postgres;
mod rules;
pub mod service;
mod stopped;
mod suggest;
mod trees;
mod user;

pub use catalog::{NoSystemTables, SystemTable, SystemTables, TableFact, TableFacts};
pub use error::QueryError;
pub use flight::{FlightPort, FlightPortError, FlightSettings};
pub use format::{
    Form, FormatError, FormatSettings, RowWriter, Written, format_rows, listing, row_writer,
};
pub use lake::{Catalog, DeltaProvider, LakeCache, LakeLimits, LakeTable, ReadCounts, TableInfo};
pub use live::held_files;
pub use postgres::{
    PortError, PostgresPort, PostgresSettings, TlsFiles, postgres_messages, postgres_start,
};
pub use rules::{
    Audit, AuditError, AuditRecord, Method, NoRandomness, Policy, Problems, Refusal, RoleLimits,
    Rules, SignedIn, Tampered, Verified, Verifier, audit_schema, read as read_audit, verifier,
    verify as verify_audit,
};
