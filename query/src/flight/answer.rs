//! A statement's rows as a stream of messages.
//!
//! Nothing is done ahead of the client: the next message is made when the last one has gone into
//! the connection.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow_flight::FlightData;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, try_unfold};
use tonic::Status;

use super::caller::Caller;
use super::messages::Messages;
use super::plain::{fit, plain};
use super::running::Running;
use super::shared::{Lease, Shared};
use super::status::{ending, internal, status};
use super::work::Work;
use crate::service::{Answer, Described, SqlState, Stopped};

/// Messages for a client.
pub(super) type FlightStream = BoxStream<'static, Result<FlightData, Status>>;

/// The statement of a text, to be run. One that can't be is recorded as all others are.
pub(super) async fn work(
    shared: &Shared,
    caller: &Caller,
    text: &str,
    transaction: Option<Bytes>,
) -> Result<Work, Status> {
    match Work::new(text, transaction) {
        Ok(work) => Ok(work),
        Err(status) => Err(refused(shared, caller, text, (SqlState::SYNTAX, status)).await),
    }
}

/// Records a statement that does not come to the core, and gives what its client is told.
pub(super) async fn refused(
    shared: &Shared,
    caller: &Caller,
    text: &str,
    (state, told): (SqlState, Status),
) -> Status {
    let lease = match shared.lease(caller, None) {
        Ok(lease) => lease,
        Err(status) => return status,
    };
    let recorded = lease.held.session(caller).await.ended(text, state).await;
    shared.give(lease);
    recorded.map_or_else(|error| status(&error), |()| told)
}

/// The columns and parameters of a statement, for a caller.
pub(super) async fn describe(
    shared: &Shared,
    caller: &Caller,
    work: &Work,
    types: &[Option<DataType>],
) -> Result<Described, Status> {
    let lease = shared.lease(caller, work.transaction.as_deref())?;
    let described = {
        let mut session = lease.held.session(caller).await;
        session.describe(&work.statement, types).await
    };
    shared.give(lease);
    described.map_err(|error| status(&error))
}

/// The rows of a statement. An error before the first row is one of the call.
pub(super) async fn answer(
    shared: Arc<Shared>,
    caller: Caller,
    work: Work,
    told: Option<SchemaRef>,
    running: Arc<Running>,
) -> Result<FlightStream, Status> {
    let transaction = work.transaction.as_deref();
    let lease = match work.values.len() {
        0 | 1 => shared.lease(&caller, transaction)?,
        _ => shared.lease_for_runs(&caller, transaction)?,
    };
    work.first_values()?;
    let rows = begin(&shared, &caller, &lease, &work, 0, &running).await?;
    let schema = plain(rows.schema());
    let schema = match told {
        Some(told) => still(&told, &schema)?,
        None => schema,
    };
    let messages = Messages::new();
    let first = messages.schema(&schema);
    let answering = Answering {
        shared,
        caller,
        lease: Some(lease),
        work,
        run: 0,
        running,
        rows,
        schema,
        messages,
    };
    let rest = try_unfold(answering, |mut answering| async move {
        let message = answering.next().await?;
        Ok::<_, Status>(message.map(|message| (message, answering)))
    });
    Ok(futures::stream::iter([Ok(first)]).chain(rest).boxed())
}

/// The columns that a client was told, if they are those that there are now.
fn still(told: &SchemaRef, now: &SchemaRef) -> Result<SchemaRef, Status> {
    let columns = |schema: &SchemaRef| {
        let fields = schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>()
    };
    if columns(told) == columns(now) {
        return Ok(Arc::clone(told));
    }
    Err(Status::failed_precondition(
        "the columns are not those any more that were told: ask for the statement's flight again",
    ))
}

/// Begins a run of a statement, unless the port ends.
async fn begin(
    shared: &Shared,
    caller: &Caller,
    lease: &Lease,
    work: &Work,
    run: usize,
    running: &Running,
) -> Result<Answer, Status> {
    let cancel = running.next()?;
    let values = work.values.get(run).map(Vec::as_slice).unwrap_or_default();
    let begun = async {
        let mut session = lease.held.session(caller).await;
        session.run(&work.statement, values, &cancel).await.map_err(|error| status(&error))
    };
    tokio::select! {
        biased;
        () = shared.ended.cancelled() => Err(ending()),
        begun = begun => begun,
    }
}

/// A statement that is being answered. Dropping it stops the statement.
struct Answering {
    shared: Arc<Shared>,
    caller: Caller,
    lease: Option<Lease>,
    work: Work,
    /// Which row of values it runs with.
    run: usize,
    running: Arc<Running>,
    rows: Answer,
    schema: SchemaRef,
    messages: Messages,
}

impl Answering {
    /// The next message; none at the end.
    async fn next(&mut self) -> Result<Option<FlightData>, Status> {
        loop {
            let message = self.messages.next();
            if let Some(message) = message.map_err(|error| internal("encode rows", &error))? {
                return Ok(Some(message));
            }
            let Some(batch) = self.batch().await? else {
                self.running.end();
                if let Some(lease) = self.lease.take() {
                    self.shared.give(lease);
                }
                return Ok(None);
            };
            let batch = fit(&batch, &self.schema);
            self.messages
                .take(batch.map_err(|error| internal("fit rows to their columns", &error))?);
        }
    }

    /// The next rows, of this run or the next ones.
    async fn batch(&mut self) -> Result<Option<RecordBatch>, Status> {
        loop {
            let next = tokio::select! {
                biased;
                () = self.shared.ended.cancelled() => {
                    self.running.stop(Stopped::ShuttingDown);
                    return Err(ending());
                }
                next = self.rows.next() => next,
            };
            match next {
                Some(Ok(batch)) => return Ok(Some(batch)),
                Some(Err(error)) => return Err(status(&error)),
                None if self.run + 1 >= self.work.values.len() => return Ok(None),
                None => self.run += 1,
            }
            let Some(lease) = &self.lease else { return Ok(None) };
            let Self { shared, caller, work, run, running, .. } = &*self;
            self.rows = begin(shared, caller, lease, work, *run, running).await?;
        }
    }
}
