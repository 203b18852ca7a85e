//! Queries, which DataFusion's parser reads.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::action::{Action, Query};
use super::origin::Origin;
use super::text::sql;
use super::tokens::Tokens;
use super::writes;
use crate::postgres::error::Problem;

/// The first word of a statement, in capital letters; none where it begins otherwise.
pub(super) fn first_word(tokens: &Tokens<'_>) -> Option<String> {
    match tokens.peek() {
        Some(Token::Word(word)) if word.quote_style.is_none() => {
            Some(word.value.to_ascii_uppercase())
        }
        _ => None,
    }
}

/// What may stand within other statements.
#[derive(Debug)]
pub(super) enum Inner {
    Query(Box<Query>),
    /// What is refused in the place of a query.
    Refused(Box<Problem>),
}

impl From<Inner> for Action {
    fn from(inner: Inner) -> Self {
        match inner {
            Inner::Query(query) => Self::Query(query),
            Inner::Refused(problem) => Self::Refused(problem),
        }
    }
}

/// A query, or what is refused in its place.
pub(super) fn inner(tokens: Tokens<'_>) -> Result<Inner, Problem> {
    let mut behind = tokens;
    behind.skip();
    match first_word(&tokens).as_deref() {
        None | Some("SELECT" | "WITH" | "VALUES" | "TABLE") => Ok(checked(query(&tokens)?)),
        Some(first) => {
            writes::refused(first, &tokens, behind).map(|problem| Inner::Refused(Box::new(problem)))
        }
    }
}

/// A query, unless it writes or locks.
fn checked(query: Box<Query>) -> Inner {
    match writes::write_in_statement(query.statement.tree()) {
        Some(what) => Inner::Refused(Box::new(Problem::read_only(what))),
        None => Inner::Query(query),
    }
}

/// Reserved words with which neither a table nor an expression begins.
const NO_BEGINNING: [&str; 26] = [
    "AND",
    "AS",
    "ASC",
    "DESC",
    "ELSE",
    "END",
    "EXCEPT",
    "FETCH",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INTERSECT",
    "INTO",
    "LIMIT",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "THEN",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WINDOW",
];

/// What a token asks of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// Nothing that is looked at here.
    Any,
    /// Columns, of which `*` may be the first.
    Columns,
    /// A table or an expression.
    Beginning,
    /// One of these, or `*` for all columns.
    Item,
    /// No name: all columns have theirs.
    NoName,
}

/// Refuses a reserved word where a table or an expression has to be, and a name behind `*`:
/// DataFusion's parser takes some for names, or finds out further on.
fn check_beginnings(mut tokens: Tokens<'_>) -> Result<(), Problem> {
    let mut wants = Wants::Any;
    while let Some(token) = tokens.peek() {
        let is_reserved = NO_BEGINNING.iter().any(|word| tokens.sees(word));
        let is_wrong = match wants {
            Wants::Any | Wants::Columns => false,
            Wants::Beginning | Wants::Item => is_reserved,
            Wants::NoName => matches!(token, Token::Word(_)) && !is_reserved,
        };
        if is_wrong {
            return Err(tokens.unexpected());
        }
        wants = match token {
            Token::Mul if matches!(wants, Wants::Item | Wants::Columns) => Wants::NoName,
            Token::Comma => Wants::Item,
            _ if ["SELECT", "DISTINCT", "ALL"].iter().any(|w| tokens.sees(w)) => Wants::Columns,
            _ if tokens.sees("FROM") || tokens.sees("JOIN") => Wants::Beginning,
            _ => Wants::Any,
        };
        tokens.skip();
    }
    Ok(())
}

/// What DataFusion's parser reads.
fn query(tokens: &Tokens<'_>) -> Result<Box<Query>, Problem> {
    check_beginnings(*tokens)?;
    let parameters = tokens.parameters();
    let statement = sql(tokens.rest(), tokens)?;
    if matches!(statement.tree(), ast::Statement::Query(_)) {
        Ok(Box::new(Query { statement, parameters, origin: Origin::of(tokens) }))
    } else {
        Err(tokens.unexpected())
    }
}
