//! Text of a client as tokens, with the places at which they stand.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::error::QueryError;
use crate::postgres::error::Problem;

/// A token that is neither a space nor a comment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spot {
    pub(super) token: Token,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte behind it.
    pub(super) end: usize,
    /// Characters of the text before it.
    pub(super) characters: usize,
}

/// The tokens of a text.
pub(super) fn tokenize(text: &str) -> Result<Vec<Spot>, Problem> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| Problem::from(QueryError::syntax(text, &error.into())))?;
    let mut places = Places::new(text);
    let mut spots = Vec::with_capacity(tokens.len());
    for TokenWithSpan { token, span } in tokens {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            continue;
        }
        let (start, characters) = places.of(span.start);
        let (end, _) = places.of(span.end);
        spots.push(Spot { token, start, end, characters });
    }
    Ok(spots)
}

/// Finds the bytes at lines and columns, which must be asked for in their order.
struct Places<'a> {
    rest: std::str::CharIndices<'a>,
    line: u64,
    column: u64,
    byte: usize,
    characters: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.char_indices(), line: 1, column: 1, byte: 0, characters: 0 }
    }

    fn of(&mut self, location: Location) -> (usize, usize) {
        while (self.line, self.column) < (location.line, location.column) {
            let Some((_, c)) = self.rest.next() else { break };
            self.byte = self.rest.offset();
            self.characters += 1;
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        (self.byte, self.characters)
    }
}

/// Reads the tokens of one statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    /// The client's whole text.
    text: &'a str,
    spots: &'a [Spot],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, spots: &'a [Spot]) -> Self {
        Self { text, spots, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.spots.get(self.at).map(|spot| &spot.token)
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.spots.len()
    }

    /// Whether this word, in any case and without quotes, is next; it is not taken.
    pub(super) fn sees(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Takes a word.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let is_there = self.sees(word);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    /// Takes words that all have to be there.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let before = self.at;
        let all = words.iter().all(|word| self.word(word));
        if !all {
            self.at = before;
        }
        all
    }

    /// Takes one of some words and gives it.
    pub(super) fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|word| self.word(word)).copied()
    }

    pub(super) fn symbol(&mut self, symbol: &Token) -> bool {
        let is_there = self.peek() == Some(symbol);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    /// Takes an identifier: small letters unless it is in quotes.
    pub(super) fn name(&mut self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Some(match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_lowercase(),
                })
            }
            _ => None,
        }
    }

    /// Takes a string literal.
    pub(super) fn string(&mut self) -> Option<String> {
        let text = match self.peek()? {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text)
            | Token::NationalStringLiteral(text) => text.clone(),
            Token::DollarQuotedString(quoted) => quoted.value.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(text)
    }

    /// Takes a whole number, with a sign or without.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let before = self.at;
        let negative = self.symbol(&Token::Minus);
        let _plus = !negative && self.symbol(&Token::Plus);
        let number = match self.peek() {
            Some(Token::Number(digits, _)) => digits.parse::<i64>().ok(),
            _ => None,
        };
        if number.is_some() {
            self.at += 1;
        } else {
            self.at = before;
        }
        number.map(|number| if negative { -number } else { number })
    }

    /// The text from the next token to the statement's end.
    pub(super) fn rest(&self) -> &'a str {
        self.between(self.at, self.spots.len())
    }

    /// The bytes of the whole text where these tokens stand; none where there are none.
    pub(super) fn range(&self) -> Option<std::ops::Range<usize>> {
        Some(self.spots.first()?.start..self.spots.last()?.end)
    }

    /// The text of some tokens, from one to before another.
    fn between(&self, from: usize, to: usize) -> &'a str {
        let start = self.spots.get(from).map(|spot| spot.start);
        let end = to.checked_sub(1).and_then(|last| self.spots.get(last)).map(|spot| spot.end);
        match (start, end) {
            (Some(start), Some(end)) => self.text.get(start..end).unwrap_or_default(),
            _ => "",
        }
    }

    /// Takes what stands in parentheses, of which the first is next, and gives its tokens.
    pub(super) fn parenthesized(&mut self) -> Option<Tokens<'a>> {
        if self.peek() != Some(&Token::LParen) {
            return None;
        }
        let mut depth = 0_usize;
        for (index, spot) in self.spots.iter().enumerate().skip(self.at) {
            match spot.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                let inner = self.spots.get(self.at + 1..index).unwrap_or_default();
                self.at = index + 1;
                return Some(Tokens { text: self.text, spots: inner, at: 0 });
            }
        }
        None
    }

    /// Takes all up to a comma that is in no parentheses, and gives its text; the comma is left.
    pub(super) fn item(&mut self) -> &'a str {
        let before = self.at;
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        self.between(before, self.at)
    }

    /// Characters of the client's text before the next token.
    pub(super) fn characters(&self) -> usize {
        match self.spots.get(self.at) {
            Some(spot) => spot.characters,
            None => self.text.chars().count(),
        }
    }

    /// The next token is none that may stand here.
    pub(super) fn unexpected(&self) -> Problem {
        let spot = self.spots.get(self.at);
        let token = spot.and_then(|spot| self.text.get(spot.start..spot.end));
        Problem::syntax(token, self.characters() + 1)
    }

    /// Nothing may follow.
    pub(super) fn end<T>(&self, value: T) -> Result<T, Problem> {
        if self.is_at_end() { Ok(value) } else { Err(self.unexpected()) }
    }

    /// The largest number of a `$1` in what is left.
    pub(super) fn parameters(&self) -> usize {
        let number = |spot: &Spot| match &spot.token {
            Token::Placeholder(text) => text.strip_prefix('$')?.parse::<usize>().ok(),
            _ => None,
        };
        self.spots.iter().skip(self.at).filter_map(number).max().unwrap_or(0)
    }
}

/// The statements of a text: ranges of tokens between semicolons, none of them empty.
pub(super) fn split(spots: &[Spot]) -> impl Iterator<Item = &[Spot]> {
    spots.split(|spot| spot.token == Token::SemiColon).filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let spots = tokenize(text).unwrap();
        split(&spots).map(|piece| Tokens::new(text, piece).rest().to_owned()).collect()
    }

    #[test]
    fn semicolons_divide_except_in_quotes_and_comments() {
        assert_eq!(pieces(" ; -- a;b\n;"), Vec::<String>::new());
        assert_eq!(
            pieces("select ';ä' /* ; */ ; select $$;$$;\nselect \"a;\""),
            ["select ';ä'", "select $$;$$", "select \"a;\""]
        );
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "select 'äö',\n  x";
        let spots = tokenize(text).unwrap();
        let last = spots.last().unwrap();
        assert_eq!((last.characters, text.get(last.start..last.end)), (15, Some("x")));
    }

    #[test]
    fn parentheses_and_items_are_taken_whole() {
        let text = "(a, (b), c) x, f(1, 2), y";
        let spots = tokenize(text).unwrap();
        let mut tokens = Tokens::new(text, &spots);
        assert_eq!(tokens.parenthesized().unwrap().rest(), "a, (b), c");
        assert_eq!(tokens.item(), "x");
        assert!(tokens.symbol(&Token::Comma));
        assert_eq!(tokens.item(), "f(1, 2)");
    }
}
