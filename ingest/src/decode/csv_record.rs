//! The grammar of a CSV record, shared by the feed (which cuts blocks between records) and the
//! decoder (which splits them), so that both see the same records whatever the block sizes are.
//!
//! A quote opens a field only as its first character; inside, two quotes are one, newlines are
//! text, and an escape character, if there is one, makes text of the character behind it. A quote
//! that is not closed within the record limit, or by the end of the file, is a mistake of its line
//! alone: reading goes on with the next line.

use memchr::{memchr, memchr2, memrchr};

/// The characters that CSV is made of; ASCII all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvMarks {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Before a character within quotes that is text whatever it is; not the quote.
    pub escape: Option<u8>,
}

impl CsvMarks {
    /// The next quote or escape character.
    #[inline]
    fn find_in_quotes(self, text: &[u8]) -> Option<usize> {
        match self.escape {
            None => memchr(self.quote, text),
            Some(escape) => memchr2(self.quote, escape, text),
        }
    }
}

/// Where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordEnd {
    /// The next record begins here; the terminator, if any, is included.
    At(usize),
    /// The buffer ends first, outside quotes.
    Open,
    /// A quote is not closed within the buffer.
    Quoted,
    /// The record has a quoted newline and is longer than the limit: its quote was a mistake.
    TooLong,
}

/// The end of the record at `start`, which may be `bytes_max` long if it has quotes. When `last`,
/// nothing follows `text`.
pub(crate) fn record_end(
    text: &[u8],
    start: usize,
    marks: CsvMarks,
    bytes_max: usize,
    last: bool,
) -> RecordEnd {
    let CsvMarks { delimiter, quote, .. } = marks;
    let mut at = start;
    let mut quoted_newline = false;
    // A record of several lines that is too long is so however much of it is in the buffer; one of
    // a single line is the caller's to limit.
    let bounded = |end: RecordEnd, length: usize, quoted_newline: bool| {
        if quoted_newline && length > bytes_max { RecordEnd::TooLong } else { end }
    };
    loop {
        if text.get(at) == Some(&quote) {
            at += 1;
            loop {
                let rest = text.get(at..).unwrap_or_default();
                let found = marks.find_in_quotes(rest);
                quoted_newline |= memchr(b'\n', &rest[..found.unwrap_or(rest.len())]).is_some();
                let Some(found) = found else {
                    return bounded(RecordEnd::Quoted, text.len() - start, quoted_newline);
                };
                at += found + 1;
                if rest[found] != quote {
                    quoted_newline |= text.get(at) == Some(&b'\n');
                    at += 1;
                    continue;
                }
                match text.get(at) {
                    Some(next) if *next == quote => at += 1,
                    // Two quotes or one: the next byte tells.
                    None if !last => {
                        return bounded(RecordEnd::Quoted, text.len() - start, quoted_newline);
                    }
                    _ => break,
                }
            }
        }
        match memchr2(delimiter, b'\n', &text[at..]) {
            None if last => {
                return bounded(RecordEnd::At(text.len()), text.len() - start, quoted_newline);
            }
            None => return bounded(RecordEnd::Open, text.len() - start, quoted_newline),
            Some(found) if text[at + found] == b'\n' => {
                let end = at + found + 1;
                return bounded(RecordEnd::At(end), end - start, quoted_newline);
            }
            Some(found) => at += found + 1,
        }
    }
}

/// How much of `text` (which begins with a record) holds whole records; 0 when more must be read
/// first.
pub(crate) fn cut_csv(text: &[u8], marks: CsvMarks, bytes_max: usize, last: bool) -> usize {
    let mut start = 0;
    loop {
        let next_quote = match memchr(marks.quote, &text[start..]) {
            Some(found) => start + found,
            None if last => return text.len(),
            None => return memrchr(b'\n', &text[start..]).map_or(start, |at| start + at + 1),
        };
        if let Some(newline) = memrchr(b'\n', &text[start..next_quote]) {
            start += newline + 1;
        }
        match record_end(text, start, marks, bytes_max, last) {
            RecordEnd::At(end) => start = end,
            RecordEnd::Open => return start,
            RecordEnd::Quoted if !last => return start,
            // The block ends with the faulty line, so that the decoder finds the quote open and
            // rejects the line.
            RecordEnd::Quoted | RecordEnd::TooLong => {
                return memchr(b'\n', &text[start..])
                    .map_or(if last { text.len() } else { start }, |at| start + at + 1);
            }
        }
        if start == text.len() {
            return start;
        }
    }
}

/// A field of a record: its place in the record, or in `unquoted` when quotes had to be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CsvField {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) quoted: bool,
}

