//! A file's fingerprint, kept in its position. It tells a later run whether what was read of the
//! file is still there, and whether the file has only grown since.
//!
//! | part | covers | there |
//! | --- | --- | --- |
//! | head | the file's first up to 4 KiB, as they lie on disk | once the file was opened |
//! | tail | of text up to 4 KiB just before the position, decompressed | once something was read |
//! | end | size, time of change, hash of the last up to 4 KiB on disk | once read to its end |
//!
//! A Parquet file never grows, so its end is recorded as soon as the file was opened.
//!
//! A gzip member ends with the checksum of its content, and a Parquet file ends with its pages'
//! places and statistics. So the end reveals other content with the same beginning. In plain text,
//! a change in the middle that keeps size, beginning and end is not detected.

use crate::decode::{Encoding, EncodingChoice, MARK_BYTES};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;
use xxhash_rust::xxh3::xxh3_64;

/// How much of a file's beginning and end is looked at.
pub(crate) const PIECE_BYTES: usize = 4096;

/// A hash of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: usize,
    hash: u64,
}

impl Piece {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len(), hash: xxh3_64(bytes) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (bytes, hash) = text.split_once('-')?;
        let bytes = bytes.parse().ok().filter(|bytes| *bytes <= PIECE_BYTES)?;
        Some(Self { bytes, hash: u64::from_str_radix(hash, 16).ok()? })
    }
}

impl Piece {
    /// Whether it is of these bytes, or of the last of them.
    pub(crate) fn is_of(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.bytes && Self::of(&bytes[bytes.len() - self.bytes..]) == *self
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.bytes, self.hash)
    }
}

/// How the last record of a text file ended when the file was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastRecord {
    /// By a newline, or there is none.
    Ended,
    /// By the end of the file: it lacks its newline.
    Open,
    /// By the end of the file, within quotes.
    Quoted,
}

impl LastRecord {
    const NAMES: [(Self, char); 3] = [(Self::Ended, 'n'), (Self::Open, 'o'), (Self::Quoted, 'q')];
}

/// A file as it was when it was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    modified: u128,
    last: Piece,
    record: LastRecord,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) head: Piece,
    pub(crate) tail: Option<Piece>,
    pub(crate) end: Option<End>,
}

/// Size, time of change and inode, which tell without reading the file whether it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    modified: u128,
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self { bytes: metadata.len(), modified: modified(&metadata), inode: inode(&metadata) })
    }

    /// The same of a file that had so many bytes then.
    pub(crate) fn at(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

/// What became of a file since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Since {
    /// What was read of it is there, and no more than that.
    Same,
    /// What was read of it is there, and more follows.
    Grown,
    /// There was nothing in it, and now there is.
    Filled,
    /// It is another file, or has changed: how.
    Changed(String),
}

fn modified(metadata: &Metadata) -> u128 {
    // 0 where the file system has no times, or the time is before 1970: the file's content is then
    // compared.
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos())
}

/// Up to `bytes` bytes of a file from `from` on.
pub(crate) fn read_at(file: &mut File, from: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(bytes);
    file.seek(SeekFrom::Start(from))?;
    Read::take(file, bytes as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

fn last_piece(file: &mut File, size: u64) -> io::Result<Piece> {
    let bytes = PIECE_BYTES.min(usize::try_from(size).unwrap_or(PIECE_BYTES));
    Ok(Piece::of(&read_at(file, size - bytes as u64, bytes)?))
}

impl End {
    pub(crate) fn of(path: &Path, record: LastRecord) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            size: metadata.len(),
            modified: modified(&metadata),
            last: last_piece(&mut file, metadata.len())?,
            record,
        })
    }

    /// The same of a file that had `size` bytes then.
    pub(crate) fn at(self, size: u64) -> Self {
        Self { size, ..self }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ',');
        let (size, modified, last) = (
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
            Piece::parse(parts.next()?)?,
        );
        let record = parts.next()?.chars().next()?;
        let record = LastRecord::NAMES.iter().find(|(_, name)| *name == record)?.0;
        Some(Self { size, modified, last, record })
    }

    /// Whether the file was not touched since, as far as size and time of change tell.
    fn is_untouched(&self, metadata: &Metadata) -> bool {
        self.modified != 0 && (self.size, self.modified) == (metadata.len(), modified(metadata))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LastRecord::NAMES
            .iter()
            .find(|(record, _)| *record == self.record)
            .map_or('n', |(_, name)| *name);
        write!(f, "{},{},{},{name}", self.size, self.modified, self.last)
    }
}

