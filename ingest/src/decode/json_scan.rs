//! The fast way through a JSON object: flat, no escapes, fields mostly in the order of the record before.
//!
//! It either pushes a whole record and says so, or says that it must be looked at carefully; then what it pushed is dropped. It accepts nothing
//! that a strict JSON parser would refuse: the property test in `json` holds it to that.

use crate::decode::column::Column;

/// The field expected at one place of a record.
#[derive(Debug)]
struct Guess {
    /// `"name":`
    pattern: Vec<u8>,
    /// None: a field that the schema does not have.
    column: Option<usize>,
}

/// Scans records, learning the order of their fields.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    guesses: Vec<Guess>,
    pub(crate) ignored_fields: u64,
}

#[inline]
fn skip_spaces(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = text.get(at) {
        at += 1;
    }
    at
}

/// `text.starts_with(start)` by words: a key is too short for a call of memcmp to pay.
#[inline]
fn starts_with(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else { return false };
    let (words, rest) = start.as_chunks::<8>();
    let (text_words, text_rest) = text.as_chunks::<8>();
    words.iter().zip(text_words).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && rest.iter().zip(text_rest).all(|(a, b)| a == b)
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

/// Where the string that begins at `at` (after its quote) ends; None when it has an escape or a control character, or no end.
#[inline]
fn plain_string_end(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quotes = zero_bytes(word ^ (LOW_BITS * u64::from(b'"')));
        let escapes = zero_bytes(word ^ (LOW_BITS * u64::from(b'\\')));
        let controls = word.wrapping_sub(LOW_BITS * 0x20) & !word & HIGH_BITS;
        let special = quotes | escapes | controls;
        if special != 0 {
            // Only the lowest set bit is exact, the ones above may stem from a borrow; the lowest is all that counts.
            at += special.trailing_zeros() as usize / 8;
            return (text[at] == b'"').then_some(at);
        }
        at += 8;
    }
    loop {
        match *text.get(at)? {
            b'"' => return Some(at),
            b'\\' | 0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The end of the JSON number at `at`.
fn number_end(text: &[u8], mut at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let start = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > start).then_some(at)
    };
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    let start = at;
    at = digits(at)?;
    if text[start] == b'0' && at > start + 1 {
        return None;
    }
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = digits(at)?;
    }
    Some(at)
}

/// The end of the flat value at `at`, for fields that nobody wants.
fn flat_value_end(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' => plain_string_end(text, at + 1).map(|end| end + 1),
        b't' => text[at..].starts_with(b"true").then_some(at + 4),
        b'f' => text[at..].starts_with(b"false").then_some(at + 5),
        b'n' => text[at..].starts_with(b"null").then_some(at + 4),
        b'-' | b'0'..=b'9' => number_end(text, at),
        _ => None,
    }
}

impl Scanner {
    /// Pushes one value into each column that `record` names, or returns false with some pushed. `row` is the number of rows before it.
    #[inline]
    pub(crate) fn scan(&mut self, record: &[u8], columns: &mut [Column], row: usize) -> bool {
        self.try_scan(record, columns, row).is_some()
    }

    #[inline]
    fn try_scan(&mut self, record: &[u8], columns: &mut [Column], row: usize) -> Option<()> {
        let mut at = skip_spaces(record, 0);
        if *record.get(at)? != b'{' {
            return None;
        }
        at = skip_spaces(record, at + 1);
        let mut place = 0;
        let mut ignored = 0;
        loop {
            let column = self.field(record, &mut at, place, columns)?;
            at = skip_spaces(record, at);
            match column {
                Some(index) => {
                    let column = &mut columns[index];
                    if column.len() != row {
                        return None;
                    }
                    at = push_value(record, at, column)?;
                }
                None => {
                    at = flat_value_end(record, at)?;
                    ignored += 1;
                }
            }
            at = skip_spaces(record, at);
            match *record.get(at)? {
                b',' => at = skip_spaces(record, at + 1),
                b'}' => break,
                _ => return None,
            }
            place += 1;
        }
        if skip_spaces(record, at + 1) != record.len() {
            return None;
        }
        self.ignored_fields += ignored;
        Some(())
    }

    /// The column of the key at `at`, which moves behind the colon.
    #[inline]
    fn field(&mut self, record: &[u8], at: &mut usize, place: usize, columns: &[Column]) -> Option<Option<usize>> {
        if let Some(guess) = self.guesses.get(place)
            && starts_with(&record[*at..], &guess.pattern)
        {
            *at += guess.pattern.len();
            return Some(guess.column);
        }
        self.learn_field(record, at, place, columns)
    }

    #[cold]
    fn learn_field(&mut self, record: &[u8], at: &mut usize, place: usize, columns: &[Column]) -> Option<Option<usize>> {
        if *record.get(*at)? != b'"' {
            return None;
        }
        let end = plain_string_end(record, *at + 1)?;
        if *record.get(end + 1)? != b':' {
            return None;
        }
        let name = &record[*at + 1..end];
        let column = columns.iter().position(|c| c.name.as_bytes() == name);
        let pattern = record[*at..end + 2].to_vec();
        *at = end + 2;
        let guess = Guess { pattern, column };
        if place < self.guesses.len() {
            self.guesses[place] = guess;
        } else if place == self.guesses.len() && place < 1024 {
            self.guesses.push(guess);
        }
        Some(column)
    }
}

#[inline]
fn push_value(record: &[u8], at: usize, column: &mut Column) -> Option<usize> {
    match *record.get(at)? {
        b'"' => {
            let end = plain_string_end(record, at + 1)?;
            let text = &record[at + 1..end];
            (column.push_plain_text(text) || column.push_plain_number(text)).then_some(end + 1)
        }
        b'n' => record[at..].starts_with(b"null").then(|| {
            column.push_null();
            at + 4
        }),
        _ => column.push_bare_prefix(&record[at..]).map(|taken| at + taken),
    }
}
