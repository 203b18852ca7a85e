//! A Parquet file on a disk, as the reader of Parquet wants it.

use std::io::{BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use riskstream_engine::disk::OpenFile;

/// An open file.
#[derive(Debug, Clone)]
pub(crate) struct ParquetFile(pub(crate) Arc<dyn OpenFile>);

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.0.bytes()
    }
}

impl ChunkReader for ParquetFile {
    type T = BufReader<Rest>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(Rest { file: Arc::clone(&self.0), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.0.read_at(&mut bytes, start).map_err(|e| ParquetError::External(Box::new(e)))?;
        Ok(bytes.into())
    }
}

/// A file from some place on.
#[derive(Debug)]
pub(crate) struct Rest {
    file: Arc<dyn OpenFile>,
    at: u64,
}

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.file.bytes().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let bytes = into.len().min(left);
        self.file.read_at(&mut into[..bytes], self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}
