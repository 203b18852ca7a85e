//! Queries, which DataFusion's parser reads.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::action::{Action, Query};
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

/// A query, or what is refused in its place: what may stand within other statements.
pub(super) fn inner(tokens: Tokens<'_>) -> Result<Action, Problem> {
    let mut behind = tokens;
    behind.skip();
    match first_word(&tokens).as_deref() {
        None | Some("SELECT" | "WITH" | "VALUES") => writes::checked(query(&tokens)?),
        Some("TABLE") => table(&tokens, behind),
        Some(first) => writes::refused(first, &tokens, behind),
    }
}

/// What DataFusion's parser reads.
fn query(tokens: &Tokens<'_>) -> Result<Box<Query>, Problem> {
    let parameters = tokens.parameters();
    let statement = sql(tokens.rest(), tokens)?;
    if matches!(statement.tree, ast::Statement::Query(_)) {
        Ok(Box::new(Query { statement, parameters }))
    } else {
        Err(tokens.unexpected())
    }
}

/// `TABLE name`.
fn table(whole: &Tokens<'_>, tokens: Tokens<'_>) -> Result<Action, Problem> {
    let statement = sql(&format!("SELECT * FROM {}", tokens.rest()), whole)
        .map_err(|_problem| tokens.unexpected())?;
    writes::checked(Box::new(Query { statement, parameters: tokens.parameters() }))
}
