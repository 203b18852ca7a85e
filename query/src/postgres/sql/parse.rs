//! From text to actions, by the first word of each statement.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::action::{Action, Query};
use super::origin::Origin;
use super::queries::{Inner, first_word, inner};
use super::text::sql;
use super::tokens::{Tokens, split, tokenize};
use super::types::named_type;
use super::{copy, cursors, set};
use crate::postgres::error::Problem;

/// The statements of a text, each as it is written and what it asks for; none where it holds only
/// spaces, comments and semicolons.
///
/// # Errors
/// A statement is no SQL; then none is run.
pub(crate) fn parse_texts(text: &str) -> Result<Vec<(&str, Action)>, Problem> {
    let spots = tokenize(text)?;
    let pieces = split(&spots).map(|piece| Tokens::new(text, piece));
    // Texts outlive the tokens that they were found by.
    let within = |tokens: &Tokens<'_>| tokens.range().and_then(|range| text.get(range));
    pieces.map(|tokens| Ok((within(&tokens).unwrap_or_default(), statement(tokens)?))).collect()
}

/// What the statements of a text ask for.
///
/// # Errors
/// As [`parse_texts`].
pub(crate) fn parse(text: &str) -> Result<Vec<Action>, Problem> {
    Ok(parse_texts(text)?.into_iter().map(|(_, action)| action).collect())
}

