//! Which statements run, and which wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::QueryError;
use crate::stopped::Stopped;

/// Turns to run, a bounded number at a time.
#[derive(Debug)]
pub(super) struct Turns {
    running_max: usize,
    running: Arc<Semaphore>,
    open: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// How many turns there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnLimits {
    /// Statements that work at a time.
    pub(super) running_max: usize,
    /// Statements that may wait for their first turn.
    pub(super) waiting_max: usize,
    /// Statements that have begun and not ended: those that work, and those whose client has not
    /// taken its rows. They hold memory.
    pub(super) open_max: usize,
}

/// A statement's right to run, or to go on after it was paused.
#[derive(Debug)]
pub(super) struct Turn {
    running: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    _open: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(limits: TurnLimits) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(MANY)));
        Self {
            running_max: limits.running_max.min(MANY),
            running: semaphore(limits.running_max),
            open: semaphore(limits.open_max.max(limits.running_max)),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.waiting_max,
        }
    }

    /// A turn, waiting for it if need be.
    pub(super) async fn take(&self) -> Result<Turn, QueryError> {
        let open = Arc::clone(&self.open)
            .try_acquire_owned()
            .map_err(|_none_left| QueryError::Busy { waiting: self.waiting() })?;
        let running = Arc::clone(&self.running);
        if let Ok(permit) = Arc::clone(&running).try_acquire_owned() {
            return Ok(Turn { running, permit: Some(permit), _open: open });
        }
        let waiting = Waiting::one_more(&self.waiting);
        if waiting.count > self.waiting_max {
            return Err(QueryError::Busy { waiting: waiting.count - 1 });
        }
        let mut turn = Turn { running, permit: None, _open: open };
        turn.resume().await?;
        Ok(turn)
    }

    /// How many statements wait for their first turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// How many statements have a turn.
    pub(super) fn running(&self) -> usize {
        self.running_max - self.running.available_permits().min(self.running_max)
    }
}

/// More permits than a semaphore may have there can't be.
const MANY: usize = Semaphore::MAX_PERMITS;

impl Turn {
    /// Lets others run.
    pub(super) fn pause(&mut self) {
        self.permit = None;
    }

    /// Goes on, once others give a turn back. It is not refused: it has begun already.
    pub(super) async fn resume(&mut self) -> Result<(), QueryError> {
        if self.permit.is_none() {
            let permit = Arc::clone(&self.running).acquire_owned().await;
            let ended = |_closed| QueryError::Stopped(Stopped::ShuttingDown);
            self.permit = Some(permit.map_err(ended)?);
        }
        Ok(())
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

    fn turns(running_max: usize, waiting_max: usize, open_max: usize) -> Arc<Turns> {
        Arc::new(Turns::new(TurnLimits { running_max, waiting_max, open_max }))
    }

    async fn waits_for_one(turns: &Arc<Turns>) -> tokio::task::JoinHandle<bool> {
        let other = Arc::clone(turns);
        let waits = tokio::spawn(async move { other.take().await.is_ok() });
        while turns.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        waits
    }

    #[tokio::test]
    async fn some_run_some_wait_and_one_more_is_refused() {
        let turns = turns(1, 1, 10);
        let first = turns.take().await.expect("there is a turn");
        assert_eq!(turns.running(), 1);
        let waits = waits_for_one(&turns).await;
        assert!(matches!(turns.take().await, Err(QueryError::Busy { waiting: 1 })));
        drop(first);
        assert!(waits.await.expect("it ran"));
        assert!(turns.take().await.is_ok(), "all turns are given back");
        assert_eq!((turns.running(), turns.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn a_paused_turn_is_for_others_and_comes_back() {
        let turns = turns(1, 1, 10);
        let mut first = turns.take().await.expect("there is a turn");
        let waits = waits_for_one(&turns).await;
        first.pause();
        assert!(waits.await.expect("it ran"));
        first.resume().await.expect("it goes on");
        assert_eq!(turns.running(), 1);
        first.resume().await.expect("it has its turn");
    }

    #[tokio::test]
    async fn those_that_have_begun_are_bounded_too() {
        let turns = turns(1, 1, 3);
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut turn = turns.take().await.expect("there is a turn");
            turn.pause();
            open.push(turn);
        }
        assert!(matches!(turns.take().await, Err(QueryError::Busy { waiting: 0 })));
        open.pop();
        assert!(turns.take().await.is_ok());
    }
}
