//! Why a value can't be had, with PostgreSQL's code of it.

use datafusion::common::DataFusionError;

/// A value that is of no use to its type or operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ValueError {
    /// The SQLSTATE.
    pub(crate) state: &'static str,
    /// What PostgreSQL says.
    pub(crate) message: String,
}

impl ValueError {
    /// An error of DataFusion that carries the code to the client.
    pub(crate) fn of(state: &'static str, message: impl Into<String>) -> DataFusionError {
        DataFusionError::External(Box::new(Self { state, message: message.into() }))
    }

    /// A number beyond its type.
    pub(crate) fn out_of_range(what: &str) -> DataFusionError {
        Self::of("22003", format!("{what} out of range"))
    }

    pub(crate) fn division_by_zero() -> DataFusionError {
        Self::of("22012", "division by zero")
    }
}
