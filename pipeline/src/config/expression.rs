//! The syntax of SQL expressions, checked before any schema is known, and the columns that an expression names.
//!
//! Types and functions are DataFusion's to check, once the planner has the schema.

use std::ops::{ControlFlow, Range};

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::problem::Problem;
use super::spec::Sql;

/// Most tokens of one expression; a chain of operators is as deep a tree as it is long, and what walks trees recurses.
const TOKENS_MAX: usize = 4_000;

/// A column that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnUse {
    pub(crate) name: String,
    /// In double quotes: taken letter by letter; else DataFusion makes it lower case.
    pub(crate) quoted: bool,
    /// Bytes of the expression.
    pub(crate) range: Range<usize>,
}

/// Checks that the text is one SQL expression without a subquery.
///
/// # Errors
/// The problem, pointing into the expression where the TOML string has no escapes.
pub(crate) fn check_syntax(sql: &Sql) -> Result<(), Problem> {
    parse(sql).map(|_| ())
}

/// The columns that the expression names, in order; none if its syntax is wrong. Qualified names (`a.b`) are left to DataFusion.
pub(crate) fn columns(sql: &Sql) -> Vec<ColumnUse> {
    let Ok(expr) = parse(sql) else { return Vec::new() };
    let mut collector = Collector { text: sql.as_str(), uses: Vec::new(), has_query: false };
    let _always_continues = expr.visit(&mut collector);
    collector.uses
}

fn parse(sql: &Sql) -> Result<Expr, Problem> {
    let text = sql.as_str();
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| {
        let at = offset(text, error.location);
        problem(sql, at..text.len(), error.message)
    })?;
    if tokens.len() > TOKENS_MAX {
        return Err(problem(sql, 0..text.len(), format!("the expression has {} tokens", tokens.len()))
            .help(format!("at most {TOKENS_MAX}; split it over several derived columns")));
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(|error| syntax_problem(sql, &parser, error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let range = token_range(text, &next);
        let help = match &next.token {
            Token::DoubleEq | Token::Eq => "equality is one `=`",
            Token::SemiColon => "an expression ends without `;`",
            _ => "is an operator such as `and` missing before it?",
        };
        return Err(problem(sql, range, format!("`{}` doesn't belong here", next.token)).help(help));
    }
    let mut collector = Collector { text, uses: Vec::new(), has_query: false };
    let _always_continues = expr.visit(&mut collector);
    if collector.has_query {
        return Err(problem(sql, 0..text.len(), "there is a subquery in it".into())
            .help("an expression sees one row; aggregates over other rows are a `features` step"));
    }
    Ok(expr)
}

fn syntax_problem(sql: &Sql, parser: &Parser<'_>, error: ParserError) -> Problem {
    let text = sql.as_str();
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return problem(sql, 0..text.len(), "it is nested too deeply".into()).help("split it over several derived columns");
        }
    };
    // The parser says where in its message; it stands at most one token further.
    match message.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let location = place
                .split_once(", Column: ")
                .and_then(|(line, column)| Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? }));
            let start = location.map_or(0, |location| offset(text, location));
            let rest = &text[start..];
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = length.max(rest.chars().next().map_or(0, char::len_utf8));
            problem(sql, start..start + length, message.trim_start_matches("sql parser error: ").to_owned())
        }
        None => {
            let range = token_range(text, &parser.peek_token());
            problem(sql, range, message)
        }
    }
}

fn problem(sql: &Sql, range: Range<usize>, message: String) -> Problem {
    let message = match message.strip_prefix("Expected: ") {
        Some(expected) => format!("expected {}", expected.trim().replace("found: EOF", "found its end").replace("found: ", "found ")),
        None => message,
    };
    Problem::new(sql.span_within(range), format!("not an SQL expression: {message}"))
}

struct Collector<'t> {
    text: &'t str,
    uses: Vec<ColumnUse>,
    has_query: bool,
}

impl Visitor for Collector<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.has_query = true;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(Ident { value, quote_style, span }) = expr {
            let range = offset(self.text, span.start)..offset(self.text, span.end);
            self.uses.push(ColumnUse { name: value.clone(), quoted: quote_style.is_some(), range });
        }
        ControlFlow::Continue(())
    }
}

fn token_range(text: &str, token: &TokenWithSpan) -> Range<usize> {
    if token.token == Token::EOF {
        return text.len()..text.len();
    }
    let start = offset(text, token.span.start);
    start..offset(text, token.span.end).max(start)
}

/// The byte at a line and column, both from 1 and the column in characters; the end of the text past it.
fn offset(text: &str, location: Location) -> usize {
    let mut lines_left = location.line.saturating_sub(1);
    let mut start = 0;
    while lines_left > 0 {
        match text[start..].find('\n') {
            Some(newline) => start += newline + 1,
            None => return text.len(),
        }
        lines_left -= 1;
    }
    let characters = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
    text[start..].char_indices().nth(characters).map_or(text.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use super::super::span::{Origin, Span, Spanned};
    use super::*;

    fn sql(text: &str) -> Sql {
        Sql { text: Spanned::new(text.to_owned(), Span::new(Origin::File, 0..text.len() + 2)), verbatim_at: Some(1) }
    }

    fn names(text: &str) -> Vec<String> {
        columns(&sql(text)).into_iter().map(|column| column.name).collect()
    }

    #[test]
    fn columns_are_found_and_keywords_types_and_functions_are_not() {
        assert_eq!(names("tx_amount > 100 and extract(hour from tx_datetime) <= 6"), ["tx_amount", "tx_datetime"]);
        assert_eq!(names("cast(a as double) + coalesce(b, 0) * interval '1 day'"), ["a", "b"]);
        assert_eq!(names("case when x in ('a', 'b') then true else y is null end"), ["x", "y"]);
        assert_eq!(names("current_date"), Vec::<String>::new());
        assert_eq!(columns(&sql("é + \"Ü x\""))[1].range, 5..11);
    }

    #[test]
    fn wrong_syntax_is_pointed_at() {
        let place = |text: &str| {
            let problem = check_syntax(&sql(text)).unwrap_err();
            (problem.span.start as usize - 1, problem.span.end as usize - 1)
        };
        assert_eq!(place("a == 1 b"), (7, 8));
        assert_eq!(place("amount >"), (8, 8));
        assert_eq!(place("a > 1 limit"), (6, 11));
        assert_eq!(place("a = 'x"), (4, 6));
        assert!(check_syntax(&sql("(select 1) > 0")).is_err());
        assert!(check_syntax(&sql(&format!("a{}", " + a".repeat(10_000)))).is_err());
        assert!(check_syntax(&sql(&"(".repeat(3_000))).is_err());
    }
}
