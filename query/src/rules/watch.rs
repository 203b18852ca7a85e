//! Whether files have changed since they were read.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use riskstream_engine::runtime::Clock;

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one content of a file from another, without reading it; none where it is not there.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Files of which what was read last is known.
pub(super) struct Watch {
    clock: Arc<dyn Clock>,
    looked_nanos: AtomicU64,
    read: Mutex<Vec<(PathBuf, Stamp)>>,
    problem: Mutex<Option<String>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Looks at files before they are read.
    pub(super) fn new(clock: Arc<dyn Clock>, files: &[PathBuf]) -> Self {
        let looked_nanos = AtomicU64::new(clock.steady_nanos());
        let read = Mutex::new(stamped(files));
        Self { clock, looked_nanos, read, problem: Mutex::default() }
    }

    /// Whether it is time to look again; one of those that ask at the same time is told so.
    pub(super) fn is_due(&self) -> bool {
        let (now, looked) = (self.clock.steady_nanos(), self.looked_nanos.load(Ordering::Acquire));
        let since = Duration::from_nanos(now.saturating_sub(looked));
        since >= LOOK_EVERY
            && self
                .looked_nanos
                .compare_exchange(looked, now, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PathBuf, Stamp)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the files are others than those that were read, which are read next.
    pub(super) fn has_changed(&self) -> bool {
        let mut read = self.lock();
        let files: Vec<PathBuf> = read.iter().map(|(file, _)| file.clone()).collect();
        let now = stamped(&files);
        // Looked at before they are read: a change while that goes on is seen the next time.
        let has_changed = *read != now;
        *read = now;
        has_changed
    }

    /// What was read names these files, which are looked at from now on.
    pub(super) fn name(&self, files: &[PathBuf]) {
        let mut read = self.lock();
        read.retain(|(known, _)| files.contains(known));
        let is_new = |file: &&PathBuf| !read.iter().any(|(known, _)| known == *file);
        let new: Vec<PathBuf> = files.iter().filter(is_new).cloned().collect();
        read.extend(stamped(&new));
    }

    /// Whether what was read last could not be used.
    pub(super) fn is_wrong(&self) -> bool {
        self.problem().is_some()
    }

    /// Notes what is wrong with what was read, if something is; whether that is news.
    pub(super) fn note(&self, problem: Option<String>) -> bool {
        let mut known = self.problem();
        let is_new = *known != problem;
        *known = problem;
        is_new
    }

    fn problem(&self) -> MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamped(files: &[PathBuf]) -> Vec<(PathBuf, Stamp)> {
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

fn stamp(file: &std::path::Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some((metadata.modified().ok()?, metadata.len(), inode))
}
