//! `TABLE name`, which the parser knows within queries and not as a statement.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Tokens in which a statement `TABLE name` is `SELECT * FROM name`.
pub(super) fn expand(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| keyword(token) == Some(Keyword::TABLE)) {
        return tokens;
    }
    let mut expanded = Vec::with_capacity(tokens.len() + 2);
    let mut begins = true;
    for token in tokens {
        match (&token.token, keyword(&token)) {
            (Token::Whitespace(_), _) => {}
            (Token::SemiColon, _) => begins = true,
            // A statement stands behind these, too.
            (_, Some(Keyword::EXPLAIN | Keyword::ANALYZE | Keyword::VERBOSE)) if begins => {}
            (_, Some(Keyword::TABLE)) if begins => {
                let words = [Token::make_keyword("SELECT"), Token::Mul];
                // They stand where the command does, for errors.
                expanded.extend(words.map(|word| TokenWithSpan::new(word, token.span)));
                expanded.push(TokenWithSpan::new(Token::make_keyword("FROM"), token.span));
                begins = false;
                continue;
            }
            (_, _) => begins = false,
        }
        expanded.push(token);
    }
    expanded
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}
