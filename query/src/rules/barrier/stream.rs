//! The rows of a table that pass its rule, as they are read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::Count;
use futures::{Stream, StreamExt};

use super::hide::hide;
use super::rows::Screen;

/// Batches of which nothing is seen, after which other tasks get their turn.
const UNSEEN_BATCHES_MAX: usize = 32;

/// One partition. Its batches are made anew from the rows that are seen: how many there are in one,
/// which measures of the nodes above count, would tell of those between.
pub(super) struct ScreenedStream {
    input: Arc<dyn ExecutionPlan>,
    /// Partitions of the input that are still to be read, the last first.
    sources: Vec<usize>,
    current: Option<SendableRecordBatchStream>,
    screen: Arc<Screen>,
    seen: BatchCoalescer,
    /// Rows that may still be given.
    left: Option<usize>,
    ended: bool,
    context: Arc<TaskContext>,
    rows: Count,
}

impl ScreenedStream {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        mut sources: Vec<usize>,
        screen: Arc<Screen>,
        fetch: Option<usize>,
        context: Arc<TaskContext>,
        rows: Count,
    ) -> Self {
        sources.reverse();
        let batch_rows = context.session_config().batch_size();
        let batch_rows = fetch.map_or(batch_rows, |fetch| fetch.clamp(1, batch_rows));
        let seen = BatchCoalescer::new(Arc::clone(screen.schema()), batch_rows);
        let ended = fetch == Some(0);
        Self { input, sources, current: None, screen, seen, left: fetch, ended, context, rows }
    }

    /// No more rows are wanted or there.
    fn end(&mut self) -> Result<()> {
        self.ended = true;
        self.current = None;
        self.sources.clear();
        Ok(self.seen.finish_buffered_batch()?)
    }

    /// Opens the next partition, or ends.
    fn advance(&mut self) -> Result<()> {
        match self.sources.pop() {
            Some(source) => {
                let stream = self.input.execute(source, Arc::clone(&self.context));
                self.current = Some(stream.map_err(hide)?);
                Ok(())
            }
            None => self.end(),
        }
    }

    fn accept(&mut self, batch: RecordBatch) -> Result<()> {
        let mut seen = self.screen.apply(&batch).map_err(hide)?;
        if let Some(left) = &mut self.left {
            seen = seen.slice(0, seen.num_rows().min(*left));
            *left -= seen.num_rows();
        }
        if seen.num_rows() > 0 {
            self.seen.push_batch(seen)?;
        }
        if self.left == Some(0) { self.end() } else { Ok(()) }
    }

    fn fail(
        &mut self,
        error: datafusion::error::DataFusionError,
    ) -> Poll<Option<Result<RecordBatch>>> {
        self.ended = true;
        self.current = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for ScreenedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut batches = 0;
        loop {
            if let Some(batch) = self.seen.next_completed_batch() {
                self.rows.add(batch.num_rows());
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let Some(current) = &mut self.current else {
                match self.advance() {
                    Ok(()) => continue,
                    Err(error) => return self.fail(error),
                }
            };
            let step = match current.poll_next_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    self.current = None;
                    Ok(())
                }
                Poll::Ready(Some(Ok(batch))) => self.accept(batch),
                Poll::Ready(Some(Err(error))) => Err(hide(error)),
            };
            if let Err(error) = step {
                return self.fail(error);
            }
            batches += 1;
            if batches >= UNSEEN_BATCHES_MAX && !self.seen.has_completed_batch() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl RecordBatchStream for ScreenedStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.screen.schema())
    }
}
