//! A segment that a thread is writing.

use super::RowsError;
use super::segment::Segment;
use crate::background::lower_priority;
use crate::disk::Folder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A segment in the making. Dropped, it stops and leaves no file.
#[derive(Debug)]
pub(super) struct Job {
    /// The file's name in the step's folder.
    pub(super) name: Arc<str>,
    folder: Folder,
    cancelled: Arc<AtomicBool>,
    work: Option<Work>,
}

#[derive(Debug)]
enum Work {
    Thread(JoinHandle<Result<Segment, RowsError>>),
    /// The result, on a disk that has no threads.
    Done(Box<Result<Segment, RowsError>>),
}

impl Job {
    /// Starts `write`, which is given the folder and the name, and asked to stop by the flag.
    pub(super) fn start<W>(name: Arc<str>, folder: &Folder, write: W) -> Result<Self, RowsError>
    where
        W: FnOnce(&Folder, &str, &AtomicBool) -> Result<Segment, RowsError> + Send + 'static,
    {
        let cancelled = Arc::new(AtomicBool::new(false));
        let work = if folder.disk().has_threads() {
            let (flag, target, file) = (Arc::clone(&cancelled), folder.clone(), Arc::clone(&name));
            let body = move || {
                lower_priority();
                write(&target, &file, &flag)
            };
            let failed = |e| {
                RowsError::new(
                    "write",
                    folder.join(name.as_ref()).display().to_string(),
                    format!("no thread can be started: {e}"),
                )
            };
            Work::Thread(
                std::thread::Builder::new().name("rows".into()).spawn(body).map_err(failed)?,
            )
        } else {
            Work::Done(Box::new(write(folder, &name, &cancelled)))
        };
        Ok(Self { name, folder: folder.clone(), cancelled, work: Some(work) })
    }

    /// Whether [`Self::finish`] would not wait.
    pub(super) fn is_done(&self) -> bool {
        match &self.work {
            Some(Work::Thread(thread)) => thread.is_finished(),
            Some(Work::Done(_)) | None => true,
        }
    }

    /// Waits for the segment.
    pub(super) fn finish(mut self) -> Result<(Arc<str>, Segment), RowsError> {
        let failed = |reason: &str| {
            RowsError::new(
                "write",
                self.folder.join(self.name.as_ref()).display().to_string(),
                reason,
            )
        };
        let segment = match self.work.take().ok_or_else(|| failed("it was written already"))? {
            Work::Thread(thread) => {
                thread.join().map_err(|_| failed("the thread that writes it panicked"))??
            }
            Work::Done(segment) => (*segment)?,
        };
        Ok((Arc::clone(&self.name), segment))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(work) = self.work.take() {
            if let Work::Thread(thread) = work {
                let _stopped = thread.join();
            }
            // Nothing names it; what can't be deleted is collected at the next start.
            let _gone = self.folder.disk().remove(&self.folder.join(self.name.as_ref()));
        }
    }
}
