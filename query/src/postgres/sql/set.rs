//! `SET`, `SHOW`, `RESET`, and the modes of transactions.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::action::{Action, Scope};
use super::tokens::Tokens;
use crate::postgres::error::Problem;

/// What is said of a transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modes {
    /// The level of isolation.
    pub(super) isolation: Option<&'static str>,
}

/// Takes `ISOLATION LEVEL …`, `READ ONLY`, `DEFERRABLE` and so on, with or without commas.
pub(super) fn modes(tokens: &mut Tokens<'_>) -> Result<Modes, Problem> {
    let mut modes = Modes::default();
    loop {
        if tokens.words(&["ISOLATION", "LEVEL"]) {
            let level = if tokens.word("SERIALIZABLE") {
                "serializable"
            } else if tokens.words(&["REPEATABLE", "READ"]) {
                "repeatable read"
            } else if tokens.words(&["READ", "COMMITTED"]) {
                "read committed"
            } else if tokens.words(&["READ", "UNCOMMITTED"]) {
                "read uncommitted"
            } else {
                return Err(tokens.unexpected());
            };
            modes.isolation = Some(level);
        } else if !(tokens.words(&["READ", "ONLY"])
            || tokens.words(&["READ", "WRITE"])
            || tokens.words(&["NOT", "DEFERRABLE"])
            || tokens.word("DEFERRABLE"))
        {
            return Ok(modes);
        }
        let _comma = tokens.symbol(&Token::Comma);
    }
}

pub(super) fn set(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    if tokens.words(&["SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"]) {
        let modes = modes(&mut tokens)?;
        return tokens.end(isolation(modes, "default_transaction_isolation", Scope::Session));
    }
    if tokens.words(&["SESSION", "AUTHORIZATION"]) {
        return role(tokens, "session_authorization", "session authorization");
    }
    let scope = match tokens.one_of(&["SESSION", "LOCAL"]) {
        Some("LOCAL") => Scope::Local,
        _ => Scope::Session,
    };
    if tokens.words(&["SESSION", "AUTHORIZATION"]) {
        return role(tokens, "session_authorization", "session authorization");
    }
    if tokens.word("TRANSACTION") {
        if tokens.word("SNAPSHOT") {
            let problem = Problem::unsupported("SET TRANSACTION SNAPSHOT is not supported");
            return Ok(Action::Refused(Box::new(problem)));
        }
        let modes = modes(&mut tokens)?;
        return tokens.end(isolation(modes, "transaction_isolation", Scope::Local));
    }
    if tokens.word("CONSTRAINTS") {
        return Ok(Action::Accepted { tag: "SET CONSTRAINTS" });
    }
    if tokens.word("ROLE") {
        return role(tokens, "role", "role");
    }
    let (name, value) = if tokens.words(&["TIME", "ZONE"]) {
        ("TimeZone".to_owned(), zone(&mut tokens)?)
    } else if tokens.word("NAMES") {
        let value = if tokens.is_at_end() { None } else { values(&mut tokens, "")? };
        ("client_encoding".to_owned(), value)
    } else if tokens.word("SCHEMA") {
        let name = "search_path";
        (name.to_owned(), values(&mut tokens, name)?)
    } else if tokens.words(&["XML", "OPTION"]) {
        ("xmloption".to_owned(), values(&mut tokens, "")?)
    } else {
        let name = dotted(&mut tokens)?;
        if !(tokens.symbol(&Token::Eq) || tokens.word("TO")) {
            return Err(tokens.unexpected());
        }
        let value = if name.eq_ignore_ascii_case("timezone") {
            zone(&mut tokens)?
        } else {
            values(&mut tokens, &name)?
        };
        if name.eq_ignore_ascii_case("session_authorization") || name.eq_ignore_ascii_case("role") {
            return Ok(role_to(&name, &name, value));
        }
        (name, value)
    };
    tokens.end(Action::Set { name, value, scope })
}

fn isolation(modes: Modes, name: &str, scope: Scope) -> Action {
    match modes.isolation {
        Some(level) => Action::Set { name: name.to_owned(), value: Some(level.to_owned()), scope },
        None => Action::Accepted { tag: "SET" },
    }
}

