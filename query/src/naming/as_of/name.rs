//! Names of tables as they were.

const VERSION: &str = " for version as of ";
const TIME: &str = " for timestamp as of ";

/// A table as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Old<'a> {
    /// The table's name.
    pub(crate) table: &'a str,
    /// As of what.
    pub(crate) at: At<'a>,
}

/// As of what a table is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At<'a> {
    /// A version's number.
    Version(u64),
    /// A time, as an expression of SQL.
    Time(&'a str),
}

/// What a name says of an old version; none where it is the name of a table as it is.
pub(crate) fn old(name: &str) -> Option<Old<'_>> {
    // The one that comes first: what is behind it may be any text.
    let (version, time) = (name.find(VERSION), name.find(TIME));
    if version.is_some() && (time.is_none() || version < time) {
        let (table, number) = name.split_once(VERSION)?;
        return Some(Old { table, at: At::Version(number.parse().ok()?) });
    }
    let (table, text) = name.split_once(TIME)?;
    Some(Old { table, at: At::Time(text) })
}

/// The name of a table as of a version.
pub(super) fn at_version(table: &str, version: u64) -> String {
    format!("{table}{VERSION}{version}")
}

/// The name of a table as of a time.
pub(super) fn at_time(table: &str, expression: &str) -> String {
    format!("{table}{TIME}{expression}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_table_and_as_of_what() {
        for (table, at) in [
            ("loans", At::Version(12)),
            ("loans_now", At::Version(0)),
            ("loans", At::Time("'2026-01-01'")),
            ("loans", At::Time("' for version as of 3'")),
            ("Loans of x", At::Version(u64::MAX)),
        ] {
            let name = match at {
                At::Version(version) => at_version(table, version),
                At::Time(text) => at_time(table, text),
            };
            assert_eq!(old(&name), Some(Old { table, at }), "{name}");
        }
        for name in ["loans", "", "for version as of 3", "loans for version as of x", "a for b"] {
            assert_eq!(old(name), None, "{name}");
        }
    }
}
