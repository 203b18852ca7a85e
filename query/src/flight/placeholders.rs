//! `?` as JDBC and ODBC write parameters.

use std::borrow::Cow;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// A statement with `$1`, `$2` and so on in the place of `?`. One that has such parameters already
/// stays as it is, as does what is no SQL.
pub(super) fn numbered(text: &str) -> Cow<'_, str> {
    if !text.contains('?') {
        return Cow::Borrowed(text);
    }
    let dialect = PostgreSqlDialect {};
    let Ok(tokens) = Tokenizer::new(&dialect, text).tokenize_with_location() else {
        return Cow::Borrowed(text);
    };
    if tokens.iter().any(|one| matches!(one.token, Token::Placeholder(_))) {
        return Cow::Borrowed(text);
    }
    let marks = tokens.iter().filter(|one| one.token == Token::Question);
    let mut marks = marks.map(|one| (one.span.start.line, one.span.start.column)).peekable();
    let mut result = String::with_capacity(text.len());
    let (mut line, mut column, mut number) = (1, 1, 0_u32);
    for letter in text.chars() {
        if marks.next_if_eq(&(line, column)).is_some() {
            number += 1;
            result.push_str(&format!("${number}"));
        } else {
            result.push(letter);
        }
        (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_numbers_where_they_are_parameters() {
        for (text, expected) in [
            ("select 1", "select 1"),
            ("select ?", "select $1"),
            ("select a from t\nwhere ä = ? and b in (?,?)\n-- ?\n  limit ?", {
                "select a from t\nwhere ä = $1 and b in ($2,$3)\n-- ?\n  limit $4"
            }),
            ("select '?', \"a?\", /* ? */ ?::int", "select '?', \"a?\", /* ? */ $1::int"),
            ("select $$?$$, E'\\'?', ?", "select $$?$$, E'\\'?', $1"),
            ("select ?, $1", "select ?, $1"),
            ("select '?", "select '?"),
        ] {
            assert_eq!(numbered(text), expected);
        }
    }
}
