//! One worker's part of each open epoch, gathered from its operators as they close it.

use crate::contract::{OutboxPart, PartitionInfo, Position, StateBatch};
use crate::ids::Epoch;
use crate::runtime::clock::Clock;
use arrow::array::{Array, RecordBatch};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A moment on both of the machine's clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall_micros: i64,
    pub(crate) steady_nanos: u64,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { wall_micros: clock.wall_micros(), steady_nanos: clock.steady_nanos() }
    }
}

/// What the feed says of an epoch that it has closed.
#[derive(Debug)]
pub(crate) struct FeedClose {
    pub(crate) epoch: Epoch,
    pub(crate) snapshot: bool,
    pub(crate) last: bool,
    /// Partitions whose state is another one than at the close before; at the first of a run, all.
    pub(crate) partitions: Vec<crate::protocol::PartitionFacts>,
    /// Event time by the clock, where everything is quiet.
    pub(crate) clock: Option<i64>,
    /// When its first block was read; when it closed, where it has none.
    pub(crate) first_block: Moment,
    /// Positions of the partitions that were read on in the epoch.
    pub(crate) positions: BTreeMap<u32, (PartitionInfo, Position)>,
}

/// What the feed hears of a commit.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) epoch: Epoch,
    /// Bytes of the epoch's file.
    pub(crate) bytes: u64,
    /// Bytes of the snapshot that follows, about.
    pub(crate) snapshot_bytes: Option<u64>,
}

/// What a worker hands to the committer.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) feed: Option<Arc<FeedClose>>,
    pub(crate) changes: Vec<(String, StateBatch)>,
    pub(crate) snapshot: Vec<(String, StateBatch)>,
    pub(crate) history_files: Vec<String>,
    pub(crate) outbox: Vec<(String, OutboxPart)>,
    /// Rows that went to a sink, by its place in the metrics.
    pub(crate) sunk: Vec<(usize, u64)>,
    pub(crate) dead: Vec<RecordBatch>,
    pub(crate) rows: u64,
    pub(crate) late: u64,
    /// Letters among `dead` whose rows are kept.
    pub(crate) unfit: u64,
}

/// The parts of one worker's open epochs; shared by its operators, which all run on its thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts(Rc<RefCell<BTreeMap<Epoch, Part>>>);

impl Parts {
    pub(crate) fn with<R>(&self, epoch: Epoch, change: impl FnOnce(&mut Part) -> R) -> R {
        change(self.0.borrow_mut().entry(epoch).or_default())
    }

    pub(crate) fn take(&self, epoch: Epoch) -> Part {
        self.0.borrow_mut().remove(&epoch).unwrap_or_default()
    }
}

/// Bytes of the rows themselves: a slice of a larger batch counts as the slice.
pub(crate) fn sliced_bytes(rows: &RecordBatch) -> u64 {
    rows.columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0) as u64)
        .sum()
}
