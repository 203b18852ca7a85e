//! Text as SQL's tokens, also where it is not whole yet.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// What the tokenizer says of a text that ends within a quote or a comment.
const OPEN: [&str; 4] =
    ["Unterminated", "Unexpected EOF", "Expected close delimiter", "Expected nested delimiter"];

/// A token that is neither a space nor a comment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spot {
    pub(super) token: Token,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte behind it.
    pub(super) end: usize,
}

/// How a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Between two tokens.
    Clean,
    /// Within a quote or a comment, which may be closed later.
    Open,
    /// Something in it is no token.
    Wrong,
}

/// The tokens of a text.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) spots: Vec<Spot>,
    pub(super) end: End,
}

/// The tokens of a text, as far as it has some.
pub(super) fn scan(text: &str) -> Scan {
    let mut tokens = Vec::new();
    let scanned =
        Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens);
    let end = match scanned {
        Ok(()) => End::Clean,
        Err(error) if OPEN.iter().any(|said| error.message.starts_with(said)) => End::Open,
        Err(_) => End::Wrong,
    };
    let mut places = Places { rest: text.char_indices(), line: 1, column: 1 };
    let mut spots = Vec::with_capacity(tokens.len());
    for TokenWithSpan { token, span } in tokens {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            continue;
        }
        let start = places.byte_at(span.start);
        spots.push(Spot { token, start, end: places.byte_at(span.end) });
    }
    Scan { spots, end }
}

/// Finds the bytes at lines and columns, which must be asked for in their order.
struct Places<'a> {
    rest: std::str::CharIndices<'a>,
    line: u64,
    column: u64,
}

impl Places<'_> {
    fn byte_at(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.rest.offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_at_their_bytes_and_an_open_end_is_known() {
        for (text, words, end) in [
            ("", vec![], End::Clean),
            ("select 'ä;' -- no;\n, ö", vec!["select", "'ä;'", ",", "ö"], End::Clean),
            ("select 'a", vec!["select"], End::Open),
            ("select \"a", vec!["select"], End::Open),
            ("select /* a /* b */", vec!["select"], End::Open),
            ("select $x$ a", vec!["select"], End::Open),
            ("/* ; */ ;", vec![";"], End::Clean),
        ] {
            let scan = scan(text);
            let found: Vec<&str> =
                scan.spots.iter().map(|spot| &text[spot.start..spot.end]).collect();
            assert_eq!((found, scan.end), (words, end), "{text}");
        }
    }
}
