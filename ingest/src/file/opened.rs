//! Opening a file: what does a CSV header say, and what does an error mean.

use crate::decode::{CsvLayout, shown, split_record, trim_line_end};
use crate::decode::{RecordEnd, record_end};
use crate::file::format::{Compression, FileSourceSpec};
use crate::file::text::decompressed;
use arrow::datatypes::Schema;
use std::fs::File;
use std::io::{self, Read};
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

/// The first record of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvHeader {
    pub(crate) names: Vec<String>,
    /// Where the records begin.
    pub(crate) end: usize,
}

const HEADER_BYTES_MAX: usize = 1024 * 1024;

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

/// Reads a file's header; none when the file has nothing yet. A header line without its end counts
/// only when the file `may_grow` no more.
pub(crate) fn read_header(
    spec: &FileSourceSpec,
    path: &Path,
    may_grow: bool,
) -> Result<Option<CsvHeader>, String> {
    let compression = spec.compression_of(path);
    let mut bytes = 64 * 1024;
    loop {
        let (text, whole) =
            read_beginning(path, compression, bytes).map_err(|e| describe(&e, compression))?;
        match header_of(&text, spec.delimiter(path), spec.csv.quote, whole && !may_grow)? {
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

fn header_of(
    text: &[u8],
    delimiter: u8,
    quote: u8,
    last: bool,
) -> Result<Option<CsvHeader>, String> {
    let mut start = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    while let Some(b'\r' | b'\n') = text.get(start) {
        start += 1;
    }
    if start == text.len() {
        return Ok(None);
    }
    let end = match record_end(text, start, delimiter, quote, HEADER_BYTES_MAX, last) {
        RecordEnd::At(end) => end,
        RecordEnd::Quoted if last => return Err("a quote in the header is not closed".into()),
        RecordEnd::Open | RecordEnd::Quoted => return Ok(None),
        RecordEnd::TooLong => return Err("a quote in the header is not closed".into()),
    };
    let record = trim_line_end(&text[start..end]);
    let (mut fields, mut unquoted) = (Vec::new(), Vec::new());
    if !split_record(record, delimiter, quote, &mut fields, &mut unquoted) {
        return Err(format!(
            "text follows a closing quote in the header {}",
            shown(&String::from_utf8_lossy(record))
        ));
    }
    let mut names: Vec<String> = Vec::with_capacity(fields.len());
    for field in &fields {
        let name = if field.quoted {
            &unquoted[field.start..field.end]
        } else {
            &record[field.start..field.end]
        };
        let name = std::str::from_utf8(name)
            .map_err(|_| "the header is not UTF-8".to_owned())?
            .trim()
            .to_owned();
        if !name.is_empty() && names.contains(&name) {
            return Err(format!("the header names column {} twice", shown(&name)));
        }
        names.push(name);
    }
    Ok(Some(CsvHeader { names, end }))
}

/// Maps a header's names to the columns of a schema, of which all must be there.
pub(crate) fn layout_of(
    names: &[String],
    user: &Schema,
    delimiter: u8,
    quote: u8,
) -> Result<CsvLayout, String> {
    if let Some(missing) = user.fields().iter().find(|f| !names.iter().any(|n| n == f.name())) {
        return Err(format!(
            "there is no column {}; the header has {}",
            missing.name(),
            shown(&names.join(", "))
        ));
    }
    let columns = names.iter().map(|name| user.index_of(name).ok()).collect();
    Ok(CsvLayout { delimiter, quote, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_past_a_byte_order_mark_and_must_not_repeat_a_name() {
        let header = header_of(b"\xEF\xBB\xBFa,\"b c\"\r\n1,2\n", b',', b'"', false)
            .expect("valid")
            .expect("whole");
        assert_eq!(header, CsvHeader { names: vec!["a".into(), "b c".into()], end: 12 });
        assert_eq!(header_of(b"a,b", b',', b'"', false), Ok(None));
        assert!(header_of(b"a,b,a\n", b',', b'"', false).expect_err("repeated").contains("twice"));
        assert_eq!(header_of(b"", b',', b'"', true), Ok(None));
    }
}
