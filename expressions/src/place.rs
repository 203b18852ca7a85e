//! Where in an expression's text an error is, in bytes.

use std::ops::Range;

use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The first place where `name` is written as a word, quoted or not.
#[must_use]
pub fn of_word(sql: &str, name: &str) -> Option<Range<usize>> {
    words(sql).into_iter().find(|word| word.text == name).map(|word| word.at)
}

/// The first place where the function `name` is called; else where the word is written
/// (`current_date` needs no parentheses).
#[must_use]
pub fn of_call(sql: &str, name: &str) -> Option<Range<usize>> {
    let words = words(sql);
    let same = |word: &&Word| word.text.eq_ignore_ascii_case(name);
    words
        .iter()
        .filter(same)
        .find(|word| word.is_call)
        .or_else(|| words.iter().find(same))
        .map(|word| word.at.clone())
}

/// Takes ` at Line: 1, Column: 7` off the end of a parser's message and turns it into bytes;
/// without it the end of the text is meant.
#[must_use]
pub fn split_from_message<'m>(sql: &str, message: &'m str) -> (&'m str, Option<Range<usize>>) {
    let located = message.rsplit_once(" at Line: ").and_then(|(reason, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((
            reason,
            Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? },
        ))
    });
    match located {
        Some((reason, location)) => {
            let start = byte_of(sql, location);
            let length = sql[start..].split(char::is_whitespace).next().map_or(0, str::len);
            (reason, Some(start..start + length))
        }
        None => (message, Some(sql.len()..sql.len())),
    }
}

struct Word {
    text: String,
    is_call: bool,
    at: Range<usize>,
}

fn words(sql: &str) -> Vec<Word> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Vec::new();
    };
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let followers = tokens.iter().skip(1).map(|next| next.token == Token::LParen).chain([false]);
    let calls: Vec<bool> = followers.collect();
    tokens
        .into_iter()
        .zip(calls)
        .filter_map(|(token, is_call)| match token.token {
            Token::Word(word) => Some(Word {
                text: word.value,
                is_call,
                at: byte_of(sql, token.span.start)..byte_of(sql, token.span.end),
            }),
            _ => None,
        })
        .collect()
}

/// The byte that a location (line and column from 1, in characters) stands for; the end of the text
/// when it lies beyond.
pub(crate) fn byte_of(sql: &str, location: Location) -> usize {
    let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let start = match line {
        0 => 0,
        _ => sql.match_indices('\n').nth(line - 1).map_or(sql.len(), |(at, _)| at + 1),
    };
    sql[start..].char_indices().nth(column).map_or(sql.len(), |(at, _)| start + at)
}
