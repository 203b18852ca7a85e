//! Flights: what a command gives, told first and sent then.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{CancelStatus, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use futures::StreamExt;
use prost::Message;
use tokio::time::Instant;
use tonic::Status;

use super::answer::{FlightStream, answer, describe, work};
use super::caller::Caller;
use super::command::{command, command_of};
use super::messages::{Messages, told};
use super::metadata;
use super::plain::plain;
use super::running::Running;
use super::shared::Shared;
use super::status::{internal, invalid, no_substrait};
use super::work::{Ticketed, Work};

/// What a descriptor asks for.
enum Asked {
    /// A statement's rows, with these columns.
    Rows(Work, SchemaRef),
    /// What is known already.
    Known(RecordBatch),
}

async fn asked(
    shared: &Shared,
    caller: &Caller,
    descriptor: &FlightDescriptor,
) -> Result<Asked, Status> {
    let work = match command_of(descriptor)? {
        Command::CommandStatementQuery(query) => {
            work(shared, caller, &query.query, query.transaction_id).await?
        }
        Command::CommandPreparedStatementQuery(query) => {
            shared.prepared_work(caller, &query.prepared_statement_handle)?
        }
        Command::CommandStatementSubstraitPlan(_) => return Err(no_substrait()),
        other => return Ok(Asked::Known(metadata::rows(shared, caller, other).await?)),
    };
    let values = work.first_values()?;
    let types: Vec<_> = values.iter().map(|value| Some(value.data_type())).collect();
    let described = describe(shared, caller, &work, &types).await?;
    if described.parameters.len() != values.len() {
        let needed = described.parameters.len();
        return Err(invalid(format!(
            "the statement has {needed} parameters: prepare it, and bind their values"
        )));
    }
    Ok(Asked::Rows(work, plain(&described.columns)))
}

/// The columns of what a descriptor asks for.
pub(super) async fn schema(
    shared: &Shared,
    caller: &Caller,
    descriptor: &FlightDescriptor,
) -> Result<Bytes, Status> {
    let schema = match asked(shared, caller, descriptor).await? {
        Asked::Rows(_, schema) => schema,
        Asked::Known(rows) => rows.schema(),
    };
    encoded(&schema)
}

/// A schema as messages hold it.
pub(super) fn encoded(schema: &Schema) -> Result<Bytes, Status> {
    told(schema).map_err(|error| internal("encode columns", &error))
}

/// What there is to be had for a descriptor, with a ticket for it.
pub(super) async fn info(
    shared: &Shared,
    caller: &Caller,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let (schema, ticket) = match asked(shared, caller, &descriptor).await? {
        Asked::Rows(work, schema) => {
            let ticketed = Arc::new(Ticketed::new(work, Arc::clone(&schema)));
            let handle = shared.tickets.put(caller.name(), ticketed, Instant::now())?;
            let ticket = TicketStatementQuery { statement_handle: handle };
            (schema, Bytes::from(ticket.as_any().encode_to_vec()))
        }
        // The command says all.
        Asked::Known(rows) => (rows.schema(), descriptor.cmd.clone()),
    };
    let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket });
    let mut info =
        FlightInfo::new().with_endpoint(endpoint).with_descriptor(descriptor).with_ordered(true);
    info.schema = encoded(&schema)?;
    Ok(info)
}

/// What a ticket stands for.
pub(super) async fn get(
    shared: &Arc<Shared>,
    caller: Caller,
    ticket: &Ticket,
) -> Result<FlightStream, Status> {
    let running = Arc::new(Running::default());
    let (work, schema) = match command(&ticket.ticket)? {
        Command::TicketStatementQuery(query) => {
            let handle = &query.statement_handle;
            let ticketed = shared.tickets.get(caller.name(), handle, Instant::now())?;
            ticketed.answered_by(&running);
            (ticketed.work.clone(), Some(Arc::clone(&ticketed.schema)))
        }
        Command::CommandPreparedStatementQuery(query) => {
            (shared.prepared_work(&caller, &query.prepared_statement_handle)?, None)
        }
        Command::CommandStatementSubstraitPlan(_) => return Err(no_substrait()),
        other => return known(&metadata::rows(shared, &caller, other).await?),
    };
    answer(Arc::clone(shared), caller, work, schema, running).await
}

/// Rows that are there already, as messages.
fn known(rows: &RecordBatch) -> Result<FlightStream, Status> {
    let mut messages = Messages::new();
    let mut all = vec![Ok(messages.schema(&rows.schema()))];
    messages.take(rows.clone());
    while let Some(message) = messages.next().map_err(|error| internal("encode rows", &error))? {
        all.push(Ok(message));
    }
    Ok(futures::stream::iter(all).boxed())
}

/// Stops the statements of a flight; its tickets are good for nothing any more.
pub(super) fn cancel(
    shared: &Shared,
    caller: &Caller,
    info: &FlightInfo,
) -> Result<CancelStatus, Status> {
    let mut status = None;
    for ticket in info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()) {
        let stopped = match command(&ticket.ticket)? {
            Command::TicketStatementQuery(query) => {
                let handle = &query.statement_handle;
                shared.tickets.take(caller.name(), handle, Instant::now())?.stop()
            }
            _ => false,
        };
        if stopped {
            status = Some(CancelStatus::Cancelled);
        } else {
            status.get_or_insert(CancelStatus::NotCancellable);
        }
    }
    status.ok_or_else(|| invalid("the flight has no ticket"))
}
