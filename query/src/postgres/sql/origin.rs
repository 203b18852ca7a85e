//! Where in a client's text a statement stands, and what an error is about.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::{Spot, Tokens, tokenize};
use crate::postgres::error::Problem;

/// A statement's place in the text of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The statement.
    text: Box<str>,
    /// Characters before it.
    characters: usize,
}

/// What an error is about.
#[derive(Debug, PartialEq, Eq)]
enum Thing<'a> {
    Relation(&'a str),
    Column(&'a str),
    Qualifier(&'a str),
    Function(&'a str),
    Type(&'a str),
    Literal(&'a str),
}

impl Origin {
    /// A statement that begins at the next token.
    pub(super) fn of(tokens: &Tokens<'_>) -> Self {
        Self { text: tokens.rest().into(), characters: tokens.characters() }
    }

    /// The first parameter below a number that it does not have.
    pub(crate) fn unused_parameter(&self, parameters: usize) -> Option<usize> {
        let number = |spot: Spot| match spot.token {
            Token::Placeholder(name) => name.strip_prefix('$')?.parse::<usize>().ok(),
            _ => None,
        };
        let spots = tokenize(&self.text).unwrap_or_default();
        let used: BTreeSet<usize> = spots.into_iter().filter_map(number).collect();
        (1..=parameters).find(|number| !used.contains(number))
    }

    /// A problem with the place of what it is about, as far as the statement names that.
    pub(crate) fn placed(&self, problem: Problem) -> Problem {
        if problem.position.is_some() {
            return problem;
        }
        let Some(thing) = thing(problem.code, &problem.message) else { return problem };
        let spots = tokenize(&self.text).unwrap_or_default();
        let position = place(&thing, &spots).map(|characters| characters + self.characters + 1);
        Problem { position, ..problem }
    }
}

/// What stands between two texts.
fn between<'a>(message: &'a str, front: &str, back: &str) -> Option<&'a str> {
    message.strip_prefix(front)?.strip_suffix(back)
}

/// What a message of PostgreSQL's is about.
fn thing<'a>(code: &str, message: &'a str) -> Option<Thing<'a>> {
    let missing = " does not exist";
    match code {
        "42P01" => between(message, "relation \"", "\" does not exist")
            .map(Thing::Relation)
            .or_else(|| {
                between(message, "missing FROM-clause entry for table \"", "\"")
                    .map(Thing::Qualifier)
            }),
        "42703" => between(message, "column ", missing)
            .and_then(|name| name.trim_matches('"').rsplit('.').next())
            .map(Thing::Column),
        "42702" => between(message, "column reference \"", "\" is ambiguous").map(Thing::Column),
        "42803" => {
            let (name, _) = message.strip_prefix("column \"")?.split_once('"')?;
            name.rsplit('.').next().map(Thing::Column)
        }
        "42883" => {
            let name = between(message, "function ", missing)?;
            let name = name.split('(').next().unwrap_or(name);
            name.rsplit('.').next().map(Thing::Function)
        }
        "42704" => between(message, "type \"", "\" does not exist").map(Thing::Type),
        "22P02" | "22007" | "22008" | "22003" => {
            let behind = message.split_once(": \"").and_then(|(_, text)| text.strip_suffix('"'));
            let front = || {
                let (text, _) = message.split_once("\" is out of range for type")?;
                text.strip_prefix("value \"").or_else(|| text.strip_prefix('"'))
            };
            behind.or_else(front).map(Thing::Literal)
        }
        _ => None,
    }
}

/// The word of a token as a name.
fn name(spot: &Spot) -> Option<String> {
    match &spot.token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    }
}

/// Characters before what is meant.
fn place(thing: &Thing<'_>, spots: &[Spot]) -> Option<usize> {
    let token = |at: Option<usize>| at.and_then(|at| spots.get(at)).map(|spot| &spot.token);
    let is = |at: usize, wanted: &str| spots.get(at).and_then(name).is_some_and(|n| n == wanted);
    // The first of `a.b.c`, of which one is the last.
    let front = |mut at: usize| {
        while at >= 2 && token(Some(at - 1)) == Some(&Token::Period) {
            at -= 2;
        }
        at
    };
    let is_behind = |at: usize, words: &[&str], symbols: &[Token]| match at.checked_sub(1) {
        None => false,
        Some(before) => {
            words.iter().any(|word| is(before, word))
                || token(Some(before)).is_some_and(|token| symbols.contains(token))
        }
    };
    let calls = |at: usize| token(Some(at + 1)) == Some(&Token::LParen);
    let mut all = 0..spots.len();
    let found = match thing {
        Thing::Relation(wanted) => {
            let last = wanted.rsplit('.').next().unwrap_or(wanted);
            let words = ["from", "join", "table", "only"];
            let symbols = [Token::Comma, Token::LParen];
            let named = |at: &usize| is(*at, last) && !calls(*at);
            let is_source = |at: &usize| named(at) && is_behind(front(*at), &words, &symbols);
            all.clone().find(is_source).or_else(|| all.find(named)).map(front)
        }
        Thing::Column(wanted) => {
            let is_one = |at: &usize| {
                let is_qualifier = token(Some(at + 1)) == Some(&Token::Period);
                is(*at, wanted) && !calls(*at) && !is_qualifier && !is_behind(*at, &["as"], &[])
            };
            all.find(is_one).map(front)
        }
        Thing::Qualifier(wanted) => {
            all.find(|at| is(*at, wanted) && token(Some(at + 1)) == Some(&Token::Period))
        }
        Thing::Function(wanted) => all.find(|at| is(*at, wanted) && calls(*at)).map(front),
        Thing::Type(wanted) => {
            let is_type = |at: &usize| is_behind(front(*at), &["as"], &[Token::DoubleColon]);
            all.find(|at| is(*at, wanted) && is_type(at)).map(front)
        }
        Thing::Literal(wanted) => all.find(|at| match token(Some(*at)) {
            Some(
                Token::SingleQuotedString(text)
                | Token::EscapedStringLiteral(text)
                | Token::UnicodeStringLiteral(text)
                | Token::NationalStringLiteral(text),
            ) => text == wanted,
            Some(Token::DollarQuotedString(quoted)) => quoted.value == *wanted,
            _ => false,
        }),
    };
    found.and_then(|at| spots.get(at)).map(|spot| spot.characters)
}
