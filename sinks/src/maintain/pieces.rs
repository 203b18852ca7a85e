//! A large file beside small ones that are in a hurry.

use std::io::{Result, Write};

use riskstream_engine::disk::{NewFile, PIECE_BYTES};

/// A file that becomes durable piece by piece: a file system that is told to sync a commit
/// meanwhile may have to write first what was written of this one.
#[derive(Debug)]
pub(super) struct Pieces {
    file: Box<dyn NewFile>,
    unsynced: usize,
}

impl Pieces {
    pub(super) fn new(file: Box<dyn NewFile>) -> Self {
        Self { file, unsynced: 0 }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write(&bytes[..bytes.len().min(PIECE_BYTES)])?;
        self.unsynced += written;
        if self.unsynced >= PIECE_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}
