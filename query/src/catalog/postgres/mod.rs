//! PostgreSQL's own catalog, over what a user may see.
//!
//! ```text
//!   ShownCatalog ─▶ Known (numbers) ─┬─▶ tables/     pg_catalog, information_schema
//!   SettingsShown (a connection) ────┼─▶ functions/  what DataFusion lacks
//!                                    └─▶ rewrite/    PostgreSQL's forms into DataFusion's
//!   a plan ─▶ flatten/ (correlated subqueries) ─▶ output (the types of its columns)
//! ```
//! Invariants:
//! - Nothing is shown that [`ShownCatalog`](super::shown::ShownCatalog) does not hold.
//! - The same names have the same numbers in every program and at every start.

mod flatten;
mod functions;
mod known;
mod output;
mod rewrite;
mod settings;
mod tables;
mod tokens;
mod version;

#[cfg(test)]
mod tests;

pub(crate) use self::flatten::flatten;
pub(crate) use self::functions::{FunctionContext, at_zone, functions, justify_hours};
pub(crate) use self::known::Known;
pub(crate) use self::output::output_columns;
pub(crate) use self::rewrite::{HIDDEN, column_name, rewrite};
pub(crate) use self::settings::{SettingError, SettingsShown};
pub(crate) use self::tables::{information_schema, pg_catalog};
pub(crate) use self::tokens::tokens_for_parser;
#[cfg(test)]
pub(crate) use self::version::{SERVER_VERSION, SERVER_VERSION_NUM};