/// Splits a whole record (without its line end) into `fields`; the text of quoted ones goes to
/// `unquoted`. False when text follows a closing quote.
pub(crate) fn split_record(
    record: &[u8],
    marks: CsvMarks,
    fields: &mut Vec<CsvField>,
    unquoted: &mut Vec<u8>,
) -> bool {
    let CsvMarks { delimiter, quote, .. } = marks;
    fields.clear();
    unquoted.clear();
    let mut at = 0;
    loop {
        if record.get(at) == Some(&quote) {
            let start = unquoted.len();
            at += 1;
            loop {
                let rest = record.get(at..).unwrap_or_default();
                let Some(found) = marks.find_in_quotes(rest) else { return false };
                unquoted.extend_from_slice(&rest[..found]);
                at += found + 1;
                if rest[found] != quote {
                    unquoted.extend(record.get(at));
                    at += 1;
                    continue;
                }
                if record.get(at) != Some(&quote) {
                    break;
                }
                unquoted.push(quote);
                at += 1;
            }
            fields.push(CsvField { start, end: unquoted.len(), quoted: true });
            match record.get(at) {
                None => return true,
                Some(next) if *next == delimiter => at += 1,
                Some(_) => return false,
            }
        } else {
            let end = memchr(delimiter, &record[at..]).map_or(record.len(), |found| at + found);
            fields.push(CsvField { start: at, end, quoted: false });
            if end == record.len() {
                return true;
            }
            at = end + 1;
        }
    }
}

/// A record without its line end.
pub(crate) fn trim_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: CsvMarks = CsvMarks { delimiter: b',', quote: b'"', escape: None };
    const ESCAPED: CsvMarks = CsvMarks { escape: Some(b'\\'), ..MARKS };

    fn end(text: &str, last: bool) -> RecordEnd {
        record_end(text.as_bytes(), 0, MARKS, 1000, last)
    }

    #[test]
    fn an_escape_character_makes_text_of_the_next_one_within_quotes() {
        let end = |text: &str, last| record_end(text.as_bytes(), 0, ESCAPED, 1000, last);
        assert_eq!(end("a,\"b\\\"\nc\",d\ne", false), RecordEnd::At(12));
        assert_eq!(end("a,\"b\\\\\"\ne", false), RecordEnd::At(8));
        // Outside of quotes it is a character like any other.
        assert_eq!(end("a\\,b\\\nc", false), RecordEnd::At(6));
        // What it stands before is not there yet.
        assert_eq!(end("\"a\\", false), RecordEnd::Quoted);
        assert_eq!(end("\"a\\", true), RecordEnd::Quoted);
        assert_eq!(cut_csv(b"\"a\\\"\n\"\nb\n", ESCAPED, 1000, false), 9);
        let (mut fields, mut text) = (Vec::new(), Vec::new());
        let record = br#""a\"b\\c""d",\x,"\n""#;
        assert!(split_record(record, ESCAPED, &mut fields, &mut text));
        assert_eq!(text, br#"a"b\c"dn"#);
        assert_eq!((fields[1].start, fields[1].end), (13, 15));
        assert!(!split_record(b"\"a\\", ESCAPED, &mut fields, &mut text));
        assert!(!split_record(b"\"a\\\"", ESCAPED, &mut fields, &mut text));
    }

    #[test]
    fn a_newline_ends_a_record_unless_it_is_quoted() {
        assert_eq!(end("a,b\nc", false), RecordEnd::At(4));
        assert_eq!(end("a,\"b\nc\",d\ne", false), RecordEnd::At(10));
        assert_eq!(end("a,\"b\"\"\nc\"\ne", false), RecordEnd::At(10));
        assert_eq!(end("a,b", false), RecordEnd::Open);
        assert_eq!(end("a,b", true), RecordEnd::At(3));
        assert_eq!(end("a,\"b\n", true), RecordEnd::Quoted);
        assert_eq!(end("5\" pipe,x\n", false), RecordEnd::At(10));
    }

    #[test]
    fn a_quote_at_the_end_of_the_buffer_waits_for_what_follows() {
        assert_eq!(end("a,\"b\"", false), RecordEnd::Quoted);
        assert_eq!(end("a,\"b\"", true), RecordEnd::At(5));
    }

    #[test]
    fn blocks_are_cut_between_records() {
        let cut = |text: &str, last| cut_csv(text.as_bytes(), MARKS, 1000, last);
        assert_eq!(cut("a,b\nc,d\ne", false), 8);
        assert_eq!(cut("a,b\n\"c\nd\",e\nf", false), 12);
        assert_eq!(cut("a,b\n\"c\nd", false), 4);
        assert_eq!(cut("\"c\nd", false), 0);
        assert_eq!(cut("a\n\"c\nd\n", true), 5);
        assert_eq!(cut_csv(b"\"c\nd\ne\nf\n", MARKS, 4, false), 3);
    }

    #[test]
    fn quotes_are_taken_out_of_fields() {
        let (mut fields, mut text) = (Vec::new(), Vec::new());
        assert!(split_record(b"a,\"b\"\"c\",,\"\"", MARKS, &mut fields, &mut text));
        assert_eq!(fields.len(), 4);
        assert_eq!(&text[fields[1].start..fields[1].end], b"b\"c");
        assert!(fields[3].quoted && fields[3].start == fields[3].end);
        assert!(!split_record(b"\"a\"b,c", MARKS, &mut fields, &mut text));
        assert!(split_record(b"a,", MARKS, &mut fields, &mut text));
        assert_eq!(fields.len(), 2);
    }
}
