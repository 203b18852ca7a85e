//! A step of a pipeline: batches in, batches out, state that follows the epochs.

use crate::contract::shape::Shape;
use crate::contract::state::{SavedState, StateBatch};
use crate::ids::{Epoch, EventTime, Ownership};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;

/// The end of an epoch, the same on every worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EpochClose {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// The watermark that holds from now on. In event-time order, every row of this epoch is at or
    /// before it (or flagged late).
    pub watermark: EventTime,
    /// The watermark during the epoch.
    pub watermark_before: EventTime,
    /// The step must hand over its whole state with this epoch.
    pub snapshot: bool,
    /// The input has ended.
    pub last: bool,
}

/// How rows reach a step's workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    /// Rows stay where they are.
    Local,
    /// Rows with equal values in these columns (indices into the input schema) reach the same
    /// worker.
    ByKey(Vec<usize>),
    /// As `ByKey`, but rows in which all of these columns are null reach every worker: they are
    /// about all keys.
    ByKeyOrAll(Vec<usize>),
}

/// Key in the metadata of a batch's schema. It says that the batch holds totals (partial
/// aggregates) instead of rows, and that the columns by which the batch is routed come first.
pub const TOTALS: &str = "riskstream.totals";

/// Rows that leave a step.
#[derive(Debug, Default)]
pub struct Output {
    /// To the next step.
    pub rows: Vec<RecordBatch>,
    /// To the dead-letter table, in its schema.
    pub dead: Vec<RecordBatch>,
    /// Rows that were found late, wherever they went.
    pub late: u64,
    /// Values that are null because their type does not hold them, by column. Each has a letter in
    /// `dead` ([`REASON_OVERFLOW`]), though its row is kept.
    ///
    /// [`REASON_OVERFLOW`]: super::REASON_OVERFLOW
    pub unfit: BTreeMap<String, u64>,
}

impl Output {
    /// Sends a batch on; an empty one is dropped.
    pub fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.rows.push(batch);
        }
    }
}

/// A step's logic on one worker. It knows nothing of timely, does no I/O but its history's, and
/// reads no clock.
///
/// ```text
/// shape ─▶ restore? ─▶ ( on_batch* ─▶ on_close ─▶ changes ─▶ snapshot? )*
///                        one round per epoch, every epoch, in order
/// ```
/// Within an epoch the batches of a keyed step come in no particular order; in event-time order all
/// of an epoch's rows are later than the rows of the epochs before, so a step that needs order
/// gathers the epoch's batches and sorts them in `on_close`.
pub trait Operator: Send {
    /// Columns of the rows that leave.
    fn output_schema(&self) -> SchemaRef;
    /// What its saved state means; `None` for a step that saves nothing. Everything on which the
    /// state's meaning depends must be in it: the engine saves it, and refuses to restore the state
    /// where it has changed. Asked for before [`Self::restore`], and the same on every worker.
    fn shape(&self) -> Option<Shape>;
    /// How rows must be routed to it.
    fn routing(&self) -> Routing {
        Routing::Local
    }
    /// A step that pre-aggregates rows before they are sent to the workers of their keys, so that
    /// fewer rows are exchanged. It sees the same epochs, saves no state, and sends rows on as they
    /// came or, in batches marked with [`TOTALS`], their partial aggregates. Called after
    /// [`Self::restore`].
    fn combiner(&self) -> Option<Box<dyn Operator>> {
        None
    }
    /// Takes the state back after a restart; called at most once, before any batch. Only shards
    /// that `ownership` gives to `worker` are taken.
    ///
    /// # Errors
    /// When the state can't be read; the run does not start.
    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError>;
    /// Called instead of [`Self::restore`] where the step is new in a pipeline that has already
    /// run: rows up to `seen` have passed without this step. The step's output must show where it
    /// would differ had the step seen those rows. A step whose output can't show this does nothing
    /// here; the user who adds the step is told.
    fn begin_after(&mut self, _seen: EventTime) {}
    /// Rows of the open epoch.
    ///
    /// # Errors
    /// Only for broken invariants or failing I/O; the run stops.
    fn on_batch(
        &mut self,
        epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError>;
    /// All rows of the epoch were seen.
    ///
    /// # Errors
    /// As for `on_batch`.
    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError>;
    /// What changed in this epoch. Together with the last snapshot it must be enough to restore.
    ///
    /// # Errors
    /// As for `on_batch`.
    fn changes(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError>;
    /// The whole state; called after `changes` when `close.snapshot`.
    ///
    /// # Errors
    /// As for `on_batch`.
    fn snapshot(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError>;
    /// Bytes of memory that the state takes, about.
    fn state_bytes(&self) -> usize {
        0
    }
    /// Files that the state lives in and that must not be collected (paths below the store's
    /// `history/` folder).
    fn live_files(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a step can't go on.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A kernel refused its input.
    #[error("step {step}: {source}")]
    Arrow {
        /// The step's id.
        step: String,
        /// What arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// Reading or writing the history failed.
    #[error("step {step}: can't {action} {object}: {reason}")]
    Storage {
        /// The step's id.
        step: String,
        /// What was tried: read, write.
        action: &'static str,
        /// The file.
        object: String,
        /// Cause.
        reason: String,
    },
    /// Saved state that this program can't take.
    #[error("step {step}: saved state can't be used: {reason}")]
    State {
        /// The step's id.
        step: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// An expression or model failed on a batch.
    #[error("step {step}: {reason}")]
    Compute {
        /// The step's id.
        step: String,
        /// What failed.
        reason: String,
    },
}
