//! Sets of shards.

use crate::ids::{KeyId, Ownership, SHARDS, ShardId};

/// A set of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSet([u64; 4]);

impl ShardSet {
    /// Every shard.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// No shard.
    pub const NONE: Self = Self([0; 4]);

    /// The shards that `worker` owns.
    #[must_use]
    pub fn owned(worker: usize, ownership: Ownership) -> Self {
        let mut words = [0; 4];
        for shard in 0..SHARDS {
            if ownership.owns(worker, ShardId(shard as u8)) {
                words[shard / 64] |= 1 << (shard % 64);
            }
        }
        Self(words)
    }

    /// The shards in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// The shards in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// Whether it holds `shard`.
    #[inline]
    #[must_use]
    pub fn has(&self, shard: ShardId) -> bool {
        let shard = usize::from(shard.0);
        self.0[shard / 64] >> (shard % 64) & 1 == 1
    }

    /// Whether it holds the key's shard.
    #[must_use]
    pub fn has_key(&self, key: u32) -> bool {
        self.has(KeyId(key).shard())
    }

    /// Whether it is every shard.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// 32 bytes, the shards from the lowest bit on.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// The inverse of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u64> =
            bytes.as_chunks::<8>().0.iter().map(|c| u64::from_le_bytes(*c)).collect();
        (bytes.len() == 32).then(|| Self(std::array::from_fn(|i| words[i])))
    }
}
