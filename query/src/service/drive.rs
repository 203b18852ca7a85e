//! Takes a statement's rows from its plan and hands them to whoever asked.

use std::time::Instant;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::answer::Cancel;
use super::statements::Entry;
use super::stopped::Stopped;
use super::turns::Turn;
use crate::error::QueryError;

/// What one statement may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Until when.
    pub(super) deadline: Option<Instant>,
    /// How many rows.
    pub(super) rows_max: Option<u64>,
}

/// Does work until its end, its cancellation or its deadline.
pub(super) async fn until<T>(
    cancel: &Cancel,
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    let time = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = cancel.token().cancelled() => {
            Err(QueryError::Stopped(cancel.why().unwrap_or(Stopped::Cancelled)))
        }
        () = time => {
            cancel.stop(Stopped::TimedOut);
            Err(QueryError::Stopped(Stopped::TimedOut))
        }
        outcome = work => outcome,
    }
}

/// Runs a statement until its end, its cancellation, its time or its limit of rows. Batches wait
/// here until there is room for them.
pub(super) async fn drive(
    mut stream: SendableRecordBatchStream,
    rows: Sender<Result<RecordBatch, QueryError>>,
    cancel: Cancel,
    bounds: Bounds,
    mut entry: Entry,
    turn: Turn,
) {
    let mut given = 0_u64;
    let work = async {
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(QueryError::from)?;
            given += batch.num_rows() as u64;
            if let Some(rows_max) = bounds.rows_max.filter(|rows_max| given > *rows_max) {
                return Err(QueryError::TooManyRows { rows_max });
            }
            entry.gave(&batch);
            if batch.num_rows() > 0 && rows.send(Ok(batch)).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let outcome = until(&cancel, bounds.deadline, work).await;
    let outcome = match entry.end(&outcome).await {
        Ok(()) => outcome,
        Err(unrecorded) => outcome.and(Err(unrecorded)),
    };
    // The work of the plan's own tasks ends before another statement takes the turn.
    drop(stream);
    drop(turn);
    if let Err(error) = outcome {
        // Nobody listens any more if the answer was dropped.
        let _dropped = rows.send(Err(error)).await;
    }
}
