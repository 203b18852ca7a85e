//! What of a column's name its client does not see.

/// What stands in a column's name before what the client must not see of it.
pub(crate) const HIDDEN: char = '\u{1}';

/// A column's name as the client is told of it.
pub(crate) fn column_name(name: &str) -> &str {
    name.split(HIDDEN).next().unwrap_or(name)
}
