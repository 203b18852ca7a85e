//! Statements that would change something, and others that are refused.

use datafusion::sql::sqlparser::ast;

use super::text::sql;
use super::tokens::Tokens;
use crate::postgres::error::Problem;

/// First words of statements that PostgreSQL calls by themselves, and the words that follow them.
const CHANGES: [&str; 12] = [
    "GRANT",
    "REVOKE",
    "COMMENT",
    "REFRESH",
    "REINDEX",
    "VACUUM",
    "ANALYZE",
    "CLUSTER",
    "SECURITY",
    "REASSIGN",
    "IMPORT",
    "CHECKPOINT",
];

/// What a query does besides reading, if it is one.
pub(super) fn write_in_statement(statement: &ast::Statement) -> Option<&'static str> {
    match statement {
        ast::Statement::Query(query) => write_in(query, 0),
        _ => None,
    }
}

/// What a query does besides reading.
fn write_in(query: &ast::Query, depth: usize) -> Option<&'static str> {
    const DEPTH_MAX: usize = 64;
    if depth > DEPTH_MAX {
        return None;
    }
    let within = query.with.iter().flat_map(|with| &with.cte_tables);
    let within = within.filter_map(|cte| write_in(&cte.query, depth + 1));
    let lock = query.locks.first().map(|lock| match lock.lock_type {
        ast::LockType::Share => "SELECT FOR SHARE",
        ast::LockType::Update => "SELECT FOR UPDATE",
    });
    within.chain(lock).chain(write_in_set(&query.body, depth)).next()
}

fn write_in_set(body: &ast::SetExpr, depth: usize) -> Option<&'static str> {
    match body {
        ast::SetExpr::Select(select) => select.into.as_ref().map(|_into| "SELECT INTO"),
        ast::SetExpr::Query(query) => write_in(query, depth + 1),
        ast::SetExpr::SetOperation { left, right, .. } => {
            write_in_set(left, depth).or_else(|| write_in_set(right, depth))
        }
        ast::SetExpr::Insert(_) => Some("INSERT"),
        ast::SetExpr::Update(_) => Some("UPDATE"),
        ast::SetExpr::Delete(_) => Some("DELETE"),
        ast::SetExpr::Merge(_) => Some("MERGE"),
        ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => None,
    }
}

/// A statement that is not for this port; what PostgreSQL would not know is a syntax error.
pub(super) fn refused(
    first: &str,
    whole: &Tokens<'_>,
    mut tokens: Tokens<'_>,
) -> Result<Problem, Problem> {
    Ok(match first {
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" => {
            let _is_sql = sql(whole.rest(), whole)?;
            Problem::read_only(first)
        }
        "CREATE" | "DROP" | "ALTER" => {
            if tokens.is_at_end() {
                return Err(tokens.unexpected());
            }
            Problem::read_only(&format!("{first} {}", object(&mut tokens)))
        }
        "TRUNCATE" => Problem::read_only("TRUNCATE TABLE"),
        "LISTEN" | "NOTIFY" => {
            Problem::unsupported(format!("{first} is not supported: nothing is ever notified"))
        }
        "LOCK" => Problem::unsupported("LOCK TABLE is not supported")
            .with_hint("Within BEGIN all statements see the same moment without locks."),
        "CALL" | "DO" | "LOAD" => Problem::unsupported(format!("{first} is not supported")),
        _ if CHANGES.contains(&first) => match first {
            "REFRESH" => Problem::read_only("REFRESH MATERIALIZED VIEW"),
            "SECURITY" => Problem::read_only("SECURITY LABEL"),
            "REASSIGN" => Problem::read_only("REASSIGN OWNED"),
            "IMPORT" => Problem::read_only("IMPORT FOREIGN SCHEMA"),
            _ => Problem::read_only(first),
        },
        _ => return Err(whole.unexpected()),
    })
}

/// What is created or dropped, such as `TABLE`.
fn object(tokens: &mut Tokens<'_>) -> String {
    const BEFORE: [&str; 10] = [
        "OR",
        "REPLACE",
        "TEMP",
        "TEMPORARY",
        "LOCAL",
        "GLOBAL",
        "UNLOGGED",
        "UNIQUE",
        "RECURSIVE",
        "TRUSTED",
    ];
    while tokens.one_of(&BEFORE).is_some() {}
    let word = tokens.name().unwrap_or_default().to_ascii_uppercase();
    match word.as_str() {
        "MATERIALIZED" => "MATERIALIZED VIEW".to_owned(),
        "FOREIGN" if tokens.word("TABLE") => "FOREIGN TABLE".to_owned(),
        "FOREIGN" => "FOREIGN DATA WRAPPER".to_owned(),
        "EVENT" => "EVENT TRIGGER".to_owned(),
        "USER" | "GROUP" => "ROLE".to_owned(),
        _ => word,
    }
}
