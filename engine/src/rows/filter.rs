//! Which keys a segment certainly does not hold: a Bloom filter whose bits for a key lie in one
//! cache line.
//!
//! Split block Bloom filters: Putze, Sanders, Singler, "Cache-, hash- and space-efficient Bloom
//! filters", 2009; the form with one bit in each of eight words is Parquet's.

/// Words of a block; a key sets one bit in each.
const WORDS: usize = 8;
/// Bits per key: the filter passes about one of 400 keys that are not there.
const BITS_PER_KEY: usize = 12;
/// Odd numbers that make a key's eight bits differ; those of Parquet's specification.
const SALT: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub(super) struct Filter {
    blocks: Vec<[u32; WORDS]>,
}

impl Filter {
    /// Empty, for so many keys.
    pub(super) fn for_keys(keys: usize) -> Self {
        Self { blocks: vec![[0; WORDS]; (keys * BITS_PER_KEY).div_ceil(WORDS * 32).max(1)] }
    }

    /// The high half of the mixed hash selects the block, the low half the bits. The top of the
    /// unmixed hash is the key's shard, and would leave the blocks of other workers' shards empty.
    fn place(&self, hash: u64) -> (usize, [u32; WORDS]) {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let block = ((mixed >> 32) * self.blocks.len() as u64) >> 32;
        let low = (mixed ^ hash) as u32;
        (block as usize, SALT.map(|salt| 1 << (low.wrapping_mul(salt) >> 27)))
    }

    pub(super) fn add(&mut self, hash: u64) {
        let (block, bits) = self.place(hash);
        self.blocks[block].iter_mut().zip(bits).for_each(|(word, bit)| *word |= bit);
    }

    /// False: the key is not there.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let (block, bits) = self.place(hash);
        self.blocks[block].iter().zip(bits).all(|(word, bit)| word & bit != 0)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.blocks.iter().flatten().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    /// The inverse of [`Self::write`].
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u32> =
            bytes.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c)).collect();
        let (blocks, rest) = words.as_chunks::<WORDS>();
        (!blocks.is_empty() && rest.is_empty() && bytes.len().is_multiple_of(4))
            .then(|| Self { blocks: blocks.to_vec() })
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * WORDS * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn what_was_added_is_found_and_little_else() {
        let hash = |key: u32| xxh3_64(&key.to_le_bytes());
        let mut filter = Filter::for_keys(10_000);
        (0..10_000).for_each(|key| filter.add(hash(key)));
        let mut bytes = Vec::new();
        filter.write(&mut bytes);
        let filter = Filter::read(&bytes).unwrap();
        assert!((0..10_000).all(|key| filter.may_hold(hash(key))));
        let wrong = (10_000..110_000).filter(|key| filter.may_hold(hash(*key))).count();
        assert!(wrong < 1_000, "{wrong} of 100000 seem to be there");
        assert!(Filter::read(&bytes[1..]).is_none());
    }
}
