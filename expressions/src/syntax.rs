//! The syntax of an expression, checked before any schema is known, and the columns that it names.
//!
//! Types and functions are the [planner](super::planner)'s to check, once there is a schema.

use std::ops::{ControlFlow, Range};

use datafusion_sql::sqlparser::ast::{Expr, Ident, Query, Visit, Visitor};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::place::byte_of;

/// The most tokens in one expression. A chain of operators makes a tree as deep as the chain is
/// long, and code that walks trees recurses.
const TOKENS_MAX: usize = 4_000;

/// A column that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// The name as written.
    pub name: String,
    /// In double quotes.
    pub quoted: bool,
    /// Bytes of the expression.
    pub range: Range<usize>,
}

/// Text that is not one SQL expression about one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Bytes of the text that are meant.
    pub range: Range<usize>,
    /// What is wrong there.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

impl SyntaxError {
    fn new(range: Range<usize>, message: String) -> Self {
        let message = match message.strip_prefix("Expected: ") {
            Some(expected) => format!(
                "expected {}",
                expected.trim().replace("found: EOF", "found its end").replace("found: ", "found ")
            ),
            None => message,
        };
        Self { range, message, help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// The columns that the expression names, in order. Qualified names (`a.b`) are left to the
/// planner.
///
/// # Errors
/// The text is not one SQL expression, has a subquery, or is too long.
pub fn columns(text: &str) -> Result<Vec<ColumnUse>, SyntaxError> {
    parse(text).map(|(_, columns)| columns)
}

/// The expression as its syntax tree says it, whatever its spaces, its comments and the case of its
/// keywords; and the columns that it names.
///
/// # Errors
/// As for [`columns`].
pub fn canonical(text: &str) -> Result<(String, Vec<ColumnUse>), SyntaxError> {
    parse(text).map(|(expr, columns)| (expr.to_string(), columns))
}

fn parse(text: &str) -> Result<(Expr, Vec<ColumnUse>), SyntaxError> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| {
        SyntaxError::new(byte_of(text, error.location)..text.len(), error.message)
    })?;
    if tokens.len() > TOKENS_MAX {
        return Err(SyntaxError::new(
            0..text.len(),
            format!("the expression has {} tokens", tokens.len()),
        )
        .help(format!("at most {TOKENS_MAX}; split it over several derived columns")));
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(|error| located(text, &parser, error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let help = match &next.token {
            Token::DoubleEq | Token::Eq => "equality is one `=`",
            Token::SemiColon => "an expression ends without `;`",
            _ => "is an operator such as `and` missing before it?",
        };
        return Err(SyntaxError::new(
            token_range(text, &next),
            format!("`{}` doesn't belong here", next.token),
        )
        .help(help));
    }
    let mut collector = Collector { text, uses: Vec::new(), has_query: false };
    let _always_continues = expr.visit(&mut collector);
    if collector.has_query {
        return Err(SyntaxError::new(0..text.len(), "there is a subquery in it".into())
            .help("an expression sees one row; aggregates over other rows are a `features` step"));
    }
    Ok((expr, collector.uses))
}

fn located(text: &str, parser: &Parser<'_>, error: ParserError) -> SyntaxError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return SyntaxError::new(0..text.len(), "it is nested too deeply".into())
                .help("split it over several derived columns");
        }
    };
    // The parser says where in its message; it stands at most one token further.
    match message.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let location = place.split_once(", Column: ").and_then(|(line, column)| {
                Some(Location {
                    line: line.trim().parse().ok()?,
                    column: column.trim().parse().ok()?,
                })
            });
            let start = location.map_or(0, |location| byte_of(text, location));
            let rest = &text[start..];
            let length =
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = length.max(rest.chars().next().map_or(0, char::len_utf8));
            SyntaxError::new(
                start..start + length,
                message.trim_start_matches("sql parser error: ").to_owned(),
            )
        }
        None => SyntaxError::new(token_range(text, &parser.peek_token()), message),
    }
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
            let range = byte_of(self.text, span.start)..byte_of(self.text, span.end);
            self.uses.push(ColumnUse { name: value.clone(), quoted: quote_style.is_some(), range });
        }
        ControlFlow::Continue(())
    }
}

fn token_range(text: &str, token: &TokenWithSpan) -> Range<usize> {
    if token.token == Token::EOF {
        return text.len()..text.len();
    }
    let start = byte_of(text, token.span.start);
    start..byte_of(text, token.span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        columns(text)
            .unwrap_or_else(|e| panic!("{text}: {e:?}"))
            .into_iter()
            .map(|column| column.name)
            .collect()
    }

    #[test]
    fn columns_are_found_and_keywords_types_and_functions_are_not() {
        assert_eq!(
            names("tx_amount > 100 and extract(hour from tx_datetime) <= 6"),
            ["tx_amount", "tx_datetime"]
        );
        assert_eq!(names("cast(a as double) + coalesce(b, 0) * interval '1 day'"), ["a", "b"]);
        assert_eq!(names("case when x in ('a', 'b') then true else y is null end"), ["x", "y"]);
        assert_eq!(names("current_date"), Vec::<String>::new());
        let second = columns("\u{e9} + \"\u{dc} x\"").map(|columns| columns[1].range.clone());
        assert_eq!(second, Ok(5..11));
    }

    #[test]
    fn spaces_comments_and_case_do_not_make_another_expression() {
        let text = |text: &str| canonical(text).map(|(text, _)| text);
        assert_eq!(text("a>1 AND  b is Not null -- as it was"), text("a > 1\n and b IS NOT NULL"));
        assert_ne!(text("a > 1"), text("a > 2"));
        assert_ne!(text("a > 1"), text("A > 1"), "columns are told apart by case");
        assert_ne!(text("a = 'x y'"), text("a = 'x  y'"));
        assert_ne!(text("(a + b) * 2"), text("a + b * 2"));
    }

    #[test]
    fn wrong_syntax_is_pointed_at() {
        let place = |text: &str| columns(text).map_err(|error| error.range);
        assert_eq!(place("a == 1 b"), Err(7..8));
        assert_eq!(place("amount >"), Err(8..8));
        assert_eq!(place("a > 1 limit"), Err(6..11));
        assert_eq!(place("a = 'x"), Err(4..6));
        assert!(columns("(select 1) > 0").is_err());
        assert!(columns(&format!("a{}", " + a".repeat(10_000))).is_err());
        assert!(columns(&"(".repeat(3_000)).is_err());
    }
}
