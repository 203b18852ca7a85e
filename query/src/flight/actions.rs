//! DoAction: prepared statements, transactions, and the end of statements.

use std::sync::Arc;

use arrow_flight::sql::{
    ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionEndTransactionRequest, EndTransaction,
    ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, FlightInfo,
};
use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::answer::{describe, work};
use super::caller::Caller;
use super::command::message;
use super::flights::{cancel, encoded};
use super::plain::plain;
use super::prepared::Prepared;
use super::sessions::Held;
use super::shared::Shared;
use super::status::{invalid, no_substrait, with_state};
use super::work::Work;
use crate::service::SqlState;

const CREATE_PREPARED: &str = "CreatePreparedStatement";
const CLOSE_PREPARED: &str = "ClosePreparedStatement";
const BEGIN: &str = "BeginTransaction";
const END: &str = "EndTransaction";
const CANCEL_QUERY: &str = "CancelQuery";
const CANCEL_FLIGHT: &str = "CancelFlightInfo";

/// The actions that there are.
pub(super) fn list() -> Vec<ActionType> {
    let all = [
        (CREATE_PREPARED, "prepares a statement: ActionCreatePreparedStatementRequest"),
        (CLOSE_PREPARED, "forgets a prepared statement: ActionClosePreparedStatementRequest"),
        (BEGIN, "begins a transaction, whose statements see one moment"),
        (END, "ends a transaction: ActionEndTransactionRequest"),
        (CANCEL_QUERY, "stops a statement: ActionCancelQueryRequest"),
        (CANCEL_FLIGHT, "stops a statement: CancelFlightInfoRequest"),
    ];
    let shown = |(kind, description): (&str, &str)| ActionType {
        r#type: kind.to_owned(),
        description: description.to_owned(),
    };
    all.map(shown).to_vec()
}

/// Does an action; what it answers, if it answers anything.
pub(super) async fn act(
    shared: &Shared,
    caller: &Caller,
    action: &Action,
) -> Result<Option<Bytes>, Status> {
    let body = &action.body;
    match action.r#type.as_str() {
        CREATE_PREPARED => Ok(Some(prepare(shared, caller, message(body)?).await?)),
        CLOSE_PREPARED => {
            let close: ActionClosePreparedStatementRequest = message(body)?;
            let handle = &close.prepared_statement_handle;
            // Closing twice is no fault.
            let _closed = shared.prepared.take(caller.name(), handle, Instant::now());
            Ok(None)
        }
        BEGIN => {
            let held = Arc::new(Held::transaction(&shared.service, &caller.user));
            let transaction_id = shared.transactions.put(caller.name(), held, Instant::now())?;
            Ok(Some(packed(&ActionBeginTransactionResult { transaction_id })))
        }
        END => {
            end(shared, caller, &message(body)?)?;
            Ok(None)
        }
        CANCEL_QUERY => {
            let query: ActionCancelQueryRequest = message(body)?;
            let info = FlightInfo::decode(query.info).map_err(|error| unreadable(&error))?;
            // Both kinds of results have the same numbers.
            let result = cancel(shared, caller, &info)? as i32;
            Ok(Some(packed(&ActionCancelQueryResult { result })))
        }
        CANCEL_FLIGHT => {
            let request = CancelFlightInfoRequest::decode(body.clone());
            let info = request.map_err(|error| unreadable(&error))?.info;
            let info = info.ok_or_else(|| invalid("the request names no flight"))?;
            let result = CancelFlightInfoResult::new(cancel(shared, caller, &info)?);
            Ok(Some(result.encode_to_vec().into()))
        }
        "CreatePreparedSubstraitPlan" => Err(no_substrait()),
        "BeginSavepoint" | "EndSavepoint" => {
            let text = "there are no savepoints: nothing is written that could be taken back";
            Err(with_state(Code::Unimplemented, SqlState::UNSUPPORTED, text))
        }
        other => Err(Status::unimplemented(format!("there is no action {other:?}"))),
    }
}

fn packed<M: ProstMessageExt>(message: &M) -> Bytes {
    message.as_any().encode_to_vec().into()
}

fn unreadable(error: &prost::DecodeError) -> Status {
    invalid(format!("the action can't be read: {error}"))
}

async fn prepare(
    shared: &Shared,
    caller: &Caller,
    request: ActionCreatePreparedStatementRequest,
) -> Result<Bytes, Status> {
    let work = work(shared, caller, &request.query, request.transaction_id).await?;
    let described = describe(shared, caller, &work, &[]).await?;
    let Work { statement, transaction, .. } = work;
    let prepared = Prepared::new(statement, described.parameters, transaction);
    let dataset_schema = encoded(&plain(&described.columns))?;
    let parameter_schema = encoded(&prepared.parameters())?;
    let prepared = Arc::new(prepared);
    Ok(packed(&ActionCreatePreparedStatementResult {
        prepared_statement_handle: shared.prepared.put(caller.name(), prepared, Instant::now())?,
        dataset_schema,
        parameter_schema,
    }))
}

/// Ends a transaction. As nothing is written, both ways to end it are the same, and one that is not
/// there any more has ended.
fn end(
    shared: &Shared,
    caller: &Caller,
    request: &ActionEndTransactionRequest,
) -> Result<(), Status> {
    match request.action() {
        EndTransaction::Commit | EndTransaction::Rollback => {
            let handle = &request.transaction_id;
            let _ended = shared.transactions.take(caller.name(), handle, Instant::now());
            Ok(())
        }
        EndTransaction::Unspecified => Err(invalid("a transaction ends by commit or rollback")),
    }
}
