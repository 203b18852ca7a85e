//! A step with state by key as an operator: what all such steps do alike.
//!
//! ```text
//!   a step: what it keeps of a key, what a row adds to it, what leaves ([`KeyedStep`])
//!   here: the watermark, what is saved and taken back, the engine's contract
//! ```
//! Saved with every epoch: what the step kept of the keys that the epoch changed ([`Keep`]), and
//! one row with the watermark and a number of the step's own (`close`).

use super::close::{CLOSE, restore_close, saved_close};
use super::columns::integers;
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use riskstream_engine::contract::{
    EpochClose, Feed, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
};
use riskstream_engine::ids::{Epoch, Ownership};
use std::fmt;
use std::sync::Arc;

/// What a step keeps of its keys.
pub trait Keep {
    /// What the closed epoch changed.
    ///
    /// # Errors
    /// When it does not fit into columns.
    fn save_changes(&mut self) -> Result<Vec<StateBatch>, OperatorError>;
    /// The changes of the epoch are saved; the watermark is the close's.
    fn saved(&mut self, _watermark: i64) {}
    /// All that is kept.
    ///
    /// # Errors
    /// As for [`Self::save_changes`], or when a file can't be written.
    fn save_all(&mut self) -> Result<Vec<StateBatch>, OperatorError>;
    /// Takes back what was saved of the keys of this worker, up to the saved watermark.
    ///
    /// # Errors
    /// When it is of another form, or a file can't be read.
    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
        watermark: i64,
    ) -> Result<(), OperatorError>;
    /// Bytes of memory, about.
    fn bytes(&self) -> usize;
    /// Files that what is kept lives in, below the store's `history` folder.
    fn live_files(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What each step with state by key has: an id, columns and a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyedPlan<'a> {
    /// The step's id.
    pub id: &'a str,
    /// The columns of the rows that come.
    pub input: &'a SchemaRef,
    /// The columns of the rows that leave.
    pub output: &'a SchemaRef,
    /// The columns of the input by which rows belong together.
    pub key: &'a [usize],
}

/// What a step with state by key is, beside what all of them do alike.
pub trait KeyedStep: fmt::Debug + Send {
    /// What it keeps of its keys.
    type Kept: Keep;
    /// The name under which [`Self::mark`] is saved, where the step has one.
    const MARK: Option<&'static str> = None;

    /// Its id, its columns and its key.
    fn plan(&self) -> KeyedPlan<'_>;
    /// What saved state means, without what feeds the step.
    fn meaning(&self) -> Shape;
    /// The columns of the input that what is kept is made of.
    fn reads(&self) -> Vec<usize>;
    /// What it keeps.
    fn kept(&self) -> &Self::Kept;
    /// What it keeps, to be changed.
    fn kept_mut(&mut self) -> &mut Self::Kept;
    /// A number that is saved with the watermark of each close.
    fn mark(&self, _watermark: i64) -> i64 {
        0
    }
    /// Takes the mark of one close of any worker back.
    fn restore_mark(&mut self, _mark: i64) {}
    /// Rows of the open epoch; `watermark` is the last close's, `i64::MIN` before the first.
    ///
    /// # Errors
    /// As for [`Operator::on_batch`].
    fn on_batch(
        &mut self,
        watermark: i64,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError>;
    /// All rows of the epoch were seen. `watermarks`: that of the last close, and that which holds
    /// from now on.
    ///
    /// # Errors
    /// As for [`Operator::on_close`].
    fn on_close(
        &mut self,
        watermarks: (i64, i64),
        close: &EpochClose,
        out: &mut Output,
    ) -> Result<(), OperatorError>;

    /// A kernel's refusal, with the step's id.
    fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan().id.to_owned(), source }
    }
}

/// A step with state by key.
#[derive(Debug)]
pub struct Keyed<S> {
    pub(crate) step: S,
    feed: Feed,
    /// The last close's; `i64::MIN` before the first.
    watermark: i64,
}

impl<S: KeyedStep> Keyed<S> {
    /// A step that has seen no rows.
    pub(crate) fn of(step: S) -> Self {
        Self { step, feed: Feed::default(), watermark: i64::MIN }
    }

    /// Sets what feeds the step, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.feed = feed;
        self
    }

    fn saved_close(&self) -> Result<StateBatch, OperatorError> {
        let mark = |name| {
            let mark = self.step.mark(self.watermark);
            (name, Arc::new(Int64Array::from(vec![mark])) as ArrayRef)
        };
        saved_close(self.watermark, S::MARK.map(mark).into_iter().collect())
            .map_err(|e| self.step.arrow(e))
    }
}

impl<S: KeyedStep> Operator for Keyed<S> {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(self.step.plan().output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.step.plan().key.to_vec())
    }

    fn shape(&self) -> Option<Shape> {
        let step = &self.step;
        Some(step.meaning().fed_by(&self.feed, step.plan().input, step.reads()))
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.watermark = self.watermark.max(restore_close(saved, self.step.plan().id)?);
        if let Some(name) = S::MARK {
            for close in saved.named(CLOSE) {
                let marks = integers(close, name).map_err(|e| self.step.arrow(e))?;
                marks.iter().for_each(|mark| self.step.restore_mark(*mark));
            }
        }
        self.step.kept_mut().restore(saved, worker, ownership, self.watermark)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.step.on_batch(self.watermark, batch, out)
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        let after = self.watermark.max(close.watermark.0);
        self.step.on_close((self.watermark, after), close, out)?;
        self.watermark = after;
        Ok(())
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        let mut saved = self.step.kept_mut().save_changes()?;
        saved.push(self.saved_close()?);
        self.step.kept_mut().saved(self.watermark);
        Ok(saved)
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        let mut saved = self.step.kept_mut().save_all()?;
        saved.push(self.saved_close()?);
        Ok(saved)
    }

    fn state_bytes(&self) -> usize {
        self.step.kept().bytes()
    }

    fn live_files(&self) -> Vec<String> {
        self.step.kept().live_files()
    }
}
