//! How long a statement may still work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The time of one statement. It runs while the client waits for rows, and stands still while the
/// client does not ask: a cursor that nobody reads is not too slow. Clones are the same time.
#[derive(Debug, Clone)]
pub(super) struct Time(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    /// How long it may take each time that the client asks; none: as long as it needs.
    allowed: Option<Duration>,
    /// When the client's right to ask ends, whatever it asks.
    until: Option<Instant>,
    deadline: watch::Sender<Option<Instant>>,
}

impl Time {
    /// A time that runs from now on.
    pub(super) fn new(allowed: Option<Duration>, until: Option<Instant>) -> Self {
        let time = Self(Arc::new(Limits { allowed, until, deadline: watch::Sender::new(None) }));
        time.restart();
        time
    }

    /// The client asks: the time begins anew.
    pub(super) fn restart(&self) {
        let Limits { allowed, until, deadline } = &*self.0;
        let allowed = allowed.and_then(|allowed| Instant::now().checked_add(allowed));
        deadline.send_replace([allowed, *until].into_iter().flatten().min());
    }

    /// The client does not ask for more.
    pub(super) fn pause(&self) {
        self.0.deadline.send_replace(self.0.until);
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.0.deadline.borrow().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits until it is over.
    pub(super) async fn over(&self) {
        let mut changes = self.0.deadline.subscribe();
        loop {
            let deadline = *changes.borrow_and_update();
            let reached = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = reached => return,
                // The sender lives as long as this.
                _changed = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_runs_while_the_client_asks() {
        let time = Time::new(Some(SHORT), None);
        time.pause();
        tokio::time::sleep(2 * SHORT).await;
        assert!(!time.is_over(), "it stands still");
        time.restart();
        assert!(!time.is_over(), "it begins anew");
        time.over().await;
        assert!(time.is_over());
    }

    #[tokio::test]
    async fn what_waits_for_its_end_hears_of_changes() {
        let time = Time::new(Some(LONG), None);
        let waits = tokio::spawn({
            let time = time.clone();
            async move { time.over().await }
        });
        tokio::task::yield_now().await;
        time.0.deadline.send_replace(Some(Instant::now()));
        assert!(tokio::time::timeout(Duration::from_secs(10), waits).await.is_ok());
    }

    #[tokio::test]
    async fn the_right_to_ask_ends_whether_or_not_the_client_asks() {
        let time = Time::new(None, Some(Instant::now() + SHORT));
        time.pause();
        time.over().await;
        time.restart();
        assert!(time.is_over());
    }
}
