//! A connection as its requests know it: a stranger at first, then one that has a place.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::strangers::{Stranger, Strangers};

/// A connection. It ends with its last clone, which its socket has.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Inner>);

/// A connection that may have ended.
#[derive(Debug)]
pub(super) struct MaybeEnded(Weak<Inner>);

#[derive(Debug)]
struct Inner {
    standing: Mutex<Standing>,
    closed: CancellationToken,
}

#[derive(Debug)]
enum Standing {
    /// No request has shown who it is.
    Stranger { _entry: Stranger },
    /// One of the connections that there may be.
    Known { _place: OwnedSemaphorePermit },
}

impl Connection {
    pub(super) fn new(strangers: &Arc<Strangers>) -> Self {
        let closed = CancellationToken::new();
        let standing = Mutex::new(Standing::Stranger { _entry: strangers.enter(&closed) });
        Self(Arc::new(Inner { standing, closed }))
    }

    /// What says that it has to end, or has ended.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.0.closed
    }

    /// A request has shown who it is, so that the connection gets a place; whether there was one.
    pub(super) fn admit(&self, places: &Arc<Semaphore>) -> bool {
        let mut standing = self.0.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match *standing {
            Standing::Known { .. } => true,
            Standing::Stranger { .. } => match Arc::clone(places).try_acquire_owned() {
                Ok(place) => {
                    *standing = Standing::Known { _place: place };
                    true
                }
                Err(_none_left) => false,
            },
        }
    }

    /// The same, without keeping it.
    pub(super) fn maybe_ended(&self) -> MaybeEnded {
        MaybeEnded(Arc::downgrade(&self.0))
    }
}

impl MaybeEnded {
    /// Ends it if nobody knows yet whose it is.
    pub(super) fn end_stranger(&self) {
        let Some(inner) = self.0.upgrade() else { return };
        let standing = inner.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*standing, Standing::Stranger { .. }) {
            inner.closed.cancel();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_given_back() {
        let (strangers, places) = (Arc::default(), Arc::new(Semaphore::new(1)));
        let [first, second] = [(), ()].map(|()| Connection::new(&strangers));
        assert!(first.admit(&places) && first.clone().admit(&places));
        assert!(!second.admit(&places), "there is one place");
        first.maybe_ended().end_stranger();
        second.maybe_ended().end_stranger();
        assert!(!first.closed().is_cancelled() && second.closed().is_cancelled());
        let (ended, closed) = (first.maybe_ended(), first.closed().clone());
        drop(first);
        assert!(closed.is_cancelled());
        ended.end_stranger();
        assert_eq!(places.available_permits(), 1);
    }
}
