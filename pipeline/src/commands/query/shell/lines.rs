//! Where the text of a shell or a script comes from.

use std::io::{self, BufRead, Read};

use super::names::Names;

/// Longest line of a script.
const BYTES_MAX: u64 = 16 << 20;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::query) enum Line {
    /// A line, or several that were edited together, without the end of the last.
    Text(String),
    /// What was typed is not wanted.
    Dropped,
    /// Nothing comes any more.
    End,
}

/// What text is read from.
pub(in crate::commands::query) trait Lines {
    /// What errors call it; none where somebody types.
    fn name(&self) -> Option<&str>;

    /// The next lines. `prompt` is for who types; `begun` is what was read and is no whole
    /// statement yet.
    ///
    /// # Errors
    /// It can't be read.
    fn next(&mut self, prompt: &str, begun: &str) -> io::Result<Line>;

    /// Somebody types: text that is to be edited first.
    fn offer(&mut self, _text: String) {}

    /// Names that can be completed have changed.
    fn learn(&mut self, _names: Names) {}
}

/// Lines of a text that is there.
#[derive(Debug)]
pub(in crate::commands::query) struct TextLines<R> {
    name: String,
    text: R,
}

impl<R: BufRead> TextLines<R> {
    /// Lines of a text under the name that errors give it.
    pub(in crate::commands::query) fn new(name: impl Into<String>, text: R) -> Self {
        Self { name: name.into(), text }
    }
}

impl<R: BufRead> Lines for TextLines<R> {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn next(&mut self, _prompt: &str, _begun: &str) -> io::Result<Line> {
        let mut line = Vec::new();
        let mut bounded = Read::take(&mut self.text, BYTES_MAX);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            return Ok(Line::End);
        }
        if line.len() as u64 == BYTES_MAX {
            return Err(io::Error::other(format!("a line has more than {} MiB", BYTES_MAX >> 20)));
        }
        let mut line = String::from_utf8(line)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let whole = line.trim_end_matches(['\n', '\r']).len();
        line.truncate(whole);
        Ok(Line::Text(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_lines_whatever_ends_them() {
        let mut lines = TextLines::new("a.sql", "one\r\n\ntwo".as_bytes());
        let mut read = || lines.next("", "").expect("it is text");
        let text = |text: &str| Line::Text(text.to_owned());
        assert_eq!(
            [read(), read(), read(), read()],
            [text("one"), text(""), text("two"), Line::End]
        );
        let mut lines = TextLines::new("a.sql", &b"\xff\n"[..]);
        assert!(lines.next("", "").is_err());
    }
}
