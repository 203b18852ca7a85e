//! How the text of a file or a message is encoded.
//!
//! Text is cut into records as it came, so that offsets count the bytes of the file and dead
//! letters hold them; a record becomes UTF-8 only when it is decoded. For that, records have to be
//! found without their characters: of every encoding here a byte image ([`Encoding::image`]) has
//! one byte for each of its units (a byte, or two of UTF-16), which is the character where that is
//! ASCII. Encodings in which a character takes several bytes, of which the second may look like
//! ASCII, are refused.

use encoding_rs::{DecoderResult, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// Stands in an image for a unit that is not ASCII.
const OTHER: u8 = 0xFF;

/// The encoding of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// One byte for each character, ASCII below 128.
    SingleByte(&'static encoding_rs::Encoding),
}

/// The encoding of a source's texts, as it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncodingChoice {
    /// UTF-16 where a file begins with its byte-order mark, else UTF-8.
    #[default]
    Auto,
    /// UTF-16, of which the byte-order mark says which one.
    Utf16,
    /// This one.
    Is(Encoding),
}

/// How far the beginning of a file must be known for its mark.
pub(crate) const MARK_BYTES: usize = 4;

impl EncodingChoice {
    /// Reads a name: `auto`, `utf-16`, or a label of the WHATWG's encoding standard such as
    /// `utf-8`, `latin1` (which is `windows-1252`, as in browsers), `iso-8859-15`.
    ///
    /// # Errors
    /// A sentence on what is wrong, and what would be right.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "auto" => return Ok(Self::Auto),
            "utf-16" | "utf16" => return Ok(Self::Utf16),
            _ => {}
        }
        let known = encoding_rs::Encoding::for_label(name.as_bytes());
        Ok(Self::Is(match known {
            Some(found) if found == UTF_8 => Encoding::Utf8,
            Some(found) if found == UTF_16LE => Encoding::Utf16Le,
            Some(found) if found == UTF_16BE => Encoding::Utf16Be,
            Some(found) if found.is_single_byte() => Encoding::SingleByte(found),
            Some(found) => {
                return Err(format!(
                    "{} has characters of several bytes; convert the file to UTF-8, such as by \
                     iconv -f {} -t utf-8",
                    found.name(),
                    found.name()
                ));
            }
            None => {
                return Err(format!(
                    "{name:?} is no encoding; there are utf-8, utf-16, latin1, windows-1252, \
                     iso-8859-15 and others of one byte for each character"
                ));
            }
        }))
    }

    /// The encoding of a text that begins with `beginning`, of which [`MARK_BYTES`] are looked at;
    /// none when there is too little of it to say.
    ///
    /// # Errors
    /// The byte-order mark says something else, or is not there where only it tells.
    pub fn of(self, beginning: &[u8]) -> Result<Option<Encoding>, String> {
        if beginning.len() < 2 {
            return Ok(match self {
                Self::Is(encoding) => Some(encoding),
                Self::Auto | Self::Utf16 => None,
            });
        }
        if matches!(beginning, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]) {
            return Err("it begins with the byte-order mark of UTF-32; convert it to UTF-8, such \
                        as by iconv -f utf-32 -t utf-8"
                .into());
        }
        let marked = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be]
            .into_iter()
            .find(|encoding| beginning.starts_with(encoding.mark()));
        match (self, marked) {
            (Self::Auto, marked) => Ok(Some(marked.unwrap_or(Encoding::Utf8))),
            (Self::Utf16, Some(marked @ (Encoding::Utf16Le | Encoding::Utf16Be))) => {
                Ok(Some(marked))
            }
            (Self::Utf16, None) => {
                Err("it does not begin with a byte-order mark, which says which UTF-16 it is; set \
                 encoding to utf-16le or utf-16be"
                    .into())
            }
            (Self::Is(said), Some(marked)) if said != marked => Err(format!(
                "it begins with the byte-order mark of {marked}, and encoding is {said}; leave \
                 encoding out"
            )),
            (Self::Is(said), _) => Ok(Some(said)),
            (Self::Utf16, Some(marked)) => Err(format!(
                "it begins with the byte-order mark of {marked}, and encoding is utf-16; leave \
                 encoding out"
            )),
        }
    }
}

