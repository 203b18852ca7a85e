//! Where a sink says what is wrong, and whether there is time to wait for its cluster.

use riskstream_engine::contract::Notice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The engine's callback for notices, and its flag that the run is to end, once the engine has set
/// them.
#[derive(Default)]
pub(crate) struct NoticeSlot {
    pub(super) notice: Option<Notice>,
    pub(super) hurry: Option<Arc<AtomicBool>>,
    /// When the hurry was first seen.
    hurried_at: Option<Instant>,
}

/// A cluster that is there answers within this.
const HURRIED_ANSWER: Duration = Duration::from_secs(5);

impl std::fmt::Debug for NoticeSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.notice.is_some() { "told" } else { "nobody told" })
    }
}

impl NoticeSlot {
    pub(super) fn tell(slot: &Mutex<Self>, what: Option<String>) {
        let notice = slot.lock().unwrap_or_else(PoisonError::into_inner).notice.clone();
        if let Some(notice) = notice {
            notice(what);
        }
    }

    /// Whether the run is to end, and has given the cluster time to answer: then nobody waits for
    /// it any longer.
    pub(super) fn is_over(slot: &Mutex<Self>) -> bool {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let hurries = slot.hurry.as_ref().is_some_and(|hurry| hurry.load(Ordering::Acquire));
        hurries && slot.hurried_at.get_or_insert_with(Instant::now).elapsed() >= HURRIED_ANSWER
    }
}
