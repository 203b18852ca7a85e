//! The tables of a data folder as their Delta logs say.
//!
//! ```text
//!   LakeCache ─▶ LakeTable (a version) ─▶ DeltaProvider ─▶ select: which files, by the log alone
//!     │            files, bounds as arrays                 source: how they are read
//!     └─ footers of Parquet files, shared by all           groups: by how many threads
//! ```
//! Invariants:
//! - A file is left out only where no row of it can pass the query's filters: see
//!   [`file_statistics`] and [`select`].
//! - Bounds of the log are never taken for values; its counts of rows and of missing values are.

mod bounds;
mod file_statistics;
mod files;
mod folder;
mod footers;
mod groups;
mod provider;
mod select;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use folder::table_names;
pub use folder::{Catalog, TableInfo};
pub use footers::ReadCounts;
pub use provider::DeltaProvider;
pub use table::{LakeCache, LakeLimits, LakeTable};
