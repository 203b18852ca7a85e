//! Why a pipeline can't be started.

use std::path::PathBuf;

use crate::config::Problem;

/// Why a pipeline can't be started.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The configuration does not fit its input, models or tables.
    #[error("the configuration has problems")]
    Config(Vec<Problem>),
    /// The source can't be read.
    #[error(transparent)]
    Source(#[from] riskstream_engine::contract::SourceError),
    /// A table can't be opened.
    #[error(transparent)]
    Sink(#[from] riskstream_engine::contract::SinkError),
    /// A step can't be made.
    #[error(transparent)]
    Operator(#[from] riskstream_engine::contract::OperatorError),
    /// The data folder can't be read.
    #[error(transparent)]
    Store(#[from] riskstream_engine::store::StoreError),
    /// The names of a store can't be read.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// A table can't be described.
    #[error(transparent)]
    Table(#[from] riskstream_sinks::SinkError),
}

impl From<Problem> for PlanError {
    fn from(problem: Problem) -> Self {
        Self::Config(vec![problem])
    }
}

/// A store's names can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read {}: {reason}", path.display())]
pub struct NamesError {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}
