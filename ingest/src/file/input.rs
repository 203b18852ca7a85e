//! A file of a source that is open.

use crate::file::budget::Permit;
use crate::file::fingerprint::Fingerprint;
use crate::file::parquet_reader::ParquetReader;
use crate::file::text::TextReader;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// An open file.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) reader: Reader,
    pub(super) print: Fingerprint,
    /// Bytes of the file itself that were read, from its beginning on.
    pub(super) raw_bytes: Arc<AtomicU64>,
    pub(super) _permit: Permit,
}

#[derive(Debug)]
pub(super) enum Reader {
    Text(TextReader),
    Rows { reader: ParquetReader, bytes: u64 },
}