impl Fingerprint {
    /// Of a file of which nothing was read yet.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        Ok(Self { head: Piece::of(&read_at(&mut file, 0, PIECE_BYTES)?), tail: None, end: None })
    }

    /// The tail of what was read; none of nothing.
    pub(crate) fn tail_of(text: &[u8]) -> Option<Piece> {
        (!text.is_empty()).then(|| Piece::of(text))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let head = Piece::parse(parts.next()?)?;
        let optional = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
        let (tail, end) = (optional(parts.next()), optional(parts.next()));
        let tail = match tail {
            Some(tail) => Some(Piece::parse(&tail)?),
            None => None,
        };
        let end = match end {
            Some(end) => Some(End::parse(&end)?),
            None => None,
        };
        Some(Self { head, tail, end })
    }

    /// How the last record ended that was read, as far as the end of the file was seen.
    pub(crate) fn last_record(&self) -> LastRecord {
        self.end.map_or(LastRecord::Ended, |end| end.record)
    }

    /// What became of the file since this fingerprint. `read` is the offset up to which it was
    /// read; `plain` is the configured encoding of a plain text file, none for other files.
    pub(crate) fn since(
        &self,
        path: &Path,
        plain: Option<EncodingChoice>,
        read: u64,
    ) -> io::Result<Since> {
        if self
            .end
            .is_some_and(|end| path.metadata().is_ok_and(|metadata| end.is_untouched(&metadata)))
        {
            return Ok(Since::Same);
        }
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        if self.end.is_some_and(|end| end.size == 0) {
            return Ok(if size == 0 { Since::Same } else { Since::Filled });
        }
        if plain.is_some() && size < read {
            return Ok(Since::Changed(format!("it has {size} bytes, of which {read} were read")));
        }
        let head = read_at(&mut file, 0, self.head.bytes)?;
        if head.len() < self.head.bytes {
            return Ok(Since::Changed("it is shorter than it was".into()));
        }
        if Piece::of(&head) != self.head {
            return Ok(Since::Changed("its beginning is another one".into()));
        }
        match plain {
            Some(encoding) => self.text_since(&mut file, size, read, encoding),
            None => self.closed_since(&mut file, size),
        }
    }

    fn text_since(
        &self,
        file: &mut File,
        size: u64,
        read: u64,
        encoding: EncodingChoice,
    ) -> io::Result<Since> {
        if let Some(tail) = self.tail {
            let from = read.saturating_sub(tail.bytes as u64);
            if Piece::of(&read_at(file, from, tail.bytes)?) != tail {
                return Ok(Since::Changed(format!(
                    "what was read of it up to byte {read} is another text now"
                )));
            }
        }
        if size == read {
            return Ok(Since::Same);
        }
        let record = self.last_record();
        let has_ended = match record {
            LastRecord::Ended => true,
            LastRecord::Open => {
                let found = encoding.of(&read_at(file, 0, MARK_BYTES)?).ok().flatten();
                found.unwrap_or(Encoding::Utf8).begins_with_line_end(&read_at(file, read, 4)?)
            }
            LastRecord::Quoted => false,
        };
        if has_ended {
            return Ok(Since::Grown);
        }
        Ok(Since::Changed(format!(
            "it was read to its end at byte {read}, where its last record had no line end and was \
             taken as it was; that record goes on now"
        )))
    }

    /// As [`Self::since`], for a file that is read once, when it is complete.
    fn closed_since(&self, file: &mut File, size: u64) -> io::Result<Since> {
        let Some(end) = &self.end else { return Ok(Since::Same) };
        if size != end.size {
            return Ok(Since::Changed(format!("it had {} bytes and has {size}", end.size)));
        }
        Ok(match last_piece(file, size)? == end.last {
            true => Since::Same,
            false => Since::Changed("its size is the same, its end another one".into()),
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)?;
        if self.tail.is_some() || self.end.is_some() {
            f.write_str(";")?;
        }
        if let Some(tail) = &self.tail {
            tail.fmt(f)?;
        }
        match &self.end {
            Some(end) => write!(f, ";{end}"),
            None => Ok(()),
        }
    }
}
