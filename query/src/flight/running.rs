//! Statements that are being answered, as those see them who stop them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::status::status;
use crate::error::QueryError;
use crate::service::{Cancel, Stopped};

/// One answer: the statement that it runs now. With several rows of parameters it runs one after
/// the other.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<Now>);

#[derive(Debug, Default)]
struct Now {
    stopped: Option<Stopped>,
    ended: bool,
    cancel: Cancel,
}

impl Running {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stops the statement that runs from now on.
    pub(super) fn next(&self) -> Result<Cancel, Status> {
        let mut now = self.now();
        match now.stopped {
            Some(why) => Err(status(&QueryError::Stopped(why))),
            None => {
                now.cancel = Cancel::default();
                Ok(now.cancel.clone())
            }
        }
    }

    /// Stops it, and those that would follow.
    pub(super) fn stop(&self, why: Stopped) {
        let mut now = self.now();
        now.stopped.get_or_insert(why);
        now.cancel.stop(why);
    }

    /// All rows were given.
    pub(super) fn end(&self) {
        self.now().ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.now().ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stopped_does_not_go_on() {
        let running = Running::default();
        let first = running.next().unwrap();
        let second = running.next().unwrap();
        running.stop(Stopped::Cancelled);
        running.stop(Stopped::ShuttingDown);
        assert_eq!((first.why(), second.why()), (None, Some(Stopped::Cancelled)));
        assert_eq!(running.next().unwrap_err().code(), tonic::Code::Cancelled);
    }
}
