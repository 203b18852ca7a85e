//! Where rows come from.
//!
//! One **feed** thread per process owns every [`Source`]: it opens partitions, polls blocks and
//! decides which epoch a block belongs to. Blocks go to the workers, where a [`Decoder`] (one per
//! worker) turns them into rows, so that decoding uses every core while what an epoch contains is
//! decided in one place.

use crate::contract::Notice;
use crate::contract::columns::SourceSchema;
use arrow::array::RecordBatch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::collections::BTreeMap;

/// Where to go on in a partition; part of every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The first offset not read yet, in the partition's own unit (see
    /// [`crate::contract::SOURCE_OFFSET`]).
    pub next_offset: i64,
    /// The partition has ended and was read to its end (a file that is not followed).
    pub finished: bool,
    /// What the source needs to know the partition again: a file's size and fingerprint, a
    /// generator's seed.
    pub fingerprint: String,
}

/// A partition that a source reads; its place in [`Source::partitions`] is its number for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionInfo {
    /// A stable name: a file's path, a topic and partition.
    pub name: String,
}

/// How much one poll may bring.
#[derive(Debug, Clone, Copy)]
pub struct PollLimit {
    /// At most this many rows, where the source can count them.
    pub rows: usize,
    /// About this many bytes at most, where it can't.
    pub bytes: usize,
}

/// What a block carries.
pub enum Payload {
    /// Undecoded records, cut between records.
    Raw(Bytes),
    /// Columns that the source could only read in order (Parquet, generators), still to be checked
    /// and given the source's schema.
    Rows(RecordBatch),
    /// Records of a form that the source and its decoder agree on, counted by the source.
    Messages {
        /// How many records there are.
        rows: usize,
        /// About how many bytes they are.
        bytes: usize,
        /// The records.
        messages: Box<dyn Any + Send>,
    },
    /// Anything else that the source and its decoder agree on.
    Other(Box<dyn Any + Send>),
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raw(b) => write!(f, "Raw({} bytes)", b.len()),
            Self::Rows(b) => write!(f, "Rows({})", b.num_rows()),
            Self::Messages { rows, bytes, .. } => write!(f, "Messages({rows}, {bytes} bytes)"),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct Block {
    /// The partition's number.
    pub partition: u32,
    /// Offset of the first record.
    pub first_offset: i64,
    /// Where the partition goes on after this block.
    pub next: Position,
    /// The records.
    pub payload: Payload,
    /// When the block was read, microseconds since 1970 by the feed's clock; events too far ahead
    /// of it are impossible.
    pub read_at: i64,
}

/// The answer to a poll.
#[derive(Debug)]
pub enum Poll {
    /// Records.
    Block(Block),
    /// The partition has nothing now; `caught_up` when it was read to its present end.
    Pending {
        /// Everything there is was read.
        caught_up: bool,
    },
    /// The partition has ended for this run. It has ended for good only if the position says so.
    Finished(Position),
}

/// A system that rows are read from. It never commits, never blocks for long, and reads no clock.
///
/// ```text
/// open(resume) ─▶ partitions() ─▶ poll(p)* ─▶ Finished
///                      ▲              │
///                      └─ discover() ◀┘   (new partitions, appended)
/// ```
pub trait Source: Send {
    /// The name in pipelines.toml.
    fn name(&self) -> &str;
    /// Columns of the decoded rows.
    fn schema(&self) -> &SourceSchema;
    /// Finds the partitions and opens each at its committed position. Called before anything else;
    /// `resume` holds every partition that was ever committed, by number, and they must keep their
    /// numbers; new ones are appended. After [`SourceError::Away`] it is called anew.
    ///
    /// # Errors
    /// When something that was read before is gone or changed, or can't be read;
    /// [`SourceError::Away`] when the system can't be reached now.
    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError>;
    /// What [`Self::open`] would say, for somebody who only looks: nothing is taken from the
    /// system, and the source is not read from afterwards.
    ///
    /// # Errors
    /// As for [`Self::open`].
    fn check(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        self.open(resume)
    }
    /// All partitions, by number.
    fn partitions(&self) -> &[PartitionInfo];
    /// Looks for partitions that have appeared since; true when there are some.
    ///
    /// # Errors
    /// When the system can't be asked.
    fn discover(&mut self) -> Result<bool, SourceError> {
        Ok(false)
    }
    /// Whether rows may come for as long as the run lasts, also while no partition has any and even
    /// if there is no partition yet (a followed folder, a topic): such a run ends only when it is
    /// stopped. Asked once, after [`Self::open`].
    fn endless(&self) -> bool {
        false
    }
    /// Says that these positions are committed: nothing before them will be read again. The source
    /// may report them to its system, as Kafka's consumer offsets are, but a restart never resumes
    /// from what the system recorded.
    fn committed(&mut self, positions: &BTreeMap<u32, (PartitionInfo, Position)>) {
        let _nobody_to_tell = positions;
    }
    /// Hands over the callback that reports that the system can't be reached, or can be reached
    /// again. Called once, before [`Self::open`].
    fn report_to(&mut self, notice: Notice) {
        let _nothing_to_say = notice;
    }
    /// The next block of a partition. `read_at` of the block is filled in by the feed.
    ///
    /// # Errors
    /// When the partition can't be read; the run stops.
    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError>;
    /// A decoder for one worker.
    fn decoder(&self) -> Box<dyn Decoder>;
    /// What a user should know of how it is read: the types that were inferred, and what is left
    /// out. A sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
    /// For progress bars: first how many bytes or rows there are in all, then how many were read;
    /// none when that is not known.
    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

/// What became of a block's records: every record is in one of the two.
#[derive(Debug)]
pub struct Decoded {
    /// Good rows, in the source's schema, in the block's order; `_late` is false. May be empty.
    pub rows: RecordBatch,
    /// Rejected rows, in the dead-letter schema.
    pub rejected: Option<RecordBatch>,
}

/// Turns blocks into rows. Each block is decoded from a fresh state: one bad record never harms its
/// neighbors.
pub trait Decoder: Send {
    /// Decodes one block.
    ///
    /// # Errors
    /// Only for broken invariants; a bad record is data and goes to `rejected`.
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError>;
}

/// Why a source can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system or file can't be read.
    #[error("source {source_name}: can't read {object}: {reason}")]
    Unreadable {
        /// The source's name.
        source_name: String,
        /// File or partition.
        object: String,
        /// Cause and advice.
        reason: String,
    },
    /// The system can't be reached now. Trying again later may help.
    #[error("source {source_name}: {object} is away: {reason}")]
    Away {
        /// The source's name.
        source_name: String,
        /// Topic and brokers.
        object: String,
        /// Cause and advice.
        reason: String,
    },
    /// What was read before has changed under us.
    #[error("source {source_name}: {object} has changed since it was read: {reason}")]
    Changed {
        /// The source's name.
        source_name: String,
        /// File or partition.
        object: String,
        /// What differs and what to do.
        reason: String,
    },
    /// A broken invariant.
    #[error("source {source_name}: internal error: {reason}")]
    Bug {
        /// The source's name.
        source_name: String,
        /// What broke.
        reason: String,
    },
}