impl std::fmt::Display for EncodingChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Utf16 => f.write_str("utf-16"),
            Self::Is(encoding) => encoding.fmt(f),
        }
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Utf8 => f.write_str("utf-8"),
            Self::Utf16Le => f.write_str("utf-16le"),
            Self::Utf16Be => f.write_str("utf-16be"),
            Self::SingleByte(encoding) => f.write_str(&encoding.name().to_ascii_lowercase()),
        }
    }
}

impl Encoding {
    /// Bytes of a unit.
    pub(crate) fn unit(self) -> usize {
        match self {
            Self::Utf8 | Self::SingleByte(_) => 1,
            Self::Utf16Le | Self::Utf16Be => 2,
        }
    }

    /// What a text of this encoding may begin with and is no part of its first record. A text of
    /// one byte for each character that begins with UTF-8's is refused before.
    pub(crate) fn mark(self) -> &'static [u8] {
        match self {
            Self::Utf8 | Self::SingleByte(_) => b"\xEF\xBB\xBF",
            Self::Utf16Le => b"\xFF\xFE",
            Self::Utf16Be => b"\xFE\xFF",
        }
    }

    /// Whether `next`, of which four bytes are enough, begins with the end of a line.
    pub(crate) fn begins_with_line_end(self, next: &[u8]) -> bool {
        let image = self.image(next);
        image.starts_with(b"\n") || image.starts_with(b"\r\n")
    }

    /// A byte for each unit, without an incomplete one at the end: the character where it is ASCII,
    /// else a byte that is none.
    #[inline]
    pub(crate) fn image(self, text: &[u8]) -> Cow<'_, [u8]> {
        let low = |unit: u16| if unit < 0x80 { unit as u8 } else { OTHER };
        match self {
            Self::Utf8 | Self::SingleByte(_) => Cow::Borrowed(text),
            Self::Utf16Le => {
                let (units, _) = text.as_chunks::<2>();
                Cow::Owned(units.iter().map(|u| low(u16::from_le_bytes(*u))).collect())
            }
            Self::Utf16Be => {
                let (units, _) = text.as_chunks::<2>();
                Cow::Owned(units.iter().map(|u| low(u16::from_be_bytes(*u))).collect())
            }
        }
    }

    /// Puts `text` into `into` as UTF-8, in place of what it holds; the first byte that is not of
    /// this encoding.
    pub(crate) fn decode(self, text: &[u8], into: &mut String) -> Result<(), usize> {
        into.clear();
        let encoding = match self {
            Self::Utf8 => {
                into.push_str(std::str::from_utf8(text).map_err(|e| e.valid_up_to())?);
                return Ok(());
            }
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::SingleByte(encoding) => encoding,
        };
        let mut decoder = encoding.new_decoder_without_bom_handling();
        // Three bytes hold what a unit can become.
        into.reserve(
            decoder
                .max_utf8_buffer_length_without_replacement(text.len())
                .unwrap_or(text.len() * 3 + 4),
        );
        let (result, read) = decoder.decode_to_string_without_replacement(text, into, true);
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::OutputFull => Err(read),
            DecoderResult::Malformed(length, after) => {
                Err(read.saturating_sub(usize::from(length) + usize::from(after)))
            }
        }
    }

    /// `text` as far as it can be read, for looking at it.
    pub(crate) fn shown(self, text: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(text),
            Self::Utf16Le => UTF_16LE.decode_without_bom_handling(text).0,
            Self::Utf16Be => UTF_16BE.decode_without_bom_handling(text).0,
            Self::SingleByte(encoding) => encoding.decode_without_bom_handling(text).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str) -> Encoding {
        match EncodingChoice::parse(name).expect("an encoding") {
            EncodingChoice::Is(encoding) => encoding,
            other @ (EncodingChoice::Auto | EncodingChoice::Utf16) => panic!("{other}"),
        }
    }

    #[test]
    fn names_are_those_of_the_standard() {
        for (name, expected) in [
            ("utf-8", "utf-8"),
            ("latin1", "windows-1252"),
            ("ISO-8859-1", "windows-1252"),
            ("windows-1252", "windows-1252"),
            ("iso-8859-15", "iso-8859-15"),
            ("utf-16le", "utf-16le"),
            ("utf-16be", "utf-16be"),
            ("macintosh", "macintosh"),
        ] {
            assert_eq!(parsed(name).to_string(), expected);
        }
        assert_eq!(EncodingChoice::parse("utf-16"), Ok(EncodingChoice::Utf16));
        assert_eq!(EncodingChoice::parse("auto"), Ok(EncodingChoice::Auto));
        for (name, said) in [("shift_jis", "several bytes"), ("latin-one", "no encoding")] {
            assert!(EncodingChoice::parse(name).expect_err("refused").contains(said), "{name}");
        }
    }

    #[test]
    fn the_mark_tells_and_must_not_contradict() {
        let of = |name: &str, bytes: &[u8]| {
            EncodingChoice::parse(name)
                .expect("an encoding")
                .of(bytes)
                .map(|found| found.map_or("?".to_owned(), |e| e.to_string()))
        };
        for (name, bytes, expected) in [
            ("auto", &b"a,b"[..], "utf-8"),
            ("auto", b"\xEF\xBB\xBFa", "utf-8"),
            ("auto", b"\xFF\xFEa\0", "utf-16le"),
            ("auto", b"\xFE\xFF\0a", "utf-16be"),
            ("auto", b"a", "?"),
            ("utf-16", b"\xFE\xFF\0a", "utf-16be"),
            ("utf-16le", b"a\0b\0", "utf-16le"),
            ("utf-16le", b"\xFF\xFEa\0", "utf-16le"),
            ("latin1", b"\xE4", "windows-1252"),
        ] {
            assert_eq!(of(name, bytes).as_deref(), Ok(expected), "{name} {bytes:?}");
        }
        for (name, bytes, said) in [
            ("utf-16", &b"a\0b\0"[..], "does not begin with"),
            ("utf-16", b"\xEF\xBB\xBFa", "of utf-8"),
            ("latin1", b"\xEF\xBB\xBFa", "of utf-8, and encoding is windows-1252"),
            ("utf-8", b"\xFF\xFEa\0", "of utf-16le"),
            ("utf-16be", b"\xFF\xFEa\0", "of utf-16le"),
            ("auto", b"\xFF\xFE\0\0", "UTF-32"),
        ] {
            assert!(of(name, bytes).expect_err("refused").contains(said), "{name} {bytes:?}");
        }
    }

    #[test]
    fn an_image_has_a_byte_for_each_unit_and_text_is_read_or_refused() {
        let text = "aß€;\n𝄞";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Encoding::Utf16Le.image(&utf16)[..], *b"a\xFF\xFF;\n\xFF\xFF");
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(Encoding::Utf16Be.image(&utf16[..11])[..], *b"a\xFF\xFF;\n");
        let mut into = String::from("before");
        assert_eq!(Encoding::Utf16Be.decode(&utf16, &mut into), Ok(()));
        assert_eq!(into, text);
        // Half of a pair, and half of a unit.
        assert_eq!(Encoding::Utf16Be.decode(&utf16[..12], &mut into), Err(10));
        assert!(Encoding::Utf16Be.decode(&utf16[..3], &mut into).is_err());
        assert_eq!(parsed("latin1").decode(b"M\xFCller 5\x80", &mut into), Ok(()));
        assert_eq!(into, "Müller 5€");
        assert_eq!(parsed("windows-1253").decode(b"ab\xD2c", &mut into), Err(2));
        assert!(Encoding::Utf16Le.begins_with_line_end(b"\r\0\n\0"));
        assert!(Encoding::Utf16Be.begins_with_line_end(b"\0\n\0a"));
        assert!(!Encoding::Utf8.begins_with_line_end(b"\0\n"));
    }
}
