//! Names of schemas and views, and what a user sees under them.

use arrow::datatypes::Schema;

use super::as_of::{Old, old};
use crate::rules::{Rules, Seen, View};
use crate::user::User;

/// The database.
pub(crate) const CATALOG: &str = "riskstream";
/// The schema of pipelines' tables.
pub(crate) const SCHEMA: &str = "public";
/// The schema of tables about the program.
pub(crate) const SYSTEM: &str = "system";
/// What the names of the newest revisions end with.
pub(crate) const NOW: &str = "_now";

/// The table that `name` stands for, if it is not the table's own name: its newest revisions, or
/// how it, or they, were.
pub(crate) fn table_of(name: &str) -> Option<&str> {
    match old(name) {
        Some(Old { table, .. }) => Some(newest_of(table).unwrap_or(table)),
        None => newest_of(name),
    }
}

/// The table whose newest revisions `name` stands for.
pub(crate) fn newest_of(name: &str) -> Option<&str> {
    name.strip_suffix(NOW).filter(|of| !of.is_empty())
}

/// Whether a user may see a table of pipelines of this name, or its newest revisions, whatever its
/// columns are.
pub(crate) fn may_see(rules: Option<&Rules>, user: &User, table: &str) -> bool {
    let view = format!("{table}{NOW}");
    rules.is_none_or(|rules| rules.may_see(user, SCHEMA, View { table, view: &view }))
}

/// Whether a user sees something of a table of pipelines with these columns, or of its newest
/// revisions.
pub(crate) fn sees(rules: Option<&Rules>, user: &User, table: &str, columns: &Schema) -> bool {
    let rows = see(rules, user, SCHEMA, table, columns);
    let newest = || see_newest(rules, user, SCHEMA, table, columns);
    !matches!(rows, Seen::Hidden) || !matches!(newest(), Seen::Hidden)
}

/// What a user sees of a table with these columns.
pub(crate) fn see(
    rules: Option<&Rules>,
    user: &User,
    schema: &str,
    table: &str,
    columns: &Schema,
) -> Seen {
    let Some(rules) = rules else { return Seen::All };
    if schema != SCHEMA {
        return rules.see(user, schema, table, columns);
    }
    let view = format!("{table}{NOW}");
    rules.see_table(user, schema, View { table, view: &view }, columns)
}

/// What a user sees of the newest revisions of a table with these columns.
pub(crate) fn see_newest(
    rules: Option<&Rules>,
    user: &User,
    schema: &str,
    table: &str,
    columns: &Schema,
) -> Seen {
    let view = format!("{table}{NOW}");
    rules.map_or(Seen::All, |rules| {
        rules.see_view(user, schema, View { table, view: &view }, columns)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_tables_own_stands_for_one() {
        for (name, table) in [
            ("loans", None),
            ("_now", None),
            ("loans_now", Some("loans")),
            ("loans for version as of 3", Some("loans")),
            ("loans_now for timestamp as of '2026-01-01'", Some("loans")),
            ("loans for version as of three", None),
        ] {
            assert_eq!(table_of(name), table, "{name}");
        }
    }
}