/// Nobody becomes another by a statement.
fn role(mut tokens: Tokens<'_>, name: &str, words: &str) -> Result<Action, Problem> {
    let _to = tokens.symbol(&Token::Eq) || tokens.word("TO");
    let value = match tokens.string() {
        Some(text) => text,
        None => tokens.name().ok_or_else(|| tokens.unexpected())?,
    };
    tokens.end(role_to(name, words, Some(value)))
}

fn role_to(name: &str, words: &str, value: Option<String>) -> Action {
    match value.as_deref() {
        None | Some("none" | "default") => Action::Accepted { tag: "SET" },
        Some(value) => {
            let what = if name == "role" { "role" } else { words };
            let problem = Problem::error("42501", format!("permission denied to set {what}"))
                .with_detail(format!("\"{value}\" can only sign in with a password of its own."));
            Action::Refused(Box::new(problem))
        }
    }
}

/// A zone: a name, hours, an interval.
fn zone(tokens: &mut Tokens<'_>) -> Result<Option<String>, Problem> {
    if tokens.one_of(&["LOCAL", "DEFAULT"]).is_some() {
        return Ok(None);
    }
    if tokens.word("INTERVAL") {
        let text = tokens.string().ok_or_else(|| tokens.unexpected())?;
        let _fields = tokens.words(&["HOUR", "TO", "MINUTE"]) || tokens.word("HOUR");
        return Ok(Some(format!("INTERVAL '{text}'")));
    }
    values(tokens, "TimeZone")
}

/// The values behind `TO`, with commas between as PostgreSQL keeps them; none for `DEFAULT`.
fn values(tokens: &mut Tokens<'_>, name: &str) -> Result<Option<String>, Problem> {
    if tokens.word("DEFAULT") {
        return Ok(None);
    }
    let is_list_of_names = name.eq_ignore_ascii_case("search_path");
    let mut values = Vec::new();
    loop {
        let value = if let Some(text) = tokens.string() {
            text
        } else if let Some(Token::Number(..) | Token::Minus | Token::Plus) = tokens.peek() {
            number(tokens)?
        } else {
            tokens.name().ok_or_else(|| tokens.unexpected())?
        };
        values.push(if is_list_of_names { quoted(value) } else { value });
        if !tokens.symbol(&Token::Comma) {
            return Ok(Some(values.join(", ")));
        }
    }
}

fn number(tokens: &mut Tokens<'_>) -> Result<String, Problem> {
    let sign = if tokens.symbol(&Token::Minus) { "-" } else { "" };
    let _plus = tokens.symbol(&Token::Plus);
    match tokens.peek() {
        Some(Token::Number(digits, _)) => {
            tokens.skip();
            Ok(format!("{sign}{digits}"))
        }
        _ => Err(tokens.unexpected()),
    }
}

/// A name in quotes if it needs them.
fn quoted(name: String) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if is_plain { name } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn dotted(tokens: &mut Tokens<'_>) -> Result<String, Problem> {
    let mut name = tokens.name().ok_or_else(|| tokens.unexpected())?;
    while tokens.symbol(&Token::Period) {
        name.push('.');
        name.push_str(&tokens.name().ok_or_else(|| tokens.unexpected())?);
    }
    Ok(name)
}

/// A setting's name as `SHOW` and `RESET` take it.
fn named(tokens: &mut Tokens<'_>) -> Result<String, Problem> {
    if tokens.words(&["TIME", "ZONE"]) {
        Ok("TimeZone".to_owned())
    } else if tokens.words(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
        Ok("transaction_isolation".to_owned())
    } else if tokens.words(&["SESSION", "AUTHORIZATION"]) {
        Ok("session_authorization".to_owned())
    } else {
        dotted(tokens)
    }
}

pub(super) fn show(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    if tokens.word("ALL") {
        return tokens.end(Action::ShowAll);
    }
    let name = named(&mut tokens)?;
    tokens.end(Action::Show(name))
}

pub(super) fn reset(mut tokens: Tokens<'_>) -> Result<Action, Problem> {
    if tokens.word("ALL") {
        return tokens.end(Action::Reset(None));
    }
    let name = named(&mut tokens)?;
    let action = match name.as_str() {
        // Nobody has become another.
        "role" | "session_authorization" => Action::Accepted { tag: "RESET" },
        _ => Action::Reset(Some(name)),
    };
    tokens.end(action)
}
