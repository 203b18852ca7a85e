//! Steps that look at one batch and remember nothing: their logic, and the one adapter that makes
//! an [`Operator`] of it.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{
    EpochClose, Operator, OperatorError, Output, SavedState, Shape, StateBatch,
};
use riskstream_engine::ids::{Epoch, Ownership};

/// The logic of a step without state.
pub trait Stateless: Send {
    /// Columns of the rows that leave.
    fn output_schema(&self) -> SchemaRef;

    /// Turns a batch into what leaves.
    ///
    /// # Errors
    /// Only for broken invariants; rows that can't be processed go to `out.dead`.
    fn on_batch(
        &mut self,
        epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError>;

    /// The step as the engine runs it.
    fn into_operator(self) -> StatelessOperator<Self>
    where
        Self: Sized,
    {
        StatelessOperator(self)
    }
}

/// A [`Stateless`] step as an [`Operator`]: nothing is restored and nothing is saved.
#[derive(Debug)]
pub struct StatelessOperator<L>(pub L);

impl<L: Stateless> Operator for StatelessOperator<L> {
    fn output_schema(&self) -> SchemaRef {
        self.0.output_schema()
    }

    fn shape(&self) -> Option<Shape> {
        None
    }

    fn restore(
        &mut self,
        _saved: &SavedState,
        _worker: usize,
        _ownership: Ownership,
    ) -> Result<(), OperatorError> {
        Ok(())
    }

    fn on_batch(
        &mut self,
        epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.0.on_batch(epoch, batch, out)
    }

    fn on_close(&mut self, _close: &EpochClose, _out: &mut Output) -> Result<(), OperatorError> {
        Ok(())
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        Ok(Vec::new())
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        Ok(Vec::new())
    }
}
