//! `for version as of 12` and its kin, behind the name of a table.
//!
//! The parser's dialect of PostgreSQL does not know them. So they are taken out of the tokens,
//! which keep their places in the text for its errors, and are put into what it has read: the table
//! gets the name of the old version, and its own name for an alias. Strings, names in quotes and
//! comments are tokens of their own and never looked into.
//!
//! Forms, in any case of letters:
//!
//! - `for version as of NUMBER`, `for timestamp as of TIME`, `for system_time as of TIME`
//! - `version as of NUMBER`, `timestamp as of 'TIME'`, as Spark writes them
//!
//! behind the table's name or behind its alias. TIME is any constant expression.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectNamePart, Statement, TableAlias, TableFactor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use super::name::{at_time, at_version};
use crate::trees::through;

/// What was taken out.
#[derive(Debug)]
pub(crate) struct Clause {
    /// The name or alias before it.
    behind: Span,
    /// Where it began.
    began: Location,
    what: What,
}

#[derive(Debug)]
enum What {
    Version(u64),
    Time(String),
}

/// Takes the clauses out of a text's tokens.
///
/// # Errors
/// What follows `as of` is no version or time.
pub(crate) fn take_out(
    tokens: Vec<TokenWithSpan>,
) -> Result<(Vec<TokenWithSpan>, Vec<Clause>), ParserError> {
    if !tokens.iter().any(|token| is_word(token, "of")) {
        return Ok((tokens, Vec::new()));
    }
    let (mut kept, mut clauses) = (Vec::with_capacity(tokens.len()), Vec::new());
    let (mut behind, mut at) = (None, 0);
    while let Some(token) = tokens.get(at) {
        if let Some(behind) = behind
            && let Some((what, end)) = clause(&tokens, at)?
        {
            clauses.push(Clause { behind, began: token.span.start, what });
            at = end;
            continue;
        }
        if !is_space(token) {
            behind = Some(token.span);
        }
        kept.push(token.clone());
        at += 1;
    }
    Ok((kept, clauses))
}

/// Puts the clauses into what the parser has read.
///
/// # Errors
/// One of them stands behind no table.
pub(crate) fn put_in(
    statements: &mut [Statement],
    clauses: Vec<Clause>,
) -> Result<(), ParserError> {
    if clauses.is_empty() {
        return Ok(());
    }
    let mut namer = Namer { clauses };
    for statement in statements {
        through(statement, &mut namer);
    }
    match namer.clauses.first() {
        None => Ok(()),
        Some(clause) => {
            let said = format!("AS OF stands behind no table's name{}", clause.began);
            Err(ParserError::ParserError(said))
        }
    }
}

/// The clause that begins at a token, and the token behind it.
fn clause(tokens: &[TokenWithSpan], at: usize) -> Result<Option<(What, usize)>, ParserError> {
    if tokens.get(at).is_none_or(is_space) {
        return Ok(None);
    }
    let (says_for, next) = match word(tokens, at, "for") {
        Some(next) => (true, next),
        None => (false, at),
    };
    let version = word(tokens, next, "version");
    let time = word(tokens, next, "timestamp")
        .or_else(|| word(tokens, next, "system_time").filter(|_| says_for));
    let behind = version.or(time).and_then(|next| word(tokens, next, "as"));
    let Some(start) = behind.and_then(|next| word(tokens, next, "of")) else { return Ok(None) };
    let first = (start..tokens.len()).find(|at| !is_space(&tokens[*at]));
    let found = first.map(|at| &tokens[at]);
    let token = found.map(|found| &found.token);
    let is_literal = match version {
        Some(_) => matches!(token, Some(Token::Number(..))),
        None => matches!(token, Some(Token::SingleQuotedString(_))),
    };
    // `select version as of from t` gives a column the name `of`.
    if !says_for && !is_literal {
        return Ok(None);
    }
    if version.is_some() {
        let number = match token {
            Some(Token::Number(digits, false)) => digits.parse().ok(),
            _ => None,
        };
        return match (number, first) {
            (Some(number), Some(at)) => Ok(Some((What::Version(number), at + 1))),
            _ => Err(expected("the number of a version", found)),
        };
    }
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens[start..].to_vec());
    let expression = parser.parse_expr()?;
    let end = start + parser.index();
    let is_parameter = |token: &&TokenWithSpan| matches!(token.token, Token::Placeholder(_));
    match tokens[start..end].iter().find(is_parameter) {
        Some(parameter) => Err(expected("a constant time", Some(parameter))),
        None => Ok(Some((What::Time(expression.to_string()), end))),
    }
}

fn expected(what: &str, found: Option<&TokenWithSpan>) -> ParserError {
    ParserError::ParserError(match found {
        Some(found) => format!("Expected: {what}, found: {found}{}", found.span.start),
        None => format!("Expected: {what}, found: EOF"),
    })
}

/// The token behind a word, if that comes next.
fn word(tokens: &[TokenWithSpan], from: usize, word: &str) -> Option<usize> {
    let at = (from..tokens.len()).find(|at| !is_space(&tokens[*at]))?;
    is_word(&tokens[at], word).then_some(at + 1)
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found)
        if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

/// A space or a comment.
fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// Names tables after the clauses behind them.
struct Namer {
    clauses: Vec<Clause>,
}

impl VisitorMut for Namer {
    type Break = std::convert::Infallible;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() else {
            return ControlFlow::Continue(());
        };
        let is_behind = |clause: &Clause| {
            clause.behind == last.span
                || alias.as_ref().is_some_and(|alias| alias.name.span == clause.behind)
        };
        let Some(at) = self.clauses.iter().position(is_behind) else {
            return ControlFlow::Continue(());
        };
        let Clause { what, .. } = self.clauses.remove(at);
        if alias.is_none() {
            let name = last.clone();
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        // As the planner has names without quotes.
        let table = match last.quote_style {
            Some(_) => last.value.clone(),
            None => last.value.to_ascii_lowercase(),
        };
        let named = match what {
            What::Version(version) => at_version(&table, version),
            What::Time(expression) => at_time(&table, &expression),
        };
        *last = Ident::with_quote_and_span('"', last.span, named);
        ControlFlow::Continue(())
    }
}
