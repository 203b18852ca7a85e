//! Opening a file: what does a CSV header say, and what does an error mean.

use crate::decode::{
    CsvField, CsvLayout, CsvMarks, Encoding, MARK_BYTES, RecordEnd, RowRules, record_end, shown,
    split_record, trim_line_end,
};
use crate::file::format::{Compression, FileSourceSpec, SkipLines};
use crate::file::text::decompressed;
use memchr::memchr;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Whether compressed data ends where it must not: the file is cut off, or still being written.
pub(crate) fn is_cut_off(error: &io::Error, compression: Compression) -> bool {
    compression != Compression::None
        && (error.kind() == io::ErrorKind::UnexpectedEof
            || (compression == Compression::Zstd && error.to_string().contains("incomplete")))
}

/// What an input error means to a user.
pub(crate) fn describe(error: &io::Error, compression: Compression) -> String {
    match (compression, error.kind()) {
        (Compression::None, _) | (_, io::ErrorKind::PermissionDenied) => error.to_string(),
        _ if is_cut_off(error, compression) => {
            "the compressed data ends too early; the file is cut off, or still being written".into()
        }
        (Compression::Gzip, _) => not_valid("gzip", error),
        (Compression::Zstd, _) => not_valid("zstd", error),
    }
}

/// The content is not what the file's name or the configuration says.
fn not_valid(form: &str, error: &io::Error) -> String {
    format!("not valid {form} data ({error}); `compression` can say what it is instead")
}

/// What is before the records of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvHeader {
    /// The header's fields; none: there is no header.
    pub(crate) names: Option<Vec<String>>,
    /// Where the records begin.
    pub(crate) end: usize,
}

/// The encoding of a text file; none when it is too short to say.
pub(crate) fn encoding_of(spec: &FileSourceSpec, path: &Path) -> Result<Option<Encoding>, String> {
    let compression = spec.compression_of(path);
    let (beginning, _) =
        read_beginning(path, compression, MARK_BYTES).map_err(|e| describe(&e, compression))?;
    spec.encoding.of(&beginning)
}

const HEADER_BYTES_MAX: usize = 1024 * 1024;
/// Lines among which a header is looked for.
const HEADER_LINES_MAX: usize = 1000;

/// The beginning of a file, decompressed: at least `bytes` of it, or all.
pub(crate) fn read_beginning(
    path: &Path,
    compression: Compression,
    bytes: usize,
) -> io::Result<(Vec<u8>, bool)> {
    let mut input = decompressed(File::open(path)?, compression, Arc::new(AtomicU64::new(0)))?;
    let mut text = Vec::new();
    let read = input.by_ref().take(bytes as u64).read_to_end(&mut text)?;
    Ok((text, read < bytes))
}

/// Reads what is before a file's records: lines that are skipped, and the header; none when the
/// file has nothing yet. A line without its end counts only when the file `may_grow` no more.
/// `rules` say which columns the header has, where it is the first line that has them.
pub(crate) fn read_header(
    spec: &FileSourceSpec,
    path: &Path,
    encoding: Encoding,
    rules: Option<&RowRules>,
    may_grow: bool,
) -> Result<Option<CsvHeader>, String> {
    let compression = spec.compression_of(path);
    let mut bytes = 64 * 1024;
    loop {
        let (text, whole) =
            read_beginning(path, compression, bytes).map_err(|e| describe(&e, compression))?;
        let beginning = Beginning {
            text: &text,
            image: encoding.image(&text),
            encoding,
            marks: spec.marks(path),
            last: whole && !may_grow,
        };
        match beginning.header(spec, rules)? {
            Some(header) => return Ok(Some(header)),
            None if whole => return Ok(None),
            None if bytes >= HEADER_BYTES_MAX => {
                return Err(format!(
                    "the header has no end within {HEADER_BYTES_MAX} bytes; is it a CSV file?"
                ));
            }
            None => bytes *= 4,
        }
    }
}

/// The beginning of a CSV file.
struct Beginning<'a> {
    text: &'a [u8],
    image: Cow<'a, [u8]>,
    encoding: Encoding,
    marks: CsvMarks,
    /// Nothing follows it.
    last: bool,
}

