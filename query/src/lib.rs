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

mod catalog;
mod error;
mod format;
mod lake;
mod live;
mod postgres;
mod rules;
pub mod service;
mod suggest;

pub use catalog::{NoSystemTables, SystemTable, SystemTables, TableFact, TableFacts};
pub use error::QueryError;
pub use format::{format_csv, format_json, format_table, listing};
pub use lake::{Catalog, DeltaProvider, LakeCache, LakeLimits, LakeTable, ReadCounts, TableInfo};
pub use postgres::{PortError, PostgresPort, PostgresSettings, TlsFiles};
pub use rules::{
    Audit, AuditError, AuditRecord, Method, NoRandomness, Policy, Problems, Refusal, RoleLimits,
    Rules, SignedIn, Tampered, Verified, Verifier, audit_schema, read as read_audit, verifier,
    verify as verify_audit,
};
