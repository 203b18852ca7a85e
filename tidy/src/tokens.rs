//! Rust source as tokens: names and single signs, without comments and texts, each with its line.

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// A name, a number, or one sign; `::` is one sign.
    pub(crate) text: String,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// The tokens of a file. Texts and characters are left out.
#[must_use]
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut at, mut line, mut found) = (0, 1, Vec::new());
    while at < chars.len() {
        let from = at;
        let here = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
        let c = here(0);
        if c == '/' && here(1) == '/' {
            at = end_of_line(&chars, at);
        } else if c == '/' && here(1) == '*' {
            at = end_of_comment(&chars, at);
        } else if c == '"' {
            at = end_of_text(&chars, at + 1);
        } else if let Some(end) = end_of_raw_text(&chars, at) {
            at = end;
        } else if c == '\'' {
            at = end_of_character(&chars, at);
        } else if c.is_alphanumeric() || c == '_' {
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            found.push(Token { text: chars[from..at].iter().collect(), line });
        } else if c == ':' && here(1) == ':' {
            at += 2;
            found.push(Token { text: "::".into(), line });
        } else {
            at += 1;
            if !c.is_whitespace() {
                found.push(Token { text: c.into(), line });
            }
        }
        line += chars[from..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_line(chars: &[char], from: usize) -> usize {
    chars[from..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| from + length)
}

/// Where a block comment ends; block comments nest.
fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// Where a text ends whose first character is at `at`.
fn end_of_text(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// Where a text such as `r"..."`, `r#"..."#` or `b"..."` ends.
fn end_of_raw_text(chars: &[char], from: usize) -> Option<usize> {
    if from > 0 && (chars[from - 1].is_alphanumeric() || chars[from - 1] == '_') {
        return None;
    }
    let mut at = from;
    while at < from + 2 && matches!(chars.get(at), Some('b' | 'c' | 'r')) {
        at += 1;
    }
    let is_raw = at > from && chars[at - 1] == 'r';
    let marks = chars[at..].iter().take_while(|c| **c == '#').count();
    if at == from || chars.get(at + marks) != Some(&'"') || (marks > 0 && !is_raw) {
        return None;
    }
    if !is_raw {
        return Some(end_of_text(chars, at + 1));
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', marks)).collect();
    let start = at + marks + 1;
    let length = chars[start..].windows(end.len()).position(|w| w == end.as_slice());
    Some(length.map_or(chars.len(), |length| start + length + end.len()))
}

/// Where a character literal ends; a lifetime ends after its quote.
fn end_of_character(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => {
            let rest = chars[from + 3..].iter().position(|c| *c == '\'');
            rest.map_or(chars.len(), |length| from + 3 + length + 1)
        }
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> String {
        tokens(source).iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_texts_and_characters_are_left_out() {
        let cases = [
            ("a::b(c) // d\n/* e /* f */ g */ h", "a :: b ( c ) h"),
            (r#"x("y \" z", 'q', '\'', '\u{1F600}')"#, "x ( , , , )"),
            ("r#\"use crate::a;\"# br\"b\" b\"c\" r\"d\" end", "end"),
            ("fn f<'a>(&'a self)", "fn f < a > ( & a self )"),
            ("var_r\"text\"", "var_r"),
        ];
        for (source, expected) in cases {
            assert_eq!(texts(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_in_texts_and_comments_too() {
        let found = tokens("a \"\n\n\" b /*\n*/ c");
        let lines: Vec<usize> = found.iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }
}