impl Beginning<'_> {
    /// Places are those of the image, until the answer.
    fn header(
        &self,
        spec: &FileSourceSpec,
        rules: Option<&RowRules>,
    ) -> Result<Option<CsvHeader>, String> {
        let unit = self.encoding.unit();
        let mark = self.encoding.mark();
        let first = if self.text.starts_with(mark) { mark.len() / unit } else { 0 };
        let (names, end) = match spec.csv.skip_lines {
            SkipLines::Count(lines) => {
                let Some(start) = self.skip(first, lines)? else { return Ok(None) };
                if !spec.csv.header {
                    return Ok(Some(CsvHeader { names: None, end: start * unit }));
                }
                let Some((record, end)) = self.record(start)? else { return Ok(None) };
                (self.names(record)?, end)
            }
            SkipLines::ToHeader => match self.find(first, spec, rules)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        for (place, name) in names.iter().enumerate() {
            if !name.is_empty() && names[..place].contains(name) {
                return Err(format!("the header names column {} twice", shown(name)));
            }
        }
        Ok(Some(CsvHeader { names: Some(names), end: end * unit }))
    }

    /// Where the line after so many lines begins; none when they are not all there yet.
    fn skip(&self, first: usize, lines: usize) -> Result<Option<usize>, String> {
        let mut start = first;
        for skipped in 0..lines {
            match memchr(b'\n', &self.image[start..]) {
                Some(at) => start += at + 1,
                None if self.last && !self.image[first..].trim_ascii().is_empty() => {
                    return Err(format!(
                        "it has {skipped} line{}, and {lines} are to be skipped",
                        if skipped == 1 { "" } else { "s" }
                    ));
                }
                None => return Ok(None),
            }
        }
        Ok(Some(start))
    }

    /// The first line that has the columns that are read.
    fn find(
        &self,
        first: usize,
        spec: &FileSourceSpec,
        rules: Option<&RowRules>,
    ) -> Result<Option<(Vec<String>, usize)>, String> {
        let wanted = rules.map(|rules| wanted(rules, spec.missing_as_null)).unwrap_or_default();
        let mut start = first;
        for _ in 0..HEADER_LINES_MAX {
            if start >= self.image.len() {
                break;
            }
            // What is before the header is no CSV, and may have a quote that nothing closes.
            if let Ok(Some((record, end))) = self.record(start)
                && let Ok(names) = self.names(record)
                && wanted.iter().all(|wanted| names.iter().any(|name| name == wanted))
            {
                return Ok(Some((names, end)));
            }
            match memchr(b'\n', &self.image[start..]) {
                Some(at) => start += at + 1,
                None => break,
            }
        }
        let lines = self.image[first..].iter().filter(|b| **b == b'\n').count();
        if (!self.last && lines < HEADER_LINES_MAX) || self.image[first..].trim_ascii().is_empty() {
            return Ok(None);
        }
        Err(format!("no line has the columns {}, which a header would have", wanted.join(", ")))
    }

    /// The record at a place, without its line end and blank lines before it, and its end.
    fn record(&self, mut start: usize) -> Result<Option<(Range<usize>, usize)>, String> {
        while let Some(b'\r' | b'\n') = self.image.get(start) {
            start += 1;
        }
        if start == self.image.len() {
            return Ok(None);
        }
        let end = match record_end(&self.image, start, self.marks, HEADER_BYTES_MAX, self.last) {
            RecordEnd::At(end) => end,
            RecordEnd::Quoted if self.last => {
                return Err("a quote in the header is not closed".into());
            }
            RecordEnd::Open | RecordEnd::Quoted => return Ok(None),
            RecordEnd::TooLong => return Err("a quote in the header is not closed".into()),
        };
        let length = trim_line_end(&self.image[start..end]).len();
        Ok(Some((start..start + length, end)))
    }

    fn names(&self, record: Range<usize>) -> Result<Vec<String>, String> {
        let unit = self.encoding.unit();
        let mut text = String::new();
        self.encoding
            .decode(&self.text[record.start * unit..record.end * unit], &mut text)
            .map_err(|_| match self.encoding {
                Encoding::Utf8 => "the header is not UTF-8; which `encoding` has it?".to_owned(),
                encoding @ (Encoding::Utf16Le | Encoding::Utf16Be | Encoding::SingleByte(_)) => {
                    format!("the header is not {encoding}")
                }
            })?;
        let record = text.as_bytes();
        let (mut fields, mut unquoted) = (Vec::new(), Vec::new());
        if !split_record(record, self.marks, &mut fields, &mut unquoted) {
            let header = shown(&text);
            return Err(format!("text follows a closing quote in the header {header}"));
        }
        let name = |field: &CsvField| {
            let text = if field.quoted { &unquoted[..] } else { record };
            String::from_utf8_lossy(&text[field.start..field.end]).trim().to_owned()
        };
        Ok(fields.iter().map(name).collect())
    }
}

/// The columns that a header has to have.
fn wanted(rules: &RowRules, missing_as_null: bool) -> Vec<&str> {
    let (time, user) = (rules.schema.event_time, rules.user_columns());
    let parts = &rules.reading.time_parts;
    let is_needed = |place: usize| {
        let is_part = place >= user
            || parts.iter().any(|part| rules.schema.schema.field(place).name() == part);
        !missing_as_null || place == time || is_part
    };
    rules
        .inputs()
        .enumerate()
        .filter_map(|(place, input)| input.filter(|_| is_needed(place)))
        .collect()
}

/// Maps a header's names to the columns that are read: all must be there, or those of the event
/// time.
pub(crate) fn layout_of(
    names: &[String],
    rules: &RowRules,
    marks: CsvMarks,
    missing_as_null: bool,
) -> Result<CsvLayout, String> {
    let has = |name: &str| names.iter().any(|n| n == name);
    if let Some(missing) = wanted(rules, missing_as_null).into_iter().find(|name| !has(name)) {
        return Err(format!(
            "there is no column {missing}; the header has {}",
            shown(&names.join(", "))
        ));
    }
    let inputs: Vec<Option<&str>> = rules.inputs().collect();
    let columns = names
        .iter()
        .map(|name| inputs.iter().position(|input| *input == Some(name.as_str())))
        .collect();
    Ok(CsvLayout { marks, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(text: &[u8], last: bool) -> Result<Option<CsvHeader>, String> {
        let spec = FileSourceSpec::new("s", Vec::new(), "t");
        let beginning = Beginning {
            text,
            image: Encoding::Utf8.image(text),
            encoding: Encoding::Utf8,
            marks: CsvMarks { delimiter: b',', quote: b'"', escape: None },
            last,
        };
        beginning.header(&spec, None)
    }

    #[test]
    fn a_header_is_read_past_a_byte_order_mark_and_must_not_repeat_a_name() {
        let header =
            header_of(b"\xEF\xBB\xBFa,\"b c\"\r\n1,2\n", false).expect("valid").expect("whole");
        assert_eq!(header, CsvHeader { names: Some(vec!["a".into(), "b c".into()]), end: 12 });
        assert_eq!(header_of(b"a,b", false), Ok(None));
        assert!(header_of(b"a,b,a\n", false).expect_err("repeated").contains("twice"));
        assert_eq!(header_of(b"", true), Ok(None));
    }
}
