//! Text into statements.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::QueryError;

/// Levels of parentheses and subqueries in one statement.
const DEPTH_MAX: usize = 64;

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its syntax tree.
    pub tree: ast::Statement,
}

impl Statement {
    /// Whether it only reads, so that [`Session::run`](super::Session::run) takes it.
    #[must_use]
    pub fn reads(&self) -> bool {
        match &self.tree {
            ast::Statement::Query(_) => true,
            ast::Statement::Explain { statement, .. } => {
                matches!(**statement, ast::Statement::Query(_))
            }
            _ => false,
        }
    }
}

/// The statements of a text, in PostgreSQL's dialect; none where it holds only spaces, comments or
/// semicolons.
///
/// # Errors
/// The text is no SQL: [`QueryError::Syntax`], with its place.
pub fn parse(text: &str) -> Result<Vec<Statement>, QueryError> {
    let trees = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| QueryError::syntax(text, &error))?;
    Ok(trees.into_iter().map(|tree| Statement { tree }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_any_number_of_statements() {
        for (text, statements) in
            [("", 0), (" ; ;", 0), ("-- ping", 0), ("select 1", 1), ("select 1; begin; commit;", 3)]
        {
            assert_eq!(parse(text).map(|s| s.len()).ok(), Some(statements), "{text}");
        }
    }

    #[test]
    fn what_is_no_sql_is_refused_with_its_place() {
        let Err(QueryError::Syntax { position, .. }) = parse("select 'ä',\n  frm x y z") else {
            panic!("it is no SQL");
        };
        // The parser takes `frm` for a name, and stops at what follows it.
        assert_eq!(position, Some(21));
        assert!(parse(&"(".repeat(100_000)).is_err(), "it is too deep");
    }

    #[test]
    fn only_queries_and_their_explanations_read() {
        for (text, reads) in [
            ("with a as (select 1) select * from a", true),
            ("values (1)", true),
            ("explain analyze select 1", true),
            ("explain insert into t values (1)", false),
            ("insert into t values (1)", false),
            ("set a = 1", false),
            ("create table t (a int)", false),
            ("copy t to '/tmp/x'", false),
        ] {
            assert_eq!(parse(text).expect(text)[0].reads(), reads, "{text}");
        }
    }
}
