//! Text that comes in pieces, and the statements in it as they become whole.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::{End, scan};

/// The longest statement.
const BYTES_MAX: usize = 16 << 20;

/// A statement's place in the text: its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Text of which not all statements have been taken.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Whole lines, the first of which may hold statements that have been taken.
    text: String,
    /// Up to which byte they have been.
    taken: usize,
    /// How many lines came before the text.
    lines_before: usize,
}

impl Pending {
    /// All that has come, as far as it is still of interest.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What has not been taken.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.taken..]
    }

    /// How many lines came before [`Self::text`].
    pub(super) fn lines_before(&self) -> usize {
        self.lines_before
    }

    /// The number of the next line.
    pub(super) fn line_number(&self) -> usize {
        self.lines_before + self.text.matches('\n').count() + 1
    }

    /// Whether no statement has begun.
    pub(super) fn is_blank(&self) -> bool {
        let rest = self.rest();
        if rest.trim().is_empty() {
            return true;
        }
        let scan = scan(rest);
        scan.spots.is_empty() && scan.end == End::Clean
    }

    /// Whether the text ends within a quote or a comment.
    pub(super) fn is_open(&self) -> bool {
        scan(self.rest()).end == End::Open
    }

    /// Takes lines, without the end of the last.
    ///
    /// # Errors
    /// A statement would be too long; what there is of it is forgotten.
    pub(super) fn push(&mut self, lines: &str) -> Result<(), String> {
        // What was taken is kept for a look at its last line only.
        let kept = self.text[..self.taken].rfind('\n').map_or(0, |newline| newline + 1);
        self.lines_before += self.text[..kept].matches('\n').count();
        self.text.drain(..kept);
        self.taken -= kept;
        if self.text.len() + lines.len() > BYTES_MAX {
            self.clear();
            return Err(format!("a statement has more than {} MiB", BYTES_MAX >> 20));
        }
        self.text.push_str(lines);
        self.text.push('\n');
        Ok(())
    }

    /// The statements that are whole now, without their semicolons; where no more comes, also the
    /// last one, which needs none.
    pub(super) fn take(&mut self, no_more_comes: bool) -> Vec<Piece> {
        let scan = scan(self.rest());
        let (mut pieces, mut start, mut first) = (Vec::new(), self.taken, None);
        let mut last = self.taken;
        for spot in scan.spots {
            if spot.token == Token::SemiColon {
                if let Some(first) = first.take() {
                    pieces.push(Piece { start: first, end: last });
                }
                start = self.taken + spot.end;
            } else {
                first.get_or_insert(self.taken + spot.start);
                last = self.taken + spot.end;
            }
        }
        // What is no token will not become one: whoever parses it says so.
        if no_more_comes || scan.end == End::Wrong {
            if scan.end != End::Clean {
                last = self.text.trim_end().len();
            }
            if first.is_some() || (scan.end != End::Clean && last > start) {
                let first = first.unwrap_or(start);
                pieces.push(Piece { start: first, end: last.max(first) });
            }
            start = self.text.len();
        }
        self.taken = start;
        pieces
    }

    /// Forgets what has not been taken.
    pub(super) fn clear(&mut self) {
        self.lines_before += self.text.matches('\n').count();
        self.text.clear();
        self.taken = 0;
    }
}

/// Whether a text that is typed is whole: nothing, a command, or statements of which the last has
/// its semicolon.
pub(super) fn is_whole(text: &str) -> bool {
    if text.trim_start().starts_with('\\') {
        return true;
    }
    let scan = scan(text);
    match scan.end {
        End::Open => false,
        End::Wrong => true,
        End::Clean => scan.spots.last().is_none_or(|spot| spot.token == Token::SemiColon),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of lines, and then of their end.
    fn taken(lines: &[&str]) -> Vec<(String, usize)> {
        let mut pending = Pending::default();
        let mut found = Vec::new();
        for at in 0..=lines.len() {
            match lines.get(at) {
                Some(line) => pending.push(line).expect("it is short"),
                None if pending.is_blank() => break,
                None => {}
            }
            for piece in pending.take(at == lines.len()) {
                let before = &pending.text()[..piece.start];
                let line = pending.lines_before() + before.matches('\n').count() + 1;
                found.push((pending.text()[piece.start..piece.end].to_owned(), line));
            }
        }
        found
    }

    #[test]
    fn statements_end_with_semicolons_that_are_not_quoted() {
        for (lines, expected) in [
            (vec![], vec![]),
            (vec!["", "-- nothing;", ";;"], vec![]),
            (vec!["select 1; select 2;"], vec![("select 1", 1), ("select 2", 1)]),
            (vec!["select", "1", ";", "x"], vec![("select\n1", 1), ("x", 4)]),
            (
                vec!["-- c", "select ';' -- ;", "as a; select 2"],
                vec![("select ';' -- ;\nas a", 2), ("select 2", 3)],
            ),
            (vec!["select 'a", ";", "b';"], vec![("select 'a\n;\nb'", 1)]),
            // An end within a quote is for the parser to refuse.
            (vec!["select 1; select 'a"], vec![("select 1", 1), ("select 'a", 1)]),
            (vec!["/* open"], vec![("/* open", 1)]),
        ] {
            let expected: Vec<(String, usize)> = expected
                .into_iter()
                .map(|(text, line): (&str, _)| (text.to_owned(), line))
                .collect();
            assert_eq!(taken(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_text_is_whole_with_its_semicolon() {
        for (text, expected) in [
            ("", true),
            ("  \n", true),
            ("-- a comment", true),
            ("\\d loans", true),
            ("select 1", false),
            ("select 1;", true),
            ("select 1; -- done", true),
            ("select ';", false),
            ("select 1; select", false),
            ("/* ;", false),
        ] {
            assert_eq!(is_whole(text), expected, "{text}");
        }
    }

    #[test]
    fn a_statement_has_a_limit() {
        let mut pending = Pending::default();
        let line = "x".repeat(1 << 20);
        let refused = (0..20).find_map(|_| pending.push(&line).err());
        assert_eq!(refused.as_deref(), Some("a statement has more than 16 MiB"));
        assert!(pending.is_blank());
    }
}
