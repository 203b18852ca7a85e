//! The fast way through a JSON object: no escapes, fields mostly in the order of the record before,
//! those of objects within it too.
//!
//! It either pushes a whole record and says so, or says that it must be looked at carefully; then
//! what it pushed is dropped. It accepts nothing that a strict JSON parser would refuse: the
//! property test in `json` holds it to that.

use crate::decode::column::Column;

/// What a field is for.
#[derive(Debug, Clone, Copy)]
enum Target {
    Column(usize),
    /// Fields of the object are columns; the place in [`Scanner::objects`].
    Object(usize),
    /// The schema does not have it.
    Unwanted,
    /// A column that also has fields which are columns.
    Careful,
}

/// The field expected at one place of a record, counted over all of its objects.
#[derive(Debug)]
struct Guess {
    /// `"name":`
    pattern: Vec<u8>,
    /// The object it is in.
    object: usize,
    target: Target,
}

/// Scans records, learning the order of their fields.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    guesses: Vec<Guess>,
    /// What stands before the names of an object's fields in the names of columns (`a.b.`); the
    /// record itself is the first.
    objects: Vec<String>,
    pub(crate) ignored_fields: u64,
}

/// A record that is being scanned.
struct Scan<'a> {
    record: &'a [u8],
    columns: &'a mut [Column],
    row: usize,
    place: usize,
    ignored: u64,
}

/// Objects and arrays within one another that are read past; serde_json's own limit is 128.
const DEPTH_MAX: usize = 64;

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

/// Where the string that begins at `at` (after its quote) ends; None when it has an escape or a
/// control character, or no end.
#[inline]
fn plain_string_end(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quotes = zero_bytes(word ^ (LOW_BITS * u64::from(b'"')));
        let escapes = zero_bytes(word ^ (LOW_BITS * u64::from(b'\\')));
        let controls = word.wrapping_sub(LOW_BITS * 0x20) & !word & HIGH_BITS;
        let special = quotes | escapes | controls;
        if special != 0 {
            // Only the lowest set bit is exact, the ones above may stem from a borrow; the lowest
            // is all that counts.
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

/// The end of the value at `at`, for fields that nobody wants.
fn value_end(text: &[u8], at: usize, depth: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' => plain_string_end(text, at + 1).map(|end| end + 1),
        b't' => text[at..].starts_with(b"true").then_some(at + 4),
        b'f' => text[at..].starts_with(b"false").then_some(at + 5),
        b'n' => text[at..].starts_with(b"null").then_some(at + 4),
        b'-' | b'0'..=b'9' => number_end(text, at),
        open @ (b'{' | b'[') if depth < DEPTH_MAX => {
            nested_end(text, at + 1, open == b'{', depth + 1)
        }
        _ => None,
    }
}

/// The end of the object or array whose inside begins at `at`.
fn nested_end(text: &[u8], at: usize, object: bool, depth: usize) -> Option<usize> {
    let close = if object { b'}' } else { b']' };
    let mut at = skip_spaces(text, at);
    if *text.get(at)? == close {
        return Some(at + 1);
    }
    loop {
        if object {
            if *text.get(at)? != b'"' {
                return None;
            }
            at = skip_spaces(text, plain_string_end(text, at + 1)? + 1);
            if *text.get(at)? != b':' {
                return None;
            }
            at = skip_spaces(text, at + 1);
        }
        at = skip_spaces(text, value_end(text, at, depth)?);
        match *text.get(at)? {
            b',' => at = skip_spaces(text, at + 1),
            end if end == close => return Some(at + 1),
            _ => return None,
        }
    }
}

impl Scanner {
    /// Pushes one value into each column that `record` names, or returns false with some pushed.
    /// `row` is the number of rows before it.
    #[inline]
    pub(crate) fn scan(&mut self, record: &[u8], columns: &mut [Column], row: usize) -> bool {
        let mut scan = Scan { record, columns, row, place: 0, ignored: 0 };
        if self.objects.is_empty() {
            self.objects.push(String::new());
        }
        let end = match record.get(skip_spaces(record, 0)) {
            Some(b'{') => self.scan_object(&mut scan, skip_spaces(record, 0) + 1, 0),
            Some(_) | None => None,
        };
        let whole = end.is_some_and(|end| skip_spaces(record, end) == record.len());
        if whole {
            self.ignored_fields += scan.ignored;
        }
        whole
    }

    /// Scans the object whose inside begins at `at`; its end.
    #[inline]
    fn scan_object(&mut self, scan: &mut Scan<'_>, at: usize, object: usize) -> Option<usize> {
        let record = scan.record;
        let mut at = skip_spaces(record, at);
        loop {
            let target = self.field(scan, &mut at, object)?;
            scan.place += 1;
            at = skip_spaces(record, at);
            at = match target {
                Target::Column(index) => {
                    let column = &mut scan.columns[index];
                    if column.len() != scan.row {
                        return None;
                    }
                    push_value(record, at, column)?
                }
                Target::Object(inner) => match *record.get(at)? {
                    b'{' => self.scan_inner(scan, at + 1, inner)?,
                    _ => record[at..].starts_with(b"null").then_some(at + 4)?,
                },
                Target::Unwanted => {
                    scan.ignored += 1;
                    value_end(record, at, 0)?
                }
                Target::Careful => return None,
            };
            at = skip_spaces(record, at);
            match *record.get(at)? {
                b',' => at = skip_spaces(record, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// As [`Self::scan_object`], of an object within another: as deep as a column's name says.
    #[inline(never)]
    fn scan_inner(&mut self, scan: &mut Scan<'_>, at: usize, object: usize) -> Option<usize> {
        self.scan_object(scan, at, object)
    }

    /// What the key at `at` is for; `at` moves behind the colon.
    #[inline]
    fn field(&mut self, scan: &Scan<'_>, at: &mut usize, object: usize) -> Option<Target> {
        if let Some(guess) = self.guesses.get(scan.place)
            && guess.object == object
            && starts_with(&scan.record[*at..], &guess.pattern)
        {
            *at += guess.pattern.len();
            return Some(guess.target);
        }
        self.learn_field(scan, at, object)
    }

    #[cold]
    fn learn_field(&mut self, scan: &Scan<'_>, at: &mut usize, object: usize) -> Option<Target> {
        let record = scan.record;
        if *record.get(*at)? != b'"' {
            return None;
        }
        let end = plain_string_end(record, *at + 1)?;
        if *record.get(end + 1)? != b':' {
            return None;
        }
        let name =
            format!("{}{}", self.objects[object], std::str::from_utf8(&record[*at + 1..end]).ok()?);
        let column = scan.columns.iter().position(|c| c.is_named(&name));
        let target = match (column, scan.columns.iter().any(|c| c.is_field_of(&name))) {
            (Some(_), true) => Target::Careful,
            (Some(column), false) => Target::Column(column),
            (None, true) => Target::Object(self.object(&format!("{name}."))),
            (None, false) => Target::Unwanted,
        };
        let pattern = record[*at..end + 2].to_vec();
        *at = end + 2;
        let guess = Guess { pattern, object, target };
        if scan.place < self.guesses.len() {
            self.guesses[scan.place] = guess;
        } else if scan.place == self.guesses.len() && scan.place < 1024 {
            self.guesses.push(guess);
        }
        Some(target)
    }

    fn object(&mut self, prefix: &str) -> usize {
        self.objects.iter().position(|known| known == prefix).unwrap_or_else(|| {
            self.objects.push(prefix.to_owned());
            self.objects.len() - 1
        })
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
