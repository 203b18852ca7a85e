//! Names of tables with `*` in them.

/// The schema of tables that are named without one.
pub(super) const DEFAULT_SCHEMA: &str = "public";
/// The schema of the program's own tables: a role sees them only where it is named in full.
pub(super) const SYSTEM_SCHEMA: &str = "system";
/// The table of records that could not be read, of whomever they are: likewise.
const DEAD_LETTERS: &str = "dead_letters";
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256;

/// Which tables are meant: `loans`, `loans_*`, `public.*`, `system.queries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    schema: Option<String>,
    table: String,
}

impl Pattern {
    /// Reads a pattern, or says what would be one.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const HELP: &str = "write a table, or a schema, a dot and a table, each of which may have \
                            `*` in it: \"loans\", \"loans_*\", \"public.*\", \"system.queries\"";
        let mut parts = text.split('.');
        let (first, second, more) = (parts.next().unwrap_or(""), parts.next(), parts.next());
        let is_name = |part: &str| {
            !part.is_empty()
                && !part.contains("**")
                && !part
                    .chars()
                    .any(|c| c.is_control() || c.is_whitespace() || "\"'`,;".contains(c))
        };
        if text.len() > PATTERN_BYTES_MAX
            || more.is_some()
            || !is_name(first)
            || !second.is_none_or(is_name)
        {
            return Err(HELP.to_owned());
        }
        Ok(match second {
            Some(table) => Self { schema: Some(first.to_owned()), table: table.to_owned() },
            None => Self { schema: None, table: first.to_owned() },
        })
    }

    /// Whether it grants a table. Without a schema it means `public`; the program's own tables are
    /// granted only by a pattern that writes `system` out, and the dead letters, which are records
    /// of everybody, by one that writes their name out.
    pub(super) fn grants(&self, schema: &str, table: &str) -> bool {
        if schema == DEFAULT_SCHEMA && table == DEAD_LETTERS && self.table != DEAD_LETTERS {
            return false;
        }
        let in_schema = match self.schema.as_deref() {
            None => schema == DEFAULT_SCHEMA,
            Some(pattern) if schema == SYSTEM_SCHEMA => pattern == SYSTEM_SCHEMA,
            Some(pattern) => matches(pattern, schema),
        };
        in_schema && matches(&self.table, table)
    }

    /// Whether its last characters are written out, and are these.
    pub(super) fn ends_with(&self, end: &str) -> bool {
        self.table.ends_with(end)
    }

    /// Whether a restriction reaches a table: without a schema it reaches all schemas, so that it
    /// never reaches less than was meant.
    pub(super) fn restricts(&self, schema: &str, table: &str) -> bool {
        self.schema.as_deref().is_none_or(|pattern| matches(pattern, schema))
            && matches(&self.table, table)
    }
}

/// Whether a name is of the form of a pattern whose `*` stand for any characters, also none.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or("");
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (text, table, expected) in [
            ("loans", "loans", true),
            ("loans", "loans_now", false),
            ("loans*", "loans", true),
            ("loans*", "loans_now", true),
            ("*", "", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "axbxbyc", true),
            ("a*b*c", "ac", false),
            ("ab*ba", "aba", false),
            ("*now", "loans_now", true),
            ("Loans", "loans", false),
        ] {
            assert_eq!(matches(text, table), expected, "{text} {table}");
        }
    }

    #[test]
    fn a_grant_without_a_schema_is_of_public_and_a_restriction_of_all() {
        assert!(pattern("loans").grants("public", "loans"));
        assert!(!pattern("loans").grants("live", "loans"));
        assert!(pattern("loans").restricts("live", "loans"));
        assert!(!pattern("public.*").restricts("live", "loans"));
        assert!(pattern("*").restricts("system", "queries"));
    }

    #[test]
    fn system_tables_are_granted_only_by_name() {
        for text in ["*", "*.*", "s*.*", "queries"] {
            assert!(!pattern(text).grants("system", "queries"), "{text}");
        }
        assert!(pattern("system.*").grants("system", "queries"));
        assert!(pattern("*.*").grants("live", "loans"));
    }

    #[test]
    fn dead_letters_are_granted_only_by_name() {
        for text in ["*", "*.*", "public.*", "dead*", "*dead_letters", "public.dead_letter*"] {
            assert!(!pattern(text).grants("public", DEAD_LETTERS), "{text}");
            assert!(pattern(text).restricts("public", DEAD_LETTERS), "{text}");
        }
        for text in [DEAD_LETTERS, "public.dead_letters", "*.dead_letters"] {
            assert!(pattern(text).grants("public", DEAD_LETTERS), "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", ".", "a.", ".b", "a.b.c", "a b", "a**", "\"a\"", "a\n", "a,b"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert!(Pattern::parse(&"a".repeat(257)).is_err());
    }
}
