//! Text into statements.

use std::sync::{Arc, OnceLock};

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::table_command::expand;
use crate::catalog::as_of::{put_in, take_out};
use crate::catalog::postgres::tokens_for_parser;
use crate::error::QueryError;

/// Levels of parentheses and subqueries in one statement.
const DEPTH_MAX: usize = 64;

/// One statement. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Statement {
    parsed: Arc<Parsed>,
}

#[derive(Debug)]
struct Parsed {
    tree: ast::Statement,
    /// Written when it is asked for.
    text: OnceLock<String>,
}

impl From<ast::Statement> for Statement {
    fn from(tree: ast::Statement) -> Self {
        Self { parsed: Arc::new(Parsed { tree, text: OnceLock::new() }) }
    }
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parsed, &other.parsed) || self.parsed.tree == other.parsed.tree
    }
}

impl Statement {
    /// Its syntax tree.
    #[must_use]
    pub fn tree(&self) -> &ast::Statement {
        &self.parsed.tree
    }

    /// The tree as SQL.
    #[must_use]
    pub fn text(&self) -> &str {
        self.parsed.text.get_or_init(|| self.parsed.tree.to_string())
    }

    /// Whether it only reads, so that [`Session::run`](super::Session::run) takes it.
    #[must_use]
    pub fn reads(&self) -> bool {
        match self.tree() {
            ast::Statement::Query(_) => true,
            ast::Statement::Explain { statement, .. } => {
                matches!(**statement, ast::Statement::Query(_))
            }
            _ => false,
        }
    }
}

/// The statements of a text, in PostgreSQL's dialect and with `for version as of` behind tables;
/// none where it holds only spaces, comments or semicolons.
///
/// # Errors
/// The text is no SQL: [`QueryError::Syntax`], with its place.
pub fn parse(text: &str) -> Result<Vec<Statement>, QueryError> {
    let trees = trees(text).map_err(|error| QueryError::syntax(text, &error))?;
    Ok(trees.into_iter().map(Statement::from).collect())
}

fn trees(text: &str) -> Result<Vec<ast::Statement>, ParserError> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location()?;
    let (tokens, clauses) = take_out(tokens)?;
    let mut trees = Parser::new(&dialect)
        .with_recursion_limit(DEPTH_MAX)
        .with_tokens_with_locations(tokens_for_parser(expand(tokens))?)
        .parse_statements()?;
    put_in(&mut trees, clauses)?;
    Ok(trees)
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
    fn a_table_as_it_was_is_a_table_of_its_own() {
        for (text, expected) in [
            (
                "select * from loans for version as of 12",
                r#"SELECT * FROM "loans for version as of 12" AS loans"#,
            ),
            (
                "SELECT Loans.x FROM public.Loans FOR VERSION /* of */ AS\n OF 0 WHERE x > 1",
                r#"SELECT Loans.x FROM public."loans for version as of 0" AS Loans WHERE x > 1"#,
            ),
            (
                r#"select * from "Of" for system_time as of '2026-01-01' o order by 1"#,
                r#"SELECT * FROM "Of for timestamp as of '2026-01-01'" o ORDER BY 1"#,
            ),
            (
                "select * from a as b for timestamp as of now() - interval '1 day', c d",
                r#"SELECT * FROM "a for timestamp as of now() - INTERVAL '1 day'" AS b, c d"#,
            ),
            (
                "select * from a version as of 3 join b timestamp as of '2026-01-01' b using (x)",
                "SELECT * FROM \"a for version as of 3\" AS a \
                 JOIN \"b for timestamp as of '2026-01-01'\" b USING(x)",
            ),
            (
                "select 1; select * from (select * from a for version as of 1) x for update",
                r#"SELECT * FROM (SELECT * FROM "a for version as of 1" AS a) x FOR UPDATE"#,
            ),
            (
                "explain with a as (table c) select * from a, b for version as of 1",
                concat!(
                    "EXPLAIN WITH a AS (SELECT * FROM c) ",
                    r#"SELECT * FROM a, "b for version as of 1" AS b"#
                ),
            ),
        ] {
            let trees = parse(text).expect(text);
            assert_eq!(trees.last().expect("one").text(), expected);
            // The audit's text can be asked again.
            let again = parse(expected).expect(expected);
            assert_eq!(again[0].text(), expected);
        }
    }

    #[test]
    fn what_only_looks_like_an_old_version_is_left_alone() {
        for text in [
            "SELECT 't for version as of 3' AS of FROM t",
            "SELECT 1 AS \"t for version as of 3\" FROM t",
            "SELECT version AS of FROM t",
            "SELECT timestamp AS of, version FROM t AS version",
            "SELECT $$ for version as of 3 $$ FROM t FOR UPDATE",
            "SELECT * FROM \"for\" AS version",
        ] {
            assert_eq!(parse(text).expect(text)[0].text(), text);
        }
        let with_comments = "select 1 /* from t for version as of 3 */ -- for version as of 4";
        assert_eq!(parse(with_comments).expect("SQL")[0].text(), "SELECT 1");
    }

    #[test]
    fn a_wrong_old_version_is_refused_with_its_place() {
        for (text, at, words) in [
            ("select * from ä for version as of x", 35, "the number of a version, found: x"),
            ("select * from t for version as of 1.5", 35, "the number of a version"),
            ("select * from t for version as of -1", 35, "the number of a version"),
            ("select * from t for version as of $1", 35, "the number of a version"),
            ("select * from t for timestamp as of $1", 37, "a constant time, found: $1"),
            ("select *\n from t for timestamp as of", 0, "EOF"),
            ("select * from t for version as of", 0, "EOF"),
            ("select t.x for version as of 3 from t", 12, "behind no table"),
            ("select * from f(1) for version as of 3", 20, "behind no table"),
            ("select * from t for version as of 3 for version as of 4", 37, "behind no table"),
            // What follows keeps its place.
            ("select * from t for version as of 3 limt 3 x", 42, "found: 3"),
        ] {
            let Err(QueryError::Syntax { position, message }) = parse(text) else {
                panic!("{text}");
            };
            assert_eq!(position.unwrap_or(0), at, "{text}: {message}");
            assert!(message.contains(words), "{text}: {message}");
        }
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
