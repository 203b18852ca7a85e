//! PostgreSQL's own catalog, over what a user may see.
//!
//! ```text
//!   ShownCatalog ─▶ Known (numbers) ─┬─▶ tables/     pg_catalog, information_schema
//!   SettingsShown (a connection) ────┼─▶ functions/  what DataFusion lacks
//!                                    └─▶ rewrite/    PostgreSQL's forms into DataFusion's
//! ```
//! Invariants:
//! - Nothing is shown that [`ShownCatalog`](super::shown::ShownCatalog) does not hold.
//! - The same names have the same numbers in every program and at every start.

mod functions;
mod known;
mod procs;
mod rewrite;
mod settings;
mod tables;
mod types;
mod version;

#[cfg(test)]
mod tests;

pub(crate) use self::functions::{FunctionContext, functions};
pub(crate) use self::known::Known;
pub(crate) use self::rewrite::{column_name, rewrite};
pub(crate) use self::settings::{SettingError, SettingsShown};
pub(crate) use self::tables::{information_schema, pg_catalog};
#[cfg(test)]
pub(crate) use self::version::{SERVER_VERSION, SERVER_VERSION_NUM};
