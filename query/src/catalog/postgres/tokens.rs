//! What PostgreSQL reads otherwise than the parser: texts that follow each other, `ONLY`, and
//! `TABLE` in parentheses.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};

/// A statement's tokens as the parser takes them for what PostgreSQL reads.
///
/// # Errors
/// A text stands where a name has to: the parser would take it for one.
pub(crate) fn tokens_for_parser(
    tokens: Vec<TokenWithSpan>,
) -> Result<Vec<TokenWithSpan>, ParserError> {
    let mut done: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // The place in `done` of the last token that is no space, and of the one before.
    let (mut last, mut before) = (None, None);
    let mut crossed_line = false;
    for token in tokens {
        if let Token::Whitespace(space) = &token.token {
            crossed_line |=
                matches!(space, Whitespace::Newline | Whitespace::SingleLineComment { .. });
            done.push(token);
            continue;
        }
        let from = follows_from(before, &done);
        let so_far = last.and_then(|at: usize| done.get_mut(at)).map(|token| &mut token.token);
        match (so_far, &token.token) {
            (Some(Token::SingleQuotedString(first)), Token::SingleQuotedString(second))
                if crossed_line =>
            {
                first.push_str(second);
                crossed_line = false;
                continue;
            }
            (Some(Token::SingleQuotedString(_)), Token::SingleQuotedString(_)) => {
                return Err(misplaced(&token));
            }
            (Some(Token::Word(word)), Token::SingleQuotedString(_))
                if word.quote_style.is_none() && word.keyword == Keyword::AS =>
            {
                return Err(misplaced(&token));
            }
            // Here no table has others below it, which `ONLY` would leave out.
            (Some(only), Token::Word(_))
                if from && matches!(&*only, Token::Word(word) if is(word, Keyword::ONLY)) =>
            {
                *only = Token::Whitespace(Whitespace::Space);
            }
            (Some(Token::LParen), Token::Word(word)) if is(word, Keyword::TABLE) => {
                let words =
                    [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
                // They stand where the command does, for errors.
                done.extend(words.map(|word| TokenWithSpan::new(word, token.span)));
                (before, last) = (last, Some(done.len() - 1));
                crossed_line = false;
                continue;
            }
            _ => {}
        }
        crossed_line = false;
        done.push(token);
        (before, last) = (last, Some(done.len() - 1));
    }
    unwrap_rows(&mut done);
    Ok(done)
}

/// `(t).*` as `t.*`.
fn unwrap_rows(tokens: &mut [TokenWithSpan]) {
    let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let places: Vec<usize> = (0..tokens.len()).filter(|at| !is_space(&tokens[*at])).collect();
    for window in places.windows(6) {
        let &[before, open, name, close, period, star] = window else { continue };
        let is_row = matches!(
            (&tokens[open].token, &tokens[name].token, &tokens[close].token),
            (Token::LParen, Token::Word(_), Token::RParen)
        ) && matches!(
            (&tokens[period].token, &tokens[star].token),
            (Token::Period, Token::Mul)
        );
        let begins_item = match &tokens[before].token {
            Token::Comma => true,
            Token::Word(word) => [Keyword::SELECT, Keyword::DISTINCT, Keyword::ALL]
                .into_iter()
                .any(|keyword| is(word, keyword)),
            _ => false,
        };
        if is_row && begins_item {
            for place in [open, close] {
                tokens[place].token = Token::Whitespace(Whitespace::Space);
            }
        }
    }
}

fn misplaced(token: &TokenWithSpan) -> ParserError {
    let at = token.span.start;
    ParserError::ParserError(format!("a name is expected here, found: {}{at}", token.token))
}

fn is(word: &Word, keyword: Keyword) -> bool {
    word.quote_style.is_none() && word.keyword == keyword
}

fn follows_from(place: Option<usize>, tokens: &[TokenWithSpan]) -> bool {
    match place.and_then(|at| tokens.get(at)).map(|token| &token.token) {
        Some(Token::Word(word)) => is(word, Keyword::FROM) || is(word, Keyword::JOIN),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn parsed(text: &str) -> Result<String, ParserError> {
        let dialect = PostgreSqlDialect {};
        let tokens = Tokenizer::new(&dialect, text).tokenize_with_location()?;
        let mut parser =
            Parser::new(&dialect).with_tokens_with_locations(tokens_for_parser(tokens)?);
        parser.parse_statement().map(|statement| statement.to_string())
    }

    /// What PostgreSQL 15 reads.
    #[test]
    fn texts_and_tables_are_read_as_postgresql_does() {
        for (text, expected) in [
            ("select 'a'\n 'b'", "SELECT 'ab'"),
            ("select 'a' -- and\n 'b'\n'c', 'd'", "SELECT 'abc', 'd'"),
            ("select 'a' \"b\"", "SELECT 'a' AS \"b\""),
            ("select a, ( t ).* from t", "SELECT a, t.* FROM t"),
            ("select f(t).x from t", "SELECT f(t).x FROM t"),
            ("select * from only t", "SELECT * FROM t"),
            ("select * from a join only t on true", "SELECT * FROM a JOIN t ON true"),
            ("select a as \"only\" from t", "SELECT a AS \"only\" FROM t"),
            ("select a from t fetch first 2 rows only", "SELECT a FROM t FETCH FIRST 2 ROWS ONLY"),
            ("select * from (table t) x", "SELECT * FROM (SELECT * FROM t) x"),
        ] {
            assert_eq!(parsed(text).expect(text), expected);
        }
        for (text, place) in [
            ("select 'a' 'b'", "found: 'b' at Line: 1, Column: 12"),
            ("select 1 as 'b'", "found: 'b' at Line: 1, Column: 13"),
            ("select 'a' /* \n */ 'b'", "found: 'b' at Line: 2, Column: 5"),
        ] {
            let error = parsed(text).expect_err(text).to_string();
            assert!(error.ends_with(place), "{error}");
        }
    }
}
