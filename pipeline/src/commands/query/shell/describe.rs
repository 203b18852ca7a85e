//! What there is, as statements of PostgreSQL's catalog.

use riskstream_query::TableFact;

/// Tables and views, with what they are for; a pattern has `*` and `?` for any.
pub(super) fn list(pattern: Option<&str>, tables_only: bool) -> String {
    let kinds = if tables_only { "('r')" } else { "('r', 'v')" };
    let (schema, name) = match pattern.map(|pattern| pattern.split_once('.')) {
        Some(Some((schema, name))) => (Some(schema), Some(name)),
        Some(None) => (None, pattern),
        None => (None, None),
    };
    let like = |column: &str, pattern: Option<&str>| {
        pattern.map_or(String::new(), |pattern| {
            format!(" and {column} like {} escape '\\'", literal(&as_like(pattern)))
        })
    };
    format!(
        "select n.nspname as \"Schema\", c.relname as \"Name\", case c.relkind when 'v' then \
         'view' else 'table' end as \"Type\", case when c.reltuples >= 0 then cast(c.reltuples as \
         bigint) end as \"Rows\", pg_catalog.obj_description(c.oid, 'pg_class') as \"About\" \
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in {kinds} and n.nspname <> 'pg_catalog' and n.nspname <> \
         'information_schema'{}{} order by 1, 2",
        like("n.nspname", schema),
        like("c.relname", name)
    )
}

/// The columns of a table.
pub(super) fn columns(schema: &str, table: &str) -> String {
    format!(
        "select a.attname as \"Column\", pg_catalog.format_type(a.atttypid, a.atttypmod) as \
         \"Type\", case when a.attnotnull then 'not null' end as \"Nullable\", \
         pg_catalog.col_description(a.attrelid, a.attnum) as \"About\" from \
         pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid join \
         pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = {} and c.relname = \
         {} and a.attnum > 0 and not a.attisdropped order by a.attnum",
        literal(schema),
        literal(table)
    )
}

/// What a table is for.
pub(super) fn about(schema: &str, table: &str) -> String {
    format!(
        "select pg_catalog.obj_description(c.oid, 'pg_class') as about from pg_catalog.pg_class c \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = {} and \
         c.relname = {}",
        literal(schema),
        literal(table)
    )
}

/// Schemas.
pub(super) const SCHEMAS: &str = "select nspname as \"Name\", pg_catalog.obj_description(oid, \
    'pg_namespace') as \"About\" from pg_catalog.pg_namespace order by 1";

/// Databases.
pub(super) const DATABASES: &str = "select datname as \"Name\", \
    pg_catalog.pg_get_userbyid(datdba) as \"Owner\", pg_catalog.pg_encoding_to_char(encoding) as \
    \"Encoding\" from pg_catalog.pg_database order by 1";

/// What the configuration says of a table, as far as its user sees the columns.
pub(super) fn facts(fact: &TableFact, sees: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(column) = fact.time_column.as_deref().filter(|column| sees(column)) {
        lines.push(format!("Partitioned by: event_date, the UTC date of {column}"));
    }
    if !fact.key.is_empty() && fact.key.iter().all(|column| sees(column)) {
        lines.push(format!("Key: {}", fact.key.join(", ")));
    }
    if let Some(column) = fact.revision.as_deref().filter(|column| sees(column)) {
        lines.push(format!("Revisions: the highest {column} of a key counts, as NAME_now shows"));
    }
    lines
}

/// A text as it stands in a statement.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A pattern of a shell as one of LIKE.
fn as_like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        match character {
            '*' => like.push('%'),
            '?' => like.push('_'),
            '%' | '_' | '\\' => like.extend(['\\', character]),
            other => like.push(other),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use riskstream_query::service::parse;

    use super::*;

    #[test]
    fn names_can_not_leave_their_quotes() {
        for name in ["loans", "it's", "'; select 1; --", "\\", "%"] {
            for text in [columns(name, name), about(name, name), list(Some(name), true)] {
                assert_eq!(parse(&text).map(|statements| statements.len()).ok(), Some(1), "{text}");
            }
        }
        for text in [SCHEMAS, DATABASES, &list(None, false)] {
            assert_eq!(parse(text).map(|statements| statements.len()).ok(), Some(1), "{text}");
        }
    }

    #[test]
    fn patterns_stand_for_any_text_and_all_else_for_itself() {
        for (pattern, expected) in
            [("pay*", "pay%"), ("?_a%", "_\\_a\\%"), ("a\\b", "a\\\\b"), ("", "")]
        {
            assert_eq!(as_like(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn facts_are_told_of_columns_that_are_seen() {
        let fact = TableFact {
            time_column: Some("paid_at".to_owned()),
            key: vec!["card".to_owned(), "window_end".to_owned()],
            revision: Some("revision".to_owned()),
            ..TableFact::default()
        };
        let all = facts(&fact, |_| true);
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], "Partitioned by: event_date, the UTC date of paid_at");
        assert_eq!(all[1], "Key: card, window_end");
        assert!(facts(&fact, |column| column == "card").is_empty());
        assert!(facts(&TableFact::default(), |_| true).is_empty());
    }
}
