//! Files as a source: NDJSON, CSV and Parquet; one, many, patterns; gzip and zstd; growing files.
//!
//! A partition is a file. Its offset counts bytes after decompression (text) or rows (Parquet).

mod budget;
mod fingerprint;
mod format;
mod infer;
mod input;
mod look;
mod opened;
mod parquet_reader;
mod paths;
mod reading;
mod shared;
mod source;
mod text;

pub use format::{Compression, CsvOptions, EventTimeSpec, FileFormat, FileSourceSpec, SkipLines};
pub(crate) use infer::{Inferred, JsonFields, infer_schema};
pub(crate) use opened::{describe as describe_input, read_beginning};
pub(crate) use paths::FoundFile;
pub use source::FileSource;
