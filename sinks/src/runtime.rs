//! The small tokio runtime on which deltalake reads logs, shared by all tables of a program.

use std::sync::Arc;

use tokio::runtime::Builder;

use crate::error::SinkError;

/// A shared tokio runtime for blocking callers. Cloning is cheap; its threads end with the last
/// clone.
#[derive(Debug, Clone)]
pub struct DeltaRuntime {
    runtime: Arc<tokio::runtime::Runtime>,
}

impl DeltaRuntime {
    /// Starts the runtime's threads.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new() -> Result<Self, SinkError> {
        Self::start(Builder::new_multi_thread().worker_threads(2).thread_name("riskstream-delta"))
    }

    /// Starts a runtime whose work nobody waits for: one thread, of low priority.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn background() -> Result<Self, SinkError> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("riskstream-maintain");
        Self::start(builder.on_thread_start(riskstream_engine::lower_priority))
    }

    fn start(builder: &mut Builder) -> Result<Self, SinkError> {
        let runtime = builder
            .enable_all()
            .build()
            .map_err(SinkError::io("start the Delta runtime for", "."))?;
        Ok(Self { runtime: Arc::new(runtime) })
    }

    /// Runs a future to its end. Must not be called from within an async task.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}
