//! What a file's bytes are: compressed or not, text of which encoding, or what is no text at all.

use super::{SAMPLE_BYTES, Said};
use crate::decode::{Encoding, EncodingChoice, MARK_BYTES};
use crate::file::{Compression, FileSourceSpec, describe_input, read_beginning};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::WINDOWS_1252;
use std::collections::BTreeSet;
use std::path::Path;

/// Different words with letters that are not ASCII, without which an encoding is not sure.
const WORDS_MIN: usize = 3;

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
    if decoded.contains('\r') && !decoded.contains('\n') {
        return Err("its lines end with carriage returns alone; convert them: \
                    tr '\\r' '\\n' < FILE > FILE.csv"
            .into());
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
    Ok((single_byte(text, is_whole, said), false))
}

/// The encoding of a text that is neither UTF-8 nor UTF-16. Nothing tells for certain.
fn single_byte(text: &[u8], is_whole: bool, said: &mut Said) -> Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(text, is_whole);
    let guessed = detector.guess(None, Utf8Detection::Deny);
    let taken = if guessed.is_single_byte() { guessed } else { WINDOWS_1252 };
    let (found, usual) = (Encoding::SingleByte(taken), Encoding::SingleByte(WINDOWS_1252));
    let shown = found.shown(text);
    let words: BTreeSet<&str> = shown
        .split(|c: char| !c.is_alphanumeric() && !is_usual_sign(c))
        .filter(|word| !word.is_ascii())
        .collect();
    let sample = words.first().copied().unwrap_or("some bytes");
    let sentence = format!("encoding {found}: it is no UTF-8, and reads {sample:?}");
    let is_odd = |c: char| !c.is_ascii() && !c.is_alphabetic() && !is_usual_sign(c);
    if !guessed.is_single_byte() {
        said.unsure(format!(
            "{sentence}; it may as well be {}, of which a character takes several bytes: convert \
             it to UTF-8 then",
            guessed.name()
        ));
    } else if found != usual {
        let mut bytes = text.split(u8::is_ascii).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.next().unwrap_or_default();
        said.unsure(format!(
            "{sentence}; the {:?} in it would be {:?} in windows-1252 (latin1)",
            found.shown(bytes),
            usual.shown(bytes)
        ));
    } else if shown.contains(is_odd) || words.len() < WORDS_MIN {
        said.unsure(format!(
            "{sentence}; another one may fit better (cp850 and cp437 are not there: convert them)"
        ));
    } else {
        said.guess(sentence);
    }
    found
}

/// What stands in statements and is no letter.
fn is_usual_sign(c: char) -> bool {
    matches!(c, '€' | '£' | '§' | '°' | '\u{A0}' | '’' | '–' | '´' | 'º' | 'ª' | '«' | '»')
}
