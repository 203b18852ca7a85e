//! What was read of files and folders, and whether it still holds: told by the system's records of
//! them instead of reading them again.
//!
//! A name that is made in a folder, renamed or removed changes the folder's time of change (ctime),
//! as writing does a file's. Nobody can set that time, other than the time of modification, and a
//! file put in another's place has another number. So what was read after a stamp was taken holds
//! as long as the stamp is the same, with one exception: the system counts in ticks of its own
//! clock (1 to 10 ms on Linux, 2 s on some file systems), and a change in the same tick as the one
//! before leaves the stamp as it is. Hence a stamp is only relied on whose last change was
//! [`SETTLED_AFTER`] before it was taken: whatever comes later is in a later tick. A clock that is
//! ahead (of a server of files) makes things be read again; one that is behind leaves nothing but
//! the tick to rely on, since a stamp looks settled sooner. A network's file system that answers
//! from a memory of its own does so for names as it does for times.

#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Longer than the tick of any file system's clock.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// The system's record of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    number: u64,
    /// Seconds and nanoseconds since 1970.
    changed: (i64, i64),
    bytes: u64,
}

impl Stamp {
    /// Of what is at a path: none where nothing is.
    ///
    /// # Errors
    /// The system does not tell.
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(found) => Ok(Some(Self {
                device: found.dev(),
                number: found.ino(),
                changed: (found.ctime(), found.ctime_nsec()),
                bytes: found.len(),
            })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Other systems have no such record.
    #[cfg(not(unix))]
    pub(crate) fn of(_path: &Path) -> std::io::Result<Option<Self>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// Whether a change from `now` on makes another stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(since) = now.duration_since(SystemTime::UNIX_EPOCH) else { return false };
        let changed = Duration::new(
            u64::try_from(self.changed.0).unwrap_or(0),
            u32::try_from(self.changed.1).unwrap_or(0),
        );
        since.checked_sub(changed).is_some_and(|ago| ago > SETTLED_AFTER)
    }
}

/// What was read of some files or folders last.
#[derive(Debug)]
pub(crate) struct Remembered<T> {
    last: Mutex<Option<(Vec<Option<Stamp>>, T)>>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { last: Mutex::default() }
    }
}

impl<T: Clone> Remembered<T> {
    /// What was read of these paths, if it still holds; else what `read` gives.
    pub(crate) fn get<P: AsRef<Path>, E>(
        &self,
        paths: &[P],
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let now = SystemTime::now();
        // Taken before anything is read: what changes in between shows the next time.
        let stamps: Option<Vec<_>> =
            paths.iter().map(|path| Stamp::of(path.as_ref()).ok()).collect();
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stamps) = &stamps
            && let Some((_, known)) = last().as_ref().filter(|(of, _)| of == stamps)
        {
            return Ok(known.clone());
        }
        let value = read()?;
        // What is not there can only come to be there, which shows.
        let is_settled = |stamp: &Option<Stamp>| stamp.is_none_or(|stamp| stamp.is_settled(now));
        *last() = stamps
            .filter(|stamps| stamps.iter().all(is_settled))
            .map(|stamps| (stamps, value.clone()));
        Ok(value)
    }

    /// Forgets it.
    pub(crate) fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
impl<T> Remembered<T> {
    /// Takes a value for what was read of paths that have not changed for long: what changes them
    /// from now on is in a later tick.
    pub(crate) fn settle<P: AsRef<Path>>(&self, paths: &[P], value: T) {
        let stamps = paths.iter().map(|path| Stamp::of(path.as_ref()).unwrap_or(None));
        let last = Some((stamps.collect(), value));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        let folder = tempfile::tempdir().unwrap();
        let probe = folder.path().join("probe");
        let written = || {
            std::fs::write(&probe, "x").unwrap();
            Stamp::of(&probe).ok()
        };
        let first = written();
        while first.is_some() && written() == first {
            std::hint::spin_loop();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    fn at(seconds: i64) -> Stamp {
        Stamp { device: 1, number: 1, changed: (seconds, 5), bytes: 0 }
    }

    #[test]
    fn a_stamp_is_relied_on_once_its_change_is_some_seconds_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for (stamp, settled) in
            [(at(1), true), (at(996), true), (at(997), false), (at(1000), false), (at(2000), false)]
        {
            assert_eq!(stamp.is_settled(now), settled, "{stamp:?}");
        }
        assert!(!at(1).is_settled(SystemTime::UNIX_EPOCH - Duration::from_secs(1)));
    }

    #[test]
    fn what_was_read_of_a_folder_that_has_just_changed_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (remembered, reads) = (Remembered::default(), Cell::new(0));
        let paths = [folder.path().to_owned(), folder.path().join("not there")];
        let get = || {
            let read = || {
                reads.set(reads.get() + 1);
                Ok::<_, Infallible>(reads.get())
            };
            remembered.get(&paths, read).unwrap()
        };
        assert_eq!((get(), get()), (1, 2), "the folder is new");
        remembered.settle(&paths, 7);
        assert_eq!((get(), get(), reads.get()), (7, 7, 2));
        std::fs::write(folder.path().join("name"), "").unwrap();
        assert_eq!(get(), 3, "a name was made");
        remembered.settle(&paths, 8);
        assert_eq!(get(), 8);
        std::fs::create_dir(&paths[1]).unwrap();
        assert_eq!(get(), 4, "what was not there is");
    }
}
