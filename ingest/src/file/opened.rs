//! Opening a file: is it still the one that was read, and what does a CSV header say.

use crate::decode::{CsvLayout, shown, split_record, trim_line_end};
use crate::decode::{RecordEnd, record_end};
use crate::file::format::{Compression, FileFormat, FileSourceSpec};
use crate::file::text::decompressed;
use arrow::datatypes::Schema;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use xxhash_rust::xxh3::xxh3_64;

/// How much of a file's beginning its fingerprint covers.
pub(crate) const HEAD_BYTES: usize = 4096;

/// `length-hash` of the first up to 4 KiB, and for Parquet, which never grows, `-size`.
pub(crate) fn fingerprint(path: &Path, format: FileFormat) -> io::Result<String> {
    let head = read_head(path, HEAD_BYTES)?;
    let hash = xxh3_64(&head);
    Ok(match format {
        FileFormat::Parquet => format!("{}-{hash:016x}-{}", head.len(), path.metadata()?.len()),
        FileFormat::Json | FileFormat::Csv | FileFormat::Debezium(_) => format!("{}-{hash:016x}", head.len()),
    })
}

fn read_head(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(bytes as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Bytes that a fingerprint covers.
pub(crate) fn fingerprint_length(fingerprint: &str) -> usize {
    fingerprint.split('-').next().and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// How the file differs from its fingerprint, if it does.
pub(crate) fn difference(path: &Path, fingerprint: &str) -> io::Result<Option<String>> {
    let mut parts = fingerprint.split('-');
    let length: Option<usize> = parts.next().and_then(|length| length.parse().ok());
    let hash = parts.next().and_then(|hash| u64::from_str_radix(hash, 16).ok());
    let (Some(length), Some(hash)) = (length, hash) else {
        return Ok(Some(format!("its fingerprint {fingerprint:?} is not of a file; was the source of another kind?")));
    };
    let head = read_head(path, length.min(HEAD_BYTES))?;
    if head.len() < length {
        return Ok(Some("it is shorter than it was".into()));
    }
    if xxh3_64(&head) != hash {
        return Ok(Some("its beginning is another one".into()));
    }
    if let Some(size) = parts.next().and_then(|size| size.parse::<u64>().ok()) {
        let now = path.metadata()?.len();
        if now != size {
            return Ok(Some(format!("it had {size} bytes and has {now}")));
        }
    }
    Ok(None)
}

/// What an input error means to a user.
pub(crate) fn describe(error: &io::Error, compression: Compression) -> String {
    match (compression, error.kind()) {
        (Compression::None, _) | (_, io::ErrorKind::PermissionDenied) => error.to_string(),
        (_, io::ErrorKind::UnexpectedEof) => "the compressed data ends too early; the file is cut off".into(),
        (Compression::Gzip, _) => format!("not valid gzip data: {error}"),
        (Compression::Zstd, _) if error.to_string().contains("incomplete") => {
            "the compressed data ends too early; the file is cut off".into()
        }
        (Compression::Zstd, _) => format!("not valid zstd data: {error}"),
    }
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
pub(crate) fn read_beginning(path: &Path, compression: Compression, bytes: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut input = decompressed(File::open(path)?, compression, Arc::new(AtomicU64::new(0)))?;
    let mut text = Vec::new();
    let read = input.by_ref().take(bytes as u64).read_to_end(&mut text)?;
    Ok((text, read < bytes))
}

/// Reads a file's header; none when the file has nothing yet. A header line without its end counts only when the file `may_grow` no more.
pub(crate) fn read_header(spec: &FileSourceSpec, path: &Path, may_grow: bool) -> Result<Option<CsvHeader>, String> {
    let compression = spec.compression_of(path);
    let mut bytes = 64 * 1024;
    loop {
        let (text, whole) = read_beginning(path, compression, bytes).map_err(|e| describe(&e, compression))?;
        match header_of(&text, spec.delimiter(path), spec.csv.quote, whole && !may_grow)? {
            Some(header) => return Ok(Some(header)),
            None if whole => return Ok(None),
            None if bytes >= HEADER_BYTES_MAX => {
                return Err(format!("the header has no end within {HEADER_BYTES_MAX} bytes; is it a CSV file?"));
            }
            None => bytes *= 4,
        }
    }
}

fn header_of(text: &[u8], delimiter: u8, quote: u8, last: bool) -> Result<Option<CsvHeader>, String> {
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
        return Err(format!("text follows a closing quote in the header {}", shown(&String::from_utf8_lossy(record))));
    }
    let mut names: Vec<String> = Vec::with_capacity(fields.len());
    for field in &fields {
        let name = if field.quoted { &unquoted[field.start..field.end] } else { &record[field.start..field.end] };
        let name = std::str::from_utf8(name).map_err(|_| "the header is not UTF-8".to_owned())?.trim().to_owned();
        if !name.is_empty() && names.contains(&name) {
            return Err(format!("the header names column {} twice", shown(&name)));
        }
        names.push(name);
    }
    Ok(Some(CsvHeader { names, end }))
}

/// Maps a header's names to the columns of a schema, of which all must be there.
pub(crate) fn layout_of(names: &[String], user: &Schema, delimiter: u8, quote: u8) -> Result<CsvLayout, String> {
    if let Some(missing) = user.fields().iter().find(|f| !names.iter().any(|n| n == f.name())) {
        return Err(format!("there is no column {}; the header has {}", missing.name(), shown(&names.join(", "))));
    }
    let columns = names.iter().map(|name| user.index_of(name).ok()).collect();
    Ok(CsvLayout { delimiter, quote, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_holds_while_the_file_grows_and_not_when_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a,b\n1,2\n").expect("written");
        let print = fingerprint(&path, FileFormat::Csv).expect("readable");
        std::fs::write(&path, "a,b\n1,2\n3,4\n").expect("written");
        assert_eq!(difference(&path, &print).expect("readable"), None);
        std::fs::write(&path, "a,b\n1,3\n3,4\n").expect("written");
        assert!(difference(&path, &print).expect("readable").expect("differs").contains("beginning"));
        std::fs::write(&path, "a,b\n").expect("written");
        assert!(difference(&path, &print).expect("readable").expect("differs").contains("shorter"));
        assert!(difference(&path, "seed").expect("readable").is_some());
    }

    #[test]
    fn a_header_is_read_past_a_byte_order_mark_and_must_not_repeat_a_name() {
        let header = header_of(b"\xEF\xBB\xBFa,\"b c\"\r\n1,2\n", b',', b'"', false).expect("valid").expect("whole");
        assert_eq!(header, CsvHeader { names: vec!["a".into(), "b c".into()], end: 12 });
        assert_eq!(header_of(b"a,b", b',', b'"', false), Ok(None));
        assert!(header_of(b"a,b,a\n", b',', b'"', false).expect_err("repeated").contains("twice"));
        assert_eq!(header_of(b"", b',', b'"', true), Ok(None));
    }
}
