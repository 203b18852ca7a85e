//! What a file's bytes are: compressed or not, text of which encoding, or what is no text at all.

use super::{SAMPLE_BYTES, Said};
use crate::decode::{Encoding, EncodingChoice, MARK_BYTES};
use crate::file::{Compression, FileSourceSpec, describe_input, read_beginning};
use std::path::Path;

/// What was found of a file.
pub(super) struct Looked {
    pub(super) encoding: Option<EncodingChoice>,
    pub(super) kind: Kind,
    /// The text is all of the file.
    pub(super) is_whole: bool,
}

/// What a file is, with the text of its beginning.
pub(super) enum Kind {
    Parquet,
    Json(String),
    Csv(String),
}

/// How other files begin, and what to do with them.
const OTHERS: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "it is a ZIP archive or an Excel workbook; save the sheet as CSV"),
    (b"\xD0\xCF\x11\xE0", "it is an old Excel workbook; save the sheet as CSV"),
    (b"%PDF", "it is a PDF; ask for the statement as CSV"),
    (b"ORC", "it is an ORC file; convert it to Parquet"),
    (b"Obj\x01", "it is an Avro file; convert it to Parquet or to JSON lines"),
    (b"SQLite format 3", "it is a SQLite database; export the table as CSV"),
    (b"BZh", "it is compressed with bzip2; use gzip or zstd"),
    (b"\xFD7zXZ", "it is compressed with xz; use gzip or zstd"),
];

/// Looks at a file's bytes.
pub(super) fn look(path: &Path, said: &mut Said) -> Result<Looked, String> {
    let metadata = path.metadata().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => e.to_string(),
    })?;
    if metadata.is_dir() {
        return Err("it is a folder; name one of its files".into());
    }
    let compression = FileSourceSpec::new("", Vec::new(), "").compression_of(path);
    let (text, is_whole) = read_beginning(path, compression, SAMPLE_BYTES)
        .map_err(|e| describe_input(&e, compression))?;
    let looked = |encoding, kind| Looked { encoding, kind, is_whole };
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.starts_with(b"PAR1") {
        return match compression {
            Compression::None => Ok(looked(None, Kind::Parquet)),
            Compression::Gzip | Compression::Zstd => {
                Err("it is a compressed Parquet file; decompress it".into())
            }
        };
    }
    for (beginning, what) in OTHERS {
        if text.starts_with(beginning) {
            return Err(what.to_owned());
        }
    }
    let (encoding, is_found) = encoding(&text, is_whole, said)?;
    let body = text.strip_prefix(encoding.mark()).unwrap_or(&text);
    let decoded = encoding.shown(body).into_owned();
    let first = decoded.trim_start();
    if first.is_empty() {
        return Err("it has nothing but spaces and line ends".into());
    }
    if decoded.contains('\0') {
        return Err("it is no text: it holds zero bytes".into());
    }
    if first.starts_with("<?xml")
        || first.starts_with("<!DOCTYPE")
        || first.starts_with("<Document")
    {
        return Err("it is XML (such as camt.053 of ISO 20022); convert it to CSV or to JSON \
                    lines"
            .into());
    }
    if first.starts_with(":20:") || first.starts_with("{1:F01") {
        return Err(
            "it is a SWIFT message (such as MT940); convert it to CSV or to JSON lines".into()
        );
    }
    let encoding = (!is_found).then_some(EncodingChoice::Is(encoding));
    let kind = if first.starts_with(['{', '[']) { Kind::Json(decoded) } else { Kind::Csv(decoded) };
    Ok(looked(encoding, kind))
}

/// The encoding, and whether a source finds it by itself.
fn encoding(text: &[u8], is_whole: bool, said: &mut Said) -> Result<(Encoding, bool), String> {
    let marked = EncodingChoice::Auto.of(&text[..text.len().min(MARK_BYTES)])?;
    if let Some(marked) = marked.filter(|marked| *marked != Encoding::Utf8) {
        return Ok((marked, true));
    }
    match std::str::from_utf8(text) {
        Ok(_) if !text.contains(&0) => return Ok((Encoding::Utf8, true)),
        // Cut within a character.
        Err(e) if !is_whole && e.error_len().is_none() => return Ok((Encoding::Utf8, true)),
        Ok(_) | Err(_) => {}
    }
    let looked_at = &text[..text.len().min(64 * 1024)];
    let zeros = |from: usize| looked_at.iter().skip(from).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let many = looked_at.len() / 2 * 2 / 5;
    if even.max(odd) > many {
        let found = if odd > even { Encoding::Utf16Le } else { Encoding::Utf16Be };
        said.guess(format!("encoding {found}: every other byte is zero, and there is no mark"));
        return Ok((found, false));
    }
    if even + odd > 0 {
        return Err("it is no text: it holds zero bytes".into());
    }
    let found = Encoding::SingleByte(encoding_rs::WINDOWS_1252);
    let shown = found.shown(text);
    let sample = shown
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '€' | '£' | '§'))
        .find(|word| !word.is_ascii())
        .unwrap_or("some bytes");
    let (mut letters, mut others, mut odd) = (0, 0, 0);
    for c in shown.chars().filter(|c| !c.is_ascii()) {
        match c {
            'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ' => letters += 1,
            '€' | '£' | '§' | '°' | '\u{A0}' | '’' | '–' | '´' | 'º' | 'ª' | '«' | '»' => {
                others += 1
            }
            _ => odd += 1,
        }
    }
    let ascii = text.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let sentence = format!("encoding windows-1252 (latin1): it is no UTF-8, and reads {sample:?}");
    if odd > 0 || letters * 3 > ascii || letters + others == 0 {
        said.unsure(format!("{sentence}; another one may fit better (cp850 does not: convert it)"));
    } else {
        said.guess(sentence);
    }
    Ok((found, false))
}
