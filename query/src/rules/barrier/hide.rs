//! Errors of a table's own, as its users are told them.

use datafusion::common::DataFusionError;

/// An error of the table's own, which may name files and values, as the user is told it. What it
/// was stands in our log.
pub(super) fn hide(error: DataFusionError) -> DataFusionError {
    tracing::error!("a table with rules can't be read: {error}");
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            DataFusionError::ResourcesExhausted("not enough memory to read the table".to_owned())
        }
        _ => DataFusionError::Execution("the table can't be read".to_owned()),
    }
}
