//! From where statements have their rows and names: the data folder, the program, the rules.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use super::statements::Statements;
use crate::catalog::shown::ShownCatalog;
use crate::catalog::system::System;
use crate::error::QueryError;
use crate::live::{Eyes, Live, Pinned};
use crate::stopped::Stopped;

/// What statements read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) live: Arc<Live>,
    pub(super) system: System,
    /// Those that run, and the last that ran.
    pub(super) statements: Arc<Statements>,
    /// What every statement's planning begins with.
    pub(super) state: SessionState,
    pub(super) handle: Handle,
}

impl Source {
    /// The moment of the tables with these names, or of all, as far as they are seen.
    pub(super) async fn pin(
        &self,
        names: Option<Vec<String>>,
        eyes: Eyes,
    ) -> Result<Arc<Pinned>, QueryError> {
        // Where nothing has changed these are a few looks at the disk, sooner than another thread
        // would begin with them.
        self.live.pin(names.as_deref(), &eyes).await.map(Arc::new)
    }

    /// What a user may know of the tables.
    pub(super) async fn shown(&self, eyes: Eyes) -> Result<ShownCatalog, QueryError> {
        let live = Arc::clone(&self.live);
        let system = self.system.shown(&eyes.user, eyes.rules.as_deref());
        let mut shown = self.on_disk(async move { live.shown(&eyes).await }).await?;
        shown.schemas.push(system);
        Ok(shown)
    }

    /// Does work that waits for the disk, on a thread where nobody waits for it.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let handle = self.handle.clone();
        let done = self.handle.spawn_blocking(move || handle.block_on(work)).await;
        done.unwrap_or_else(|error| Err(unfinished(error)))
    }
}

/// Work on the service's threads that has not come to its end.
pub(super) fn unfinished(error: JoinError) -> QueryError {
    if error.is_cancelled() {
        return QueryError::Stopped(Stopped::ShuttingDown);
    }
    QueryError::Sql(DataFusionError::Internal(error.to_string()))
}
