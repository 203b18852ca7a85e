//! Newtypes for the numbers that must never be mixed up: epochs, generations, shards, keys, event
//! times.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Hash buckets of keys, fixed when a data folder is made: the unit of ownership.
pub const SHARDS: usize = 256;

/// A group of input rows closed together; timely's timestamp and the unit of commit. The first
/// epoch of a data folder is 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[inline]
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a run on a data folder; a higher one fences lower ones.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of [`SHARDS`] hash buckets of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u8);

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// After every event.
    pub const MAX: Self = Self(i64::MAX);

    /// This time less `micros`, held at the ends of the range.
    #[inline]
    #[must_use]
    pub fn saturating_sub(self, micros: i64) -> Self {
        Self(self.0.saturating_sub(micros))
    }
}

/// A key's number within its step: the shard in the top 8 bits, the order of first sight within the
/// shard in the low 24.
///
/// It is assigned once, is part of the step's state, and stays the same over restarts and other
/// worker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub u32);

impl KeyId {
    /// The most keys that a shard of one step can number.
    pub const LOCAL_MAX: u32 = (1 << 24) - 1;

    /// The key with number `local` in `shard`; `local` must be at most [`Self::LOCAL_MAX`].
    #[inline]
    #[must_use]
    pub fn new(shard: ShardId, local: u32) -> Self {
        debug_assert!(local <= Self::LOCAL_MAX);
        Self((u32::from(shard.0) << 24) | local)
    }

    /// The shard that owns the key.
    #[inline]
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId((self.0 >> 24) as u8)
    }

    /// The key's number within its shard.
    #[inline]
    #[must_use]
    pub fn local(self) -> usize {
        (self.0 & Self::LOCAL_MAX) as usize
    }
}

/// Which worker owns which shards: a pure function of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    workers: usize,
}

impl Ownership {
    /// Shards spread over `workers` (at least 1, at most [`SHARDS`]).
    #[inline]
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { workers: workers.clamp(1, SHARDS) }
    }

    /// The worker that owns `shard`.
    #[inline]
    #[must_use]
    pub fn worker_of(self, shard: ShardId) -> usize {
        usize::from(shard.0) % self.workers
    }

    /// Whether `worker` owns `shard`.
    #[inline]
    #[must_use]
    pub fn owns(self, worker: usize, shard: ShardId) -> bool {
        self.worker_of(shard) == worker
    }

    /// The number of workers.
    #[inline]
    #[must_use]
    pub fn workers(self) -> usize {
        self.workers
    }
}
