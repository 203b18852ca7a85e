//! The files of an audit, and whether they are as they were written.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::chain::{self, Line, NO_HASH};
use super::error::AuditError;
use super::private;
use super::tampered::Tampered;

const HEAD: &str = "head.json";

/// An audit in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Lines.
    pub records: u64,
    /// The hash of the last, in hexadecimal digits.
    pub hash: String,
    /// Bytes at the end that are no whole line: what was being written when the program was killed.
    pub torn_bytes: u64,
}

/// The last line that was surely on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) hash: String,
}

/// Where a chain stands.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) sequence: u64,
    pub(super) hash: [u8; 32],
    /// The number of the last file; 0 if there is none.
    pub(super) file: u64,
    /// Bytes of whole lines in it.
    pub(super) bytes: u64,
    /// Bytes behind them.
    pub(super) torn_bytes: u64,
}

pub(super) fn file_name(number: u64) -> String {
    format!("audit-{number:06}.ndjson")
}

/// The numbers of the files that are there, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".ndjson"))
            .and_then(|number| number.parse().ok());
        numbers.extend(number.filter(|number: &u64| *number > 0));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Looks at every line of an audit.
///
/// # Errors
/// The folder can't be read.
pub fn verify(folder: &Path) -> Result<Result<Verified, Tampered>, AuditError> {
    walk(folder, Reach::All).map_err(AuditError::io(folder, "verify")).map(|end| {
        end.map(|end| Verified {
            records: end.sequence,
            hash: chain::to_hex(&end.hash),
            torn_bytes: end.torn_bytes,
        })
    })
}

/// How much of an audit is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Every line.
    All,
    /// Those of the last file that has some: enough to go on from.
    LastFile,
}

/// Follows the chain through the files.
pub(super) fn walk(folder: &Path, reach: Reach) -> io::Result<Result<End, Tampered>> {
    let head = match read_head(folder)? {
        Ok(head) => head,
        Err(tampered) => return Ok(Err(tampered)),
    };
    let numbers = numbers(folder)?;
    if let Some((expected, found)) =
        (1..).zip(&numbers).find(|(expected, found)| expected != *found)
    {
        let (expected, found) = (file_name(expected), file_name(*found));
        return Ok(Err(Tampered::File { expected, found }));
    }
    let mut end = match reach {
        Reach::All => None,
        Reach::LastFile => start_of_last(folder, &numbers)?,
    }
    .unwrap_or(End { sequence: 0, hash: NO_HASH, file: 0, bytes: 0, torn_bytes: 0 });
    let start = end.sequence;
    let head_sequence = head.as_ref().map(|head| head.sequence);
    let mut at_head = (head_sequence == Some(start)).then_some(end.hash);
    for number in end.file + 1..=numbers.len() as u64 {
        let is_last = number == numbers.len() as u64;
        let mut on_line = |line: &Line| {
            if Some(line.content.sequence) == head_sequence {
                at_head = Some(line.hash);
            }
        };
        end = match walk_file(folder, number, end, is_last, &mut on_line)? {
            Ok(end) => end,
            Err(tampered) => return Ok(Err(tampered)),
        };
    }
    Ok(match head {
        // The head is there before the first line.
        None if end.sequence == 0 => Ok(end),
        None => Err(Tampered::NoHead),
        Some(head) if head.sequence > end.sequence => {
            Err(Tampered::Truncated { last: end.sequence, head: head.sequence })
        }
        Some(head) if head.sequence < start => Ok(end),
        Some(head) if at_head.is_some_and(|hash| chain::to_hex(&hash) == head.hash) => Ok(end),
        Some(head) => Err(Tampered::OtherHead { record: head.sequence }),
    })
}

/// Where the last file begins whose first line can be read.
fn start_of_last(folder: &Path, numbers: &[u64]) -> io::Result<Option<End>> {
    for number in numbers.iter().rev() {
        let mut text = Vec::new();
        let file = File::open(folder.join(file_name(*number)))?;
        BufReader::new(file).read_until(b'\n', &mut text)?;
        if let Some(line) = text.strip_suffix(b"\n").and_then(chain::read_line) {
            return Ok(Some(End {
                sequence: line.content.sequence.saturating_sub(1),
                hash: line.previous,
                file: number - 1,
                bytes: 0,
                torn_bytes: 0,
            }));
        }
    }
    Ok(None)
}

fn walk_file(
    folder: &Path,
    number: u64,
    before: End,
    is_last: bool,
    on_line: &mut dyn FnMut(&Line),
) -> io::Result<Result<End, Tampered>> {
    let name = file_name(number);
    let mut reader = BufReader::new(File::open(folder.join(&name))?);
    let mut end = End { file: number, bytes: 0, torn_bytes: 0, ..before };
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let bytes = reader.read_until(b'\n', &mut text)? as u64;
        if bytes == 0 {
            break;
        }
        let edited = Tampered::Edited { file: name.clone(), line };
        let Some(whole) = text.strip_suffix(b"\n") else {
            // Only the last line of all can have been in the making.
            end.torn_bytes = bytes;
            return Ok(if is_last { Ok(end) } else { Err(edited) });
        };
        let Some(read) = chain::read_line(whole) else { return Ok(Err(edited)) };
        let (expected, found) = (end.sequence + 1, read.content.sequence);
        if found != expected || read.previous != end.hash {
            return Ok(Err(Tampered::Broken { file: name, line, expected, found }));
        }
        on_line(&read);
        (end.sequence, end.hash, end.bytes) = (found, read.hash, end.bytes + bytes);
    }
    Ok(Ok(end))
}

fn read_head(folder: &Path) -> io::Result<Result<Option<Head>, Tampered>> {
    match fs::read(folder.join(HEAD)) {
        Ok(bytes) => {
            Ok(serde_json::from_slice(&bytes).map(Some).map_err(|_error| Tampered::NoHead))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(None)),
        Err(error) => Err(error),
    }
}

/// Writes the head so that there is always a whole one.
pub(super) fn write_head(folder: &Path, head: &Head) -> io::Result<()> {
    let new: PathBuf = folder.join("head.json.new");
    let mut file = private::empty(&new)?;
    file.write_all(&serde_json::to_vec(head).map_err(io::Error::other)?)?;
    file.sync_data()?;
    fs::rename(new, folder.join(HEAD))
}

/// Puts bytes at the end of a file aside that are no whole line.
pub(super) fn put_aside_torn(folder: &Path, end: &End) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let name = file_name(end.file);
    let mut file = private::open(&folder.join(&name))?;
    file.seek(SeekFrom::Start(end.bytes))?;
    let mut torn = Vec::new();
    file.read_to_end(&mut torn)?;
    private::empty(&folder.join(format!("{name}.torn-after-{}", end.sequence)))?
        .write_all(&torn)?;
    file.set_len(end.bytes)?;
    file.sync_data()
}
