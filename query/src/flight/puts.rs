//! DoPut: values of parameters. All else that it could bring is refused: nothing is written here.

use arrow_flight::sql::{Command, DoPutPreparedStatementResult};
use arrow_flight::{FlightData, PutResult};
use prost::Message;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::answer::refused;
use super::caller::Caller;
use super::command::command_of;
use super::parameters;
use super::shared::Shared;
use super::status::{invalid, no_substrait, read_only};
use crate::service::SqlState;

/// Does what a stream of messages asks for.
pub(super) async fn put(
    shared: &Shared,
    caller: &Caller,
    mut stream: Streaming<FlightData>,
) -> Result<PutResult, Status> {
    let mut first = stream.message().await?.ok_or_else(|| invalid("DoPut without a message"))?;
    let descriptor = first.flight_descriptor.take();
    let descriptor = descriptor.ok_or_else(|| invalid("DoPut without a command"))?;
    let handle = match command_of(&descriptor)? {
        Command::CommandPreparedStatementQuery(query) => query.prepared_statement_handle,
        Command::CommandStatementUpdate(update) => {
            let told = (SqlState::READ_ONLY, read_only());
            return Err(refused(shared, caller, &update.query, told).await);
        }
        other @ (Command::CommandPreparedStatementUpdate(_)
        | Command::CommandStatementIngest(_)) => {
            let told = (SqlState::READ_ONLY, read_only());
            return Err(refused(shared, caller, other.type_url(), told).await);
        }
        Command::CommandStatementSubstraitPlan(_) => return Err(no_substrait()),
        other => return Err(invalid(format!("DoPut does not take {}", other.type_url()))),
    };
    let prepared = shared.prepared.get(caller.name(), &handle, Instant::now())?;
    let messages = parameters::messages(first, &mut stream).await?;
    prepared.bind(parameters::rows(messages, &prepared.types).await?);
    let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
    Ok(PutResult { app_metadata: result.encode_to_vec().into() })
}
