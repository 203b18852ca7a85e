//! The content of a file in pieces, so that what is large is written from where it is.

use bytes::Bytes;
use std::io::{Result, Write};

/// Takes what a writer writes; a payload that was announced becomes a piece as it is, everything
/// else is copied.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    done: Vec<Bytes>,
    open: Vec<u8>,
    announced: Option<Bytes>,
}

impl Pieces {
    /// Announces a payload. When exactly these bytes come, at this place in memory, they are not
    /// copied.
    pub(crate) fn share(&mut self, payload: Bytes) {
        self.announced = Some(payload);
    }

    /// Takes the pieces so far, in order; what came after the last payload is none yet.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.done)
    }

    /// What came after the last payload.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.open
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self
            .announced
            .take_if(|payload| std::ptr::eq(&raw const payload[..], &raw const *bytes))
        {
            Some(payload) => {
                self.done.push(Bytes::from(std::mem::take(&mut self.open)));
                self.done.push(payload);
            }
            None => self.open.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
