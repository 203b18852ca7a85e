//! What a client asks of the database itself: names, columns, keys, types, abilities. A ticket for
//! it is the command again, and its columns are those of its rows.

mod abilities;
mod keys;
mod names;
mod types;

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::Command;
use tonic::Status;

use super::caller::Caller;
use super::shared::Shared;
use super::status::{internal, invalid, status};
use crate::catalog::shown::ShownCatalog;

/// The rows of a command.
pub(super) async fn rows(
    shared: &Shared,
    caller: &Caller,
    command: Command,
) -> Result<RecordBatch, Status> {
    let rows = match command {
        Command::CommandGetCatalogs(command) => names::catalogs(command),
        Command::CommandGetDbSchemas(command) => {
            names::schemas(command, &shown(shared, caller).await?)
        }
        Command::CommandGetTables(command) => names::tables(command, &shown(shared, caller).await?),
        Command::CommandGetTableTypes(command) => names::table_types(command),
        Command::CommandGetPrimaryKeys(command) => {
            keys::primary(&command, &shown(shared, caller).await?).map_err(FlightError::Arrow)
        }
        // There are no foreign keys.
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(keys::foreign()),
        Command::CommandGetSqlInfo(command) => abilities::rows(command),
        Command::CommandGetXdbcTypeInfo(command) => types::rows(command),
        other => return Err(invalid(format!("{} can't be asked for here", other.type_url()))),
    };
    rows.map_err(|error| match error {
        // A pattern that is none.
        FlightError::Arrow(error) => invalid(error.to_string()),
        error => internal("make an answer", &error),
    })
}

async fn shown(shared: &Shared, caller: &Caller) -> Result<ShownCatalog, Status> {
    let lease = shared.lease(caller, None)?;
    let shown = {
        let session = lease.held.session(caller).await;
        session.shown().await
    };
    shared.give(lease);
    shown.map_err(|error| status(&error))
}
