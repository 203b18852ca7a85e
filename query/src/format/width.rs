//! Texts as a terminal shows them.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the rest of a text.
const CUT: char = '…';

/// How many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The lines of a value. What would move a terminal's cursor or change its colors is written out,
/// such as `\t` and `\x1B`, so that no value can draw what is not in the table.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(visible).collect()
}

fn visible(line: &str) -> String {
    if !line.chars().any(char::is_control) {
        return line.to_owned();
    }
    let mut shown = String::with_capacity(line.len() + 8);
    for character in line.chars() {
        match character {
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            control if control.is_control() => {
                // Writing to a string does not fail.
                let _done = write!(shown, "\\x{:02X}", u32::from(control));
            }
            other => shown.push(other),
        }
    }
    shown
}

/// The beginning of a text that takes so many columns, with a mark that it is one; none where the
/// text takes no more.
pub(super) fn cut(text: &str, columns: usize) -> Option<String> {
    if width(text) <= columns {
        return None;
    }
    let mut kept = String::new();
    let mut taken = 1;
    for character in text.chars() {
        taken += character.width().unwrap_or(0);
        if taken > columns {
            break;
        }
        kept.push(character);
    }
    kept.push(CUT);
    Some(kept)
}
