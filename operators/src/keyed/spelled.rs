//! A batch's keys spelled as bytes, as rows by key want them.

use super::dictionary::Speller;
use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use riskstream_engine::key::{HASH_SEED, hash_keys};
use riskstream_engine::rows::BatchKeys;

/// Keys of a batch's rows. No two are spelled alike.
#[derive(Debug, Default)]
pub(crate) struct SpelledKeys {
    hashes: Vec<u64>,
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

impl SpelledKeys {
    /// Spells the keys of these columns.
    pub(crate) fn spell(&mut self, columns: &[ArrayRef]) -> Result<(), ArrowError> {
        hash_keys(columns, HASH_SEED, &mut self.hashes)?;
        let spellers = columns.iter().map(Speller::new).collect::<Result<Vec<_>, _>>()?;
        self.bytes.clear();
        self.offsets.clear();
        self.offsets.push(0);
        for row in 0..self.hashes.len() {
            spellers.iter().for_each(|speller| speller.spell(row, &mut self.bytes));
            self.offsets.push(self.bytes.len());
        }
        Ok(())
    }

    /// The keys of rows `first..`.
    pub(crate) fn from(&self, first: usize) -> BatchKeys<'_> {
        BatchKeys {
            hashes: &self.hashes[first..],
            bytes: &self.bytes,
            offsets: &self.offsets[first..],
        }
    }
}
