//! The rows of a statement, as they come.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::stopped::Stopped;
use crate::error::QueryError;

/// Stops a statement from any thread. Nothing happens where it has ended.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    token: CancellationToken,
    why: Arc<OnceLock<Stopped>>,
}

impl Cancel {
    /// Stops it; the first reason given counts.
    pub fn stop(&self, why: Stopped) {
        let _first = self.why.set(why);
        self.token.cancel();
    }

    /// Why it was stopped, if it was.
    #[must_use]
    pub fn why(&self) -> Option<Stopped> {
        self.token.is_cancelled().then(|| *self.why.get().unwrap_or(&Stopped::Cancelled))
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// The rows of a statement. They come no faster than they are taken. Dropping it ends the work.
#[derive(Debug)]
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    cancel: Cancel,
}

impl Answer {
    pub(super) fn new(
        schema: SchemaRef,
        batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
        cancel: Cancel,
    ) -> Self {
        Self { schema, batches, cancel }
    }

    /// The columns, as [`Described::columns`](super::Described) says.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What stops it.
    #[must_use]
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// The next rows; none at the end, or after an error.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.batches.recv().await
    }

    /// As [`Self::next`], for a thread that is none of an async runtime.
    pub fn next_blocking(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.batches.blocking_recv()
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_recv(context)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.cancel.stop(Stopped::Cancelled);
    }
}
