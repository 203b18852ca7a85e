//! A record as a line, and the hashes that hold lines together.

use chrono::{DateTime, SecondsFormat, Utc};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Longest text of a statement that is kept, in bytes.
const STATEMENT_BYTES_MAX: usize = 32 * 1024;
/// Most names or policies that are kept of one record.
const LIST_MAX: usize = 1000;
/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;
/// What the first line has for the hash before it.
pub(super) const NO_HASH: [u8; 32] = [0; 32];

/// What is told of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it began, in microseconds since 1970.
    pub time_micros: i64,
    /// Who asked.
    pub user: String,
    /// With which roles.
    pub roles: Vec<String>,
    /// Through what: `postgres`, `flight`, `cli`.
    pub port: String,
    /// Its text.
    pub statement: String,
    /// What was applied, as [`TableRule`](crate::rules::TableRule) tells it.
    pub policies: Vec<String>,
    /// The tables that it read.
    pub tables: Vec<String>,
    /// Rows that it gave.
    pub rows: u64,
    /// Bytes that it gave.
    pub bytes: u64,
    /// How long it took.
    pub duration_micros: u64,
    /// Its SQLSTATE; 00000 where all is well.
    pub outcome: String,
}

/// The content of a line: what is hashed, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) sequence: u64,
    pub(super) time: String,
    pub(super) user: String,
    pub(super) roles: Vec<String>,
    pub(super) port: String,
    pub(super) statement: String,
    pub(super) policies: Vec<String>,
    pub(super) tables: Vec<String>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) duration_us: u64,
    pub(super) outcome: String,
}

/// A line that is in order by itself.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) content: Content,
    pub(super) previous: [u8; 32],
    pub(super) hash: [u8; 32],
}

impl AuditRecord {
    /// Without what would be too much to keep.
    #[must_use]
    pub(super) fn shortened(self) -> Self {
        let shortened = |mut list: Vec<String>| {
            if list.len() > LIST_MAX {
                let more = list.len() - LIST_MAX;
                list.truncate(LIST_MAX);
                list.push(format!("… {more} more"));
            }
            list
        };
        Self {
            statement: shorten(self.statement),
            roles: shortened(self.roles),
            policies: shortened(self.policies),
            tables: shortened(self.tables),
            ..self
        }
    }
}

impl Content {
    pub(super) fn new(sequence: u64, record: AuditRecord) -> Self {
        let time = DateTime::<Utc>::from_timestamp_micros(record.time_micros);
        let time = time.map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
        Self {
            sequence,
            time: time.unwrap_or_default(),
            user: record.user,
            roles: record.roles,
            port: record.port,
            statement: record.statement,
            policies: record.policies,
            tables: record.tables,
            rows: record.rows,
            bytes: record.bytes,
            duration_us: record.duration_micros,
            outcome: record.outcome,
        }
    }
}

fn shorten(mut text: String) -> String {
    let bytes = text.len();
    if bytes > STATEMENT_BYTES_MAX {
        let mut end = STATEMENT_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&format!(" … ({bytes} bytes)"));
    }
    text
}

/// Appends the line of a content to a buffer, and gives its hash.
pub(super) fn append(
    buffer: &mut Vec<u8>,
    content: &Content,
    previous: &[u8; 32],
) -> serde_json::Result<[u8; 32]> {
    let text = serde_json::to_vec(content)?;
    let hash = hash(previous, &text);
    // The content's closing brace comes last.
    buffer.extend_from_slice(&text[..text.len() - 1]);
    buffer.extend_from_slice(seal(previous, &hash).as_bytes());
    buffer.push(b'\n');
    Ok(hash)
}

/// Reads a line, without its end, whose hash is right.
pub(super) fn read_line(line: &[u8]) -> Option<Line> {
    let seal_bytes = seal(&NO_HASH, &NO_HASH).len();
    let (front, end) = line.split_at_checked(line.len().checked_sub(seal_bytes)?)?;
    let end = std::str::from_utf8(end).ok()?;
    let previous = end.strip_prefix(",\"previous\":\"")?.get(..HASH_DIGITS)?;
    let written = end.strip_suffix("\"}")?;
    let written = written.get(written.len().checked_sub(HASH_DIGITS)?..)?;
    let (previous, written) = (from_hex(previous)?, from_hex(written)?);
    if end != seal(&previous, &written) {
        return None;
    }
    let text = [front, b"}"].concat();
    if hash(&previous, &text) != written {
        return None;
    }
    Some(Line { content: serde_json::from_slice(&text).ok()?, previous, hash: written })
}

fn seal(previous: &[u8; 32], hash: &[u8; 32]) -> String {
    format!(",\"previous\":\"{}\",\"hash\":\"{}\"}}", to_hex(previous), to_hex(hash))
}

fn hash(previous: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(text);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

pub(super) fn to_hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(HASH_DIGITS), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
    let digits = digits.filter(|digits| digits.len() == HASH_DIGITS)?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(hash)
}
