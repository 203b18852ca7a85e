//! The core's parser on a part of a client's text.

use super::tokens::{Tokens, tokenize};
use crate::postgres::error::Problem;
use crate::service;

/// One statement of the core's parser, from a text that begins at the next token.
pub(super) fn sql(text: &str, tokens: &Tokens<'_>) -> Result<service::Statement, Problem> {
    let mut statements = service::parse(text).map_err(|error| located(error, text, tokens))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => Err(tokens.unexpected()),
    }
}

/// A syntax error as PostgreSQL says it, at its place in the client's whole text.
fn located(error: crate::error::QueryError, text: &str, tokens: &Tokens<'_>) -> Problem {
    let message = error.to_string();
    let problem = Problem::from(error);
    let end = text.chars().count() + 1;
    let position = match problem.position {
        Some(position) => position,
        None if message.contains("found: EOF") => end,
        None => return problem,
    };
    let spots = tokenize(text).unwrap_or_default();
    let found = spots.iter().find(|spot| spot.characters + 1 == position);
    let found = found.and_then(|spot| text.get(spot.start..spot.end));
    let problem = match found {
        Some(token) => Problem::syntax(Some(token), position),
        None if position >= end || message.contains("found: EOF") => Problem::syntax(None, end),
        None => problem,
    };
    problem.with_detail(message).moved(tokens.characters())
}
