//! Connections that have not shown who they are: few, and none for long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Strangers at the same time; one more ends the oldest.
const STRANGERS_MAX: usize = 256;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    closed: BTreeMap<u64, CancellationToken>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Stranger {
    all: Arc<Strangers>,
    number: u64,
}

impl Strangers {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, which `closed` ends when it has to make room.
    pub(super) fn enter(self: &Arc<Self>, closed: &CancellationToken) -> Stranger {
        let mut open = self.open();
        while open.closed.len() >= STRANGERS_MAX {
            let Some((_, oldest)) = open.closed.pop_first() else { break };
            oldest.cancel();
        }
        let number = open.next;
        open.next += 1;
        open.closed.insert(number, closed.clone());
        Stranger { all: Arc::clone(self), number }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.all.open().closed.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let all = Arc::new(Strangers::default());
        let tokens: Vec<_> = (0..=STRANGERS_MAX).map(|_| CancellationToken::new()).collect();
        let mut inside: Vec<_> =
            tokens[..STRANGERS_MAX].iter().map(|token| all.enter(token)).collect();
        assert!(tokens.iter().all(|token| !token.is_cancelled()));
        inside.push(all.enter(&tokens[STRANGERS_MAX]));
        let ended: Vec<_> = tokens.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(ended.iter().filter(|is_ended| **is_ended).count(), 1);
        assert!(ended[0]);
        drop(inside);
        assert!(all.open().closed.is_empty());
    }
}
