//! The rows of a statement, as they come.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::time::Time;
use crate::error::QueryError;
use crate::stopped::Stopped;

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
        self.why.get().copied()
    }

    /// Waits until it is stopped.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }
}

/// The rows of a statement. They come no faster than they are taken. Dropping it ends the work.
#[derive(Debug)]
pub struct Answer {
    schema: SchemaRef,
    from: From,
    cancel: Cancel,
    time: Time,
}

/// From where rows come.
#[derive(Debug)]
enum From {
    /// Work that goes on.
    Work(mpsc::Receiver<Result<RecordBatch, QueryError>>),
    /// They are all there.
    Ready(Option<RecordBatch>),
}

impl Answer {
    pub(super) fn new(
        schema: SchemaRef,
        batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
        cancel: Cancel,
        time: Time,
    ) -> Self {
        Self { schema, from: From::Work(batches), cancel, time }
    }

    /// Rows that are there already.
    pub(super) fn ready(rows: RecordBatch, cancel: Cancel, time: Time) -> Self {
        Self { schema: rows.schema(), from: From::Ready(Some(rows)), cancel, time }
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
        match &mut self.from {
            From::Work(batches) => batches.recv().await,
            From::Ready(rows) => rows.take().map(Ok),
        }
    }

    /// As [`Self::next`], for a thread that is none of an async runtime.
    pub fn next_blocking(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        match &mut self.from {
            From::Work(batches) => batches.blocking_recv(),
            From::Ready(rows) => rows.take().map(Ok),
        }
    }

    /// Its client does not ask for more rows now: the time that it may take stands still.
    pub(crate) fn pause(&self) {
        self.time.pause();
    }

    /// Its client asks again: the time that it may take begins anew.
    pub(crate) fn resume(&self) {
        self.time.restart();
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.from {
            From::Work(batches) => batches.poll_recv(context),
            From::Ready(rows) => Poll::Ready(rows.take().map(Ok)),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.cancel.stop(Stopped::Cancelled);
    }
}
