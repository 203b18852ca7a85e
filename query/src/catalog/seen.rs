//! Names of schemas and views, and what a user sees under them.

use arrow::datatypes::Schema;

use crate::rules::{Rules, Seen};
use crate::service::User;

/// The database.
pub(crate) const CATALOG: &str = "riskstream";
/// The schema of pipelines' tables.
pub(crate) const SCHEMA: &str = "public";
/// The schema of tables about the program.
pub(crate) const SYSTEM: &str = "system";
/// What the names of the newest revisions end with.
pub(crate) const NOW: &str = "_now";

/// The table whose newest revisions `name` stands for.
pub(crate) fn table_of(name: &str) -> Option<&str> {
    name.strip_suffix(NOW).filter(|of| !of.is_empty())
}

/// What a user sees of a table with these columns.
pub(crate) fn see(
    rules: Option<&Rules>,
    user: &User,
    schema: &str,
    table: &str,
    columns: &Schema,
) -> Seen {
    rules.map_or(Seen::All, |rules| rules.see(user, schema, table, columns))
}