/// The one statement of a text.
///
/// # Errors
/// It is no SQL, or there are several.
pub(crate) fn parse_one(text: &str) -> Result<Action, Problem> {
    let mut actions = parse(text)?;
    match (actions.pop(), actions.is_empty()) {
        (None, _) => Ok(Action::Empty),
        (Some(action), true) => Ok(action),
        (Some(_), false) => Err(Problem::error(
            "42601",
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}

fn statement(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let whole = tokens;
    let first = first_word(&tokens).unwrap_or_default();
    tokens.skip();
    match first.as_str() {
        "EXPLAIN" => explain(tokens),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            transaction(&first, tokens)
        }
        "SET" => set::set(tokens),
        "SHOW" => set::show(tokens),
        "RESET" => set::reset(tokens),
        "DISCARD" => discard(tokens),
        "DEALLOCATE" => {
            let _word = tokens.word("PREPARE");
            all_or_name(tokens).map(Action::Deallocate)
        }
        "PREPARE" => prepare(tokens),
        "EXECUTE" => execute(tokens),
        "DECLARE" => cursors::declare(tokens),
        "FETCH" => cursors::fetch(tokens).map(|(name, to)| Action::Fetch { name, to }),
        "MOVE" => cursors::fetch(tokens).map(|(name, to)| Action::MoveTo { name, to }),
        "CLOSE" => all_or_name(tokens).map(Action::Close),
        "COPY" => copy::copy(tokens),
        "UNLISTEN" => Ok(Action::Accepted { tag: "UNLISTEN" }),
        _ => inner(whole).map(Action::from),
    }
}

fn explain(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let mut words = String::from("EXPLAIN");
    let is_list = tokens.peek() == Some(&Token::LParen) && {
        // A parenthesis may begin a query, too.
        let mut inner = tokens;
        inner.skip();
        ["SELECT", "WITH", "VALUES", "TABLE"].iter().all(|word| !inner.sees(word))
            && inner.peek() != Some(&Token::LParen)
    };
    if is_list {
        let mut options = tokens.parenthesized().ok_or_else(|| tokens.unexpected())?;
        while !options.is_at_end() {
            let name = options.name().ok_or_else(|| options.unexpected())?;
            let value = options.item().to_ascii_lowercase();
            let is_on = !matches!(value.as_str(), "off" | "false" | "0" | "none");
            match name.as_str() {
                "analyze" if is_on => words.push_str(" ANALYZE"),
                "verbose" if is_on => words.push_str(" VERBOSE"),
                "format" if value != "text" => {
                    let problem = format!("EXPLAIN in the format {value} is not supported");
                    return Ok(Action::Refused(Box::new(Problem::unsupported(problem))));
                }
                "analyze" | "verbose" | "format" | "costs" | "settings" | "buffers" | "wal"
                | "timing" | "summary" | "generic_plan" | "memory" | "serialize" => {}
                _ => {
                    let problem = format!("unrecognized EXPLAIN option \"{name}\"");
                    return Err(Problem::error("42601", problem));
                }
            }
            let _comma = options.symbol(&Token::Comma);
        }
    } else {
        let _analyze = tokens.word("ANALYZE") && push(&mut words, " ANALYZE");
        let _verbose = tokens.word("VERBOSE") && push(&mut words, " VERBOSE");
    }
    if let Inner::Refused(problem) = inner(tokens)? {
        return Ok(Action::Refused(problem));
    }
    let statement = sql(&format!("{words} {}", tokens.rest()), &tokens)?;
    let (parameters, origin) = (tokens.parameters(), Origin::of(&tokens));
    Ok(Action::Explain(Box::new(Query { statement, parameters, origin })))
}

fn push(text: &mut String, word: &str) -> bool {
    text.push_str(word);
    true
}

fn transaction(first: &str, mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let need = |name: Option<String>, tokens: &Tokens<'_>| {
        name.ok_or_else(|| tokens.unexpected()).and_then(|name| tokens.end(name))
    };
    match first {
        "SAVEPOINT" => return need(tokens.name(), &tokens).map(Action::Savepoint),
        "RELEASE" => {
            let _word = tokens.word("SAVEPOINT");
            return need(tokens.name(), &tokens).map(Action::Release);
        }
        "START" if !tokens.word("TRANSACTION") => return Err(tokens.unexpected()),
        "START" => {}
        _ => {
            let _word = tokens.one_of(&["WORK", "TRANSACTION"]);
        }
    }
    match first {
        "BEGIN" | "START" => {
            let isolation = set::modes(&mut tokens)?.isolation;
            let tag = if first == "BEGIN" { "BEGIN" } else { "START TRANSACTION" };
            tokens.end(Action::Begin { tag, isolation })
        }
        _ if tokens.word("PREPARED") => {
            let problem = Problem::error("55000", "prepared transactions are disabled");
            Ok(Action::Refused(Box::new(problem)))
        }
        "ROLLBACK" | "ABORT" => {
            if tokens.word("TO") {
                let _word = tokens.word("SAVEPOINT");
                return need(tokens.name(), &tokens).map(Action::RollbackTo);
            }
            let chain = chain(&mut tokens)?;
            tokens.end(Action::Rollback { chain })
        }
        _ => {
            let chain = chain(&mut tokens)?;
            tokens.end(Action::Commit { chain })
        }
    }
}

fn chain(tokens: &mut Tokens<'_>) -> Result<bool, Problem> {
    if !tokens.word("AND") {
        return Ok(false);
    }
    let no = tokens.word("NO");
    if tokens.word("CHAIN") { Ok(!no) } else { Err(tokens.unexpected()) }
}

fn discard(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let action = match tokens.one_of(&["ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"]) {
        Some("ALL") => Action::DiscardAll,
        Some("PLANS") => Action::Accepted { tag: "DISCARD PLANS" },
        Some("SEQUENCES") => Action::Accepted { tag: "DISCARD SEQUENCES" },
        Some(_) => Action::Accepted { tag: "DISCARD TEMP" },
        None => return Err(tokens.unexpected()),
    };
    tokens.end(action)
}

/// `ALL`, or a name.
fn all_or_name(mut tokens: Tokens<'_>) -> Result<Option<String>, Problem> {
    if tokens.word("ALL") {
        return tokens.end(None);
    }
    let name = tokens.name().ok_or_else(|| tokens.unexpected())?;
    tokens.end(Some(name))
}

fn prepare(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    if tokens.word("TRANSACTION") {
        let problem = Problem::error("55000", "prepared transactions are disabled");
        return Ok(Action::Refused(Box::new(problem)));
    }
    let name = tokens.name().ok_or_else(|| tokens.unexpected())?;
    let mut types = Vec::new();
    if let Some(mut list) = tokens.parenthesized() {
        while !list.is_at_end() {
            let wanted = list.item().to_ascii_lowercase();
            let found = named_type(&wanted).ok_or_else(|| {
                Problem::error("42704", format!("type \"{wanted}\" does not exist"))
            })?;
            types.push(found.oid);
            let _comma = list.symbol(&Token::Comma);
        }
    }
    if !tokens.word("AS") {
        return Err(tokens.unexpected());
    }
    match inner(tokens)? {
        Inner::Query(query) => {
            Ok(Action::Prepare { name, types, action: Box::new(Action::Query(query)) })
        }
        Inner::Refused(problem) => Ok(Action::Refused(problem)),
    }
}

fn execute(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    let name = tokens.name().ok_or_else(|| tokens.unexpected())?;
    let mut values = Vec::new();
    if let Some(mut list) = tokens.parenthesized() {
        while !list.is_at_end() {
            values.push(list.item().to_owned());
            let _comma = list.symbol(&Token::Comma);
        }
    }
    tokens.end(Action::Execute { name, values })
}
