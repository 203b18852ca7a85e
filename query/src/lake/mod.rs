//! The tables of a data folder as their Delta logs say.
//!
//! ```text
//!   LakeCache ─▶ LakeTable (a version) ─▶ DeltaProvider ─▶ select: which files, by the log alone
//!     │            files, bounds as arrays                 choice: how this query reads them
//!     │                                                    source: reads them so
//!     ├─ older versions, a few                             groups: by how many threads
//!     └─ footers of Parquet files, shared by all
//! ```
//! Invariants:
//! - A file is left out only where no row of it can pass the query's filters: see
//!   [`file_statistics`] and [`select`].
//! - Bounds of the log are never taken for values; its counts of rows and of missing values are.

mod bounds;
mod choice;
mod constants;
mod file_statistics;
mod files;
mod folder;
mod footers;
mod groups;
mod kept;
mod listing;
mod nameless;
mod older;
mod provider;
mod row_numbers;
mod select;
mod source;
mod stamp;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use constants::physical_rules;
pub use folder::{Catalog, TableInfo};
pub use footers::ReadCounts;
pub(crate) use listing::Listing;
pub(crate) use nameless::FilesUntold;
pub use provider::DeltaProvider;
pub(crate) use stamp::Remembered;
pub use table::{LakeCache, LakeLimits, LakeTable};
