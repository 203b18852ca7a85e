//! Connections whose handshake is not done: few, and none for long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Handshakes at the same time; one more ends the oldest.
const HANDSHAKES_MAX: usize = 256;

/// The handshakes that go on.
#[derive(Debug, Default)]
pub(super) struct HalfOpen(Mutex<Handshakes>);

#[derive(Debug, Default)]
struct Handshakes {
    next: u64,
    open: BTreeMap<u64, CancellationToken>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<HalfOpen>,
    number: u64,
    evicted: CancellationToken,
}

impl HalfOpen {
    /// One more begins.
    pub(super) fn enter(self: &Arc<Self>) -> Handshake {
        let mut handshakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while handshakes.open.len() >= HANDSHAKES_MAX {
            if let Some((_, oldest)) = handshakes.open.pop_first() {
                oldest.cancel();
            }
        }
        let number = handshakes.next;
        let evicted = CancellationToken::new();
        handshakes.next += 1;
        handshakes.open.insert(number, evicted.clone());
        Handshake { all: Arc::clone(self), number, evicted }
    }
}

impl Handshake {
    /// Waits until it has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let all = Arc::new(HalfOpen::default());
        let mut open: Vec<_> = (0..HANDSHAKES_MAX).map(|_| all.enter()).collect();
        assert!(open.iter().all(|handshake| !handshake.evicted.is_cancelled()));
        open.push(all.enter());
        assert!(open[0].evicted.is_cancelled() && !open[1].evicted.is_cancelled());
        drop(open);
        assert!(all.0.lock().unwrap().open.is_empty());
    }
}
