//! Which statements run, and which wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::stopped::Stopped;
use crate::error::QueryError;

/// Turns to run, a bounded number at a time.
#[derive(Debug)]
pub(super) struct Turns {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A statement's right to run.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    /// For so many statements at a time; so many more may wait.
    pub(super) fn new(running_max: usize, waiting_max: usize) -> Self {
        let running = Arc::new(Semaphore::new(running_max.min(Semaphore::MAX_PERMITS)));
        Self { running, waiting: AtomicUsize::new(0), waiting_max }
    }

    /// A turn, waiting for it if need be.
    pub(super) async fn take(&self) -> Result<Turn, QueryError> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(Turn { _permit: permit });
        }
        let waiting = Waiting::one_more(&self.waiting);
        if waiting.count > self.waiting_max {
            return Err(QueryError::Busy { waiting: waiting.count - 1 });
        }
        let permit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_closed| QueryError::Stopped(Stopped::ShuttingDown))?;
        Ok(Turn { _permit: permit })
    }
}

/// One that waits, counted for as long as this lives.
struct Waiting<'a> {
    all: &'a AtomicUsize,
    count: usize,
}

impl<'a> Waiting<'a> {
    fn one_more(all: &'a AtomicUsize) -> Self {
        Self { all, count: all.fetch_add(1, Ordering::AcqRel) + 1 }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn some_run_some_wait_and_one_more_is_refused() {
        let turns = Arc::new(Turns::new(1, 1));
        let first = turns.take().await.expect("there is a turn");
        let other = Arc::clone(&turns);
        let waits = tokio::spawn(async move { other.take().await.map(drop) });
        while turns.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(turns.take().await, Err(QueryError::Busy { waiting: 1 })));
        drop(first);
        assert!(waits.await.expect("it ran").is_ok());
        assert!(turns.take().await.is_ok(), "all turns are given back");
    }
}
