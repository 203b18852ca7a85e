//! What a statement's work is asked again and again: whether it may go on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::RuntimeEnv;

use super::answer::Cancel;
use super::time::Time;
use crate::stopped::Stopped;

/// Held by every stream of a statement's plan and by its memory: while one of them lives, the
/// statement works.
#[derive(Debug)]
pub(super) struct Guard {
    cancel: Cancel,
    time: Time,
    working: Arc<AtomicUsize>,
}

/// The error with which work ends that must not go on. Who has begun the work knows why from
/// [`Cancel::why`].
#[derive(Debug, thiserror::Error)]
#[error("the statement was stopped")]
struct MustStop;

impl Guard {
    /// One more among `working`, which counts the guards that live.
    pub(super) fn new(cancel: Cancel, time: Time, working: &Arc<AtomicUsize>) -> Arc<Self> {
        working.fetch_add(1, Ordering::AcqRel);
        let working = Arc::clone(working);
        Arc::new(Self { cancel, time, working })
    }

    /// Whether the work may go on. Cheap enough for every batch.
    ///
    /// # Errors
    /// It was cancelled or its time is over.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.why().is_none() && self.time.is_over() {
            self.cancel.stop(Stopped::TimedOut);
        }
        match self.cancel.why() {
            None => Ok(()),
            Some(_) => Err(DataFusionError::External(Box::new(MustStop))),
        }
    }

    /// What operators run with: all as in `base`, but each reservation of memory asks first.
    pub(super) fn runtime(self: &Arc<Self>, base: &RuntimeEnv) -> Arc<RuntimeEnv> {
        let pool = GuardedPool { inner: Arc::clone(&base.memory_pool), guard: Arc::clone(self) };
        Arc::new(RuntimeEnv {
            memory_pool: Arc::new(pool),
            disk_manager: Arc::clone(&base.disk_manager),
            cache_manager: Arc::clone(&base.cache_manager),
            object_store_registry: Arc::clone(&base.object_store_registry),
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The memory of all statements, for one of them. Loops that take no batch from another operator,
/// such as merging what was sorted, ask it for memory at each step, and so end when they have to.
#[derive(Debug)]
struct GuardedPool {
    inner: Arc<dyn MemoryPool>,
    guard: Arc<Guard>,
}

impl fmt::Display for GuardedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl MemoryPool for GuardedPool {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.guard.check()?;
        self.inner.try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn guard(allowed: Option<Duration>) -> (Cancel, Arc<Guard>, Arc<AtomicUsize>) {
        let (cancel, working) = (Cancel::default(), Arc::default());
        let guard = Guard::new(cancel.clone(), Time::new(allowed, None), &working);
        (cancel, guard, working)
    }

    #[test]
    fn memory_is_refused_once_the_work_must_end_and_given_back() {
        let (cancel, guard, working) = guard(None);
        let base = RuntimeEnv::default();
        let runtime = guard.runtime(&base);
        let reservation = MemoryConsumer::new("test").register(&runtime.memory_pool);
        reservation.try_grow(100).unwrap();
        reservation.shrink(40);
        assert_eq!(base.memory_pool.reserved(), 60);
        cancel.stop(Stopped::Cancelled);
        assert!(reservation.try_grow(1).is_err());
        // What is held is given back all the same.
        drop((reservation, runtime));
        assert_eq!(base.memory_pool.reserved(), 0);
        assert_eq!(working.load(Ordering::Acquire), 1);
        drop(guard);
        assert_eq!(working.load(Ordering::Acquire), 0);
    }

    #[test]
    fn work_finds_out_itself_that_its_time_is_over() {
        let (cancel, guard, _working) = guard(Some(Duration::ZERO));
        assert!(guard.check().is_err());
        assert_eq!(cancel.why(), Some(Stopped::TimedOut));
    }
}
