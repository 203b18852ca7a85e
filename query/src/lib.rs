//! SQL over the tables that pipelines write.
//!
//! ```text
//!   Catalog::open("data/tables") ── sql("select ...") ──▶ batches ──▶ format_table | format_json
//!        │ each named table at its newest version                     | format_csv
//!        ▼
//!   DeltaProvider: files of the Delta log, skipped by partition and statistics, read by DataFusion
//! ```
//! Invariants:
//! - A query sees one version of each table, the newest when the query starts.
//! - It writes nothing.

mod catalog;
mod error;
mod file_statistics;
mod format;
mod provider;
mod suggest;

pub use catalog::{Catalog, TableInfo};
pub use error::QueryError;
pub use format::{format_csv, format_json, format_table, listing};
pub use provider::DeltaProvider;
