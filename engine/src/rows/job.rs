//! A segment that a thread is writing.

use super::RowsError;
use super::segment::Segment;
use crate::background::lower_priority;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A segment in the making. Dropped, it stops and leaves no file.
#[derive(Debug)]
pub(super) struct Job {
    /// The file's name in the step's folder.
    pub(super) name: Arc<str>,
    path: PathBuf,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Segment, RowsError>>>,
}

impl Job {
    /// Starts `write`, which is asked to stop by the flag.
    pub(super) fn start(
        name: Arc<str>,
        path: PathBuf,
        write: impl FnOnce(PathBuf, &AtomicBool) -> Result<Segment, RowsError> + Send + 'static,
    ) -> Result<Self, RowsError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (flag, target) = (Arc::clone(&cancelled), path.clone());
        let body = move || {
            lower_priority();
            write(target, &flag)
        };
        let thread = std::thread::Builder::new().name("rows".into()).spawn(body);
        let thread = thread.map_err(|e| RowsError::new("write", path.display().to_string(), format!("no thread can be started: {e}")))?;
        Ok(Self { name, path, cancelled, thread: Some(thread) })
    }

    /// Whether [`Self::finish`] would not wait.
    pub(super) fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the segment.
    pub(super) fn finish(mut self) -> Result<(Arc<str>, Segment), RowsError> {
        let failed = |reason: &str| RowsError::new("write", self.path.display().to_string(), reason);
        let thread = self.thread.take().ok_or_else(|| failed("it was written already"))?;
        let segment = thread.join().map_err(|_| failed("the thread that writes it panicked"))??;
        Ok((Arc::clone(&self.name), segment))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _stopped = thread.join();
            // Nothing names it; what can't be deleted is collected at the next start.
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}
