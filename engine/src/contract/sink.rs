//! How rows leave: staged by every worker into the epoch's outbox, delivered after the epoch is
//! committed.

use crate::contract::Notice;
use crate::contract::operator::EpochClose;
use crate::ids::Epoch;
use arrow::array::RecordBatch;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What one worker's part of an epoch sends to one sink.
#[derive(Debug, Clone, Default)]
pub struct OutboxPart {
    /// Rows that the epoch file itself carries (small epochs).
    pub rows: Vec<RecordBatch>,
    /// Names of durable files that were staged beside the destination (large epochs), in the sink's
    /// own form: an object's `bytes` says how large the file is.
    pub files: Vec<Value>,
    /// Whether the destination drops all rows that this pipeline delivered before this epoch,
    /// atomically with adding the rows of this epoch.
    pub empties: bool,
}

impl OutboxPart {
    /// Whether nothing is to leave.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.files.is_empty() && !self.empties
    }

    /// Bytes of the files that were staged.
    #[must_use]
    pub fn staged_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.get("bytes")?.as_u64()).sum()
    }
}

/// The worker's side of a sink.
pub trait SinkWriter: Send {
    /// Rows of the open epoch.
    ///
    /// # Errors
    /// When they can't be staged; the run stops.
    fn on_batch(&mut self, epoch: Epoch, batch: RecordBatch) -> Result<(), SinkError>;
    /// The epoch's outbox. Files that it names must be complete; they are made durable by
    /// [`SyncFiles`] before the commit.
    ///
    /// # Errors
    /// As for `on_batch`.
    fn finish(&mut self, close: &EpochClose) -> Result<OutboxPart, SinkError>;
}

/// One committed epoch's outbox for one sink, of all workers.
#[derive(Debug, Clone)]
pub struct OutboxEntry {
    /// The epoch.
    pub epoch: Epoch,
    /// Each worker's part.
    pub parts: Vec<OutboxPart>,
}

/// What [`Delivery::delivered_through`] says for a destination that remembers nothing, such as a
/// screen: nothing is delivered to it again.
pub const NEEDS_NOTHING_AGAIN: Epoch = Epoch(u64::MAX);

/// The process's side of a sink: makes committed epochs visible outside, each once.
pub trait Delivery: Send {
    /// The last epoch that is visible outside, as the destination itself records it; none when it
    /// never saw one.
    ///
    /// # Errors
    /// When the destination can't be asked; [`SinkError::Away`] when it can't be reached now: then
    /// it is asked again.
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError>;
    /// How long committed epochs may wait to be delivered together; `None` for the engine's own
    /// interval. A destination that takes a delivery in milliseconds returns zero.
    fn interval(&self) -> Option<Duration> {
        None
    }
    /// Hands over the callback that reports that the destination can't be reached, or can be
    /// reached again. Called once, before anything else.
    fn report_to(&mut self, notice: Notice) {
        let _nothing_to_say = notice;
    }
    /// What an earlier run left for this destination, in the form that [`Self::deliver`] takes now:
    /// between the two runs the pipeline may have come to write other columns. Called for each such
    /// epoch before anything is delivered.
    ///
    /// # Errors
    /// When what was left does not fit what the pipeline writes now; the message says what differs
    /// and what to do.
    fn take_over(&mut self, left: OutboxEntry) -> Result<OutboxEntry, SinkError> {
        Ok(left)
    }
    /// Makes the destination ready to be delivered to, such as a table that is not there yet.
    /// Called once, when nothing speaks against the run any more; until then nothing outside is
    /// changed.
    ///
    /// # Errors
    /// When it can't be made.
    fn prepare(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    /// Makes consecutive committed epochs visible, oldest first. Where [`Self::under_way_max`]
    /// allows several deliveries, the call only begins this delivery. A repeat after a crash must
    /// be harmless: just before it writes, the delivery asks the destination again and skips the
    /// epochs at or below [`Self::delivered_through`].
    ///
    /// # Errors
    /// [`SinkError::Away`] when the destination can't be reached at the moment. What was given is
    /// then the delivery's to keep: it counts as begun, and [`Self::try_again`] goes on with it.
    /// Any other error is a refusal for good, which ends the run.
    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError>;
    /// Goes on with what was begun, after [`Self::deliver`], [`Self::settle`] or this has said that
    /// the destination is away.
    ///
    /// # Errors
    /// As for `deliver`.
    fn try_again(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    /// Hands over a flag that is set when the run is to end soon: a call that waits for a
    /// destination which is away then returns [`SinkError::Away`] without much delay. Called once,
    /// before the first delivery.
    fn hurry_by(&mut self, hurry: Arc<AtomicBool>) {
        drop(hurry);
    }
    /// Deliveries that may be begun before the first of them is visible. With one, everything is
    /// visible when [`Self::deliver`] returns, and the two methods below are never called.
    fn under_way_max(&self) -> usize {
        1
    }
    /// Hands over the callback to call whenever [`Self::settle`] has something to report. Called
    /// once, before the first delivery.
    fn wake_by(&mut self, wake: Wake) {
        drop(wake);
    }
    /// Returns how many deliveries, the oldest first, have become visible since the last call.
    /// Retries the deliveries that have failed.
    ///
    /// # Errors
    /// As for `deliver`.
    fn settle(&mut self) -> Result<usize, SinkError> {
        Ok(0)
    }
}

/// Says from any thread that [`Delivery::settle`] should be asked.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Makes staged files durable before the epoch that names them is committed; called by the
/// committer.
pub type SyncFiles = Arc<dyn Fn(&[Value]) -> Result<(), SinkError> + Send + Sync>;

/// Why a sink can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Writing failed.
    #[error("sink {sink}: can't write {object}: {reason}")]
    Write {
        /// The sink's id.
        sink: String,
        /// File or table.
        object: String,
        /// Cause and advice.
        reason: String,
    },
    /// The destination is away: it can't be reached now, or does not take rows now. Trying again
    /// later may help.
    #[error("sink {sink}: {object} is away: {reason}")]
    Away {
        /// The sink's id.
        sink: String,
        /// File, table or topic.
        object: String,
        /// Cause.
        reason: String,
    },
    /// The destination does not fit the rows.
    #[error("sink {sink}: {object} does not fit: {reason}")]
    Mismatch {
        /// The sink's id.
        sink: String,
        /// File or table.
        object: String,
        /// What differs and what to do.
        reason: String,
    },
}
