//! Takes a statement's rows from its plan and hands them to whoever asked.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc::Sender;

use super::answer::Cancel;
use super::entry::Entry;
use super::running::Doing;
use super::time::Time;
use super::turns::Turn;
use crate::error::QueryError;
use crate::stopped::Stopped;

/// How long a client may take for a batch before others have the statement's turn.
const PATIENCE: Duration = Duration::from_millis(100);

/// A statement whose plan has begun.
pub(super) struct Begun {
    pub(super) stream: SendableRecordBatchStream,
    /// What the stream is of.
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) rows: Sender<Result<RecordBatch, QueryError>>,
    pub(super) cancel: Cancel,
    pub(super) time: Time,
    /// Rows that it may give; none: all.
    pub(super) rows_max: Option<u64>,
    pub(super) entry: Entry,
    pub(super) turn: Turn,
}

/// Does work until its end, its cancellation or the end of its time.
pub(super) async fn until<T>(
    cancel: &Cancel,
    time: &Time,
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    let outcome = tokio::select! {
        biased;
        () = cancel.stopped() => Err(QueryError::Stopped(Stopped::Cancelled)),
        () = time.over() => {
            cancel.stop(Stopped::TimedOut);
            Err(QueryError::Stopped(Stopped::TimedOut))
        }
        outcome = work => outcome,
    };
    // Work that was stopped from within says something else.
    outcome.map_err(|error| cancel.why().map_or(error, QueryError::Stopped))
}

/// Runs a statement until its end, its cancellation, its time or its limit of rows. Batches wait
/// here until there is room for them.
pub(super) async fn drive(begun: Begun) {
    let Begun { mut stream, plan, rows, cancel, time, rows_max, mut entry, mut turn } = begun;
    let work = give(&mut stream, &rows, rows_max, &mut entry, &mut turn);
    let work = AssertUnwindSafe(until(&cancel, &time, work)).catch_unwind();
    let outcome = work.await.unwrap_or_else(|_panic| {
        // The thread has told where. Without an error the client would take this for the end.
        let said = "a statement's plan has panicked".to_owned();
        Err(QueryError::Sql(DataFusionError::Internal(said)))
    });
    // The work of the plan's own tasks ends before another statement takes the turn.
    drop(stream);
    drop(turn);
    entry.spilled(spilled_bytes(plan.as_ref()));
    drop(plan);
    let error = match outcome {
        Ok(()) => entry.done().await.err(),
        Err(error) => Some(entry.fail(error).await),
    };
    if let Some(error) = error {
        // Nobody listens any more if the answer was dropped.
        let _dropped = rows.send(Err(error)).await;
    }
}

/// Gives the rows of a stream as they are taken.
async fn give(
    stream: &mut SendableRecordBatchStream,
    rows: &Sender<Result<RecordBatch, QueryError>>,
    rows_max: Option<u64>,
    entry: &mut Entry,
    turn: &mut Turn,
) -> Result<(), QueryError> {
    let mut given = 0_u64;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        given += batch.num_rows() as u64;
        if let Some(rows_max) = rows_max.filter(|rows_max| given > *rows_max) {
            return Err(QueryError::TooManyRows { rows_max });
        }
        if batch.num_rows() == 0 {
            continue;
        }
        entry.gave(&batch);
        let place = match tokio::time::timeout(PATIENCE, rows.reserve()).await {
            Ok(place) => place,
            Err(_elapsed) => {
                // A cursor that nobody reads keeps nobody from running.
                turn.pause();
                entry.does(Doing::Idle);
                rows.reserve().await
            }
        };
        // Without a place nobody takes them any more.
        let Ok(place) = place else { return Ok(()) };
        place.send(Ok(batch));
        turn.resume().await?;
        entry.does(Doing::Working);
    }
    Ok(())
}

/// Bytes that the operators of a plan have written to the disk for want of memory.
fn spilled_bytes(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or_default();
    plan.children().into_iter().map(|child| spilled_bytes(child.as_ref())).sum::<u64>() + own as u64
}
