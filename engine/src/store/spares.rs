//! Files that are written under a hidden name before they get their own. Needless epoch files are
//! kept as spares, over which new ones are written: an epoch then costs the file system no new file
//! and no deleted one.
//!
//! A stream of short epochs makes and deletes hundreds of files a second. Journaling file systems
//! take that badly: ext4 looks for a free inode past all those deleted in the last minutes, and
//! with `discard` a commit waits until the freed blocks are trimmed. (PostgreSQL recycles its log's
//! segments for the same reason.)
//!
//! A spare is renamed out of `epochs/`; written over only after a sync of that folder that began
//! later, so that no loss of power brings its old name back with another epoch's content; made
//! durable; and only then linked to its new name. So a name in `epochs/` is either absent or whole.
//! A crash may leave a spare that is linked as an epoch too: that is why spares never outlive the
//! process.

use crate::disk::Folder;
use crate::store::error::StoreError;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Spares that are kept, at most.
const SPARES_MAX: usize = 4_096;
/// Bytes of a file that is worth keeping, at most; bigger ones are never so many.
const SPARE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of all spares, at most.
const SPARES_BYTES_MAX: u64 = 256 << 20;

/// The spares of one open store.
#[derive(Debug)]
pub(crate) struct Spares {
    folder: Folder,
    made: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Syncs of `epochs/`: how many began, and the newest that ended.
    syncs_begun: AtomicU64,
    synced: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    spares: VecDeque<Spare>,
    /// Bytes of all spares.
    bytes: u64,
}

#[derive(Debug)]
struct Spare {
    path: PathBuf,
    bytes: u64,
    /// The number of the sync of `epochs/` after which the old name is surely gone.
    after: u64,
}

impl Spares {
    /// None yet.
    pub(crate) fn new(root: &Folder) -> Self {
        let (made, waiting, syncs_begun, synced) = Default::default();
        Self { folder: root.below("spares"), made, waiting, syncs_begun, synced }
    }

    /// A path for a file that does not have its name yet.
    pub(crate) fn hidden(&self) -> PathBuf {
        self.folder.join(format!("{}.new", self.made.fetch_add(1, Ordering::Relaxed)))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an epoch file out of the store, as a spare or for good.
    pub(crate) fn retire(&self, path: &Path) -> Result<(), StoreError> {
        let disk = self.folder.disk();
        let failed = |e: &std::io::Error| StoreError::io("delete", path, e);
        let Some(found) = disk.look(path).map_err(|e| failed(&e))? else { return Ok(()) };
        {
            let mut waiting = self.waiting();
            let is_worth_it = found.bytes <= SPARE_BYTES_MAX;
            if !is_worth_it
                || waiting.spares.len() >= SPARES_MAX
                || waiting.bytes + found.bytes > SPARES_BYTES_MAX
            {
                drop(waiting);
                return disk.remove(path).map_err(|e| failed(&e));
            }
            // The room is taken now, so that a concurrent call does not count it as free.
            waiting.bytes += found.bytes;
        }
        let spare =
            self.folder.join(format!("{}.spare", self.made.fetch_add(1, Ordering::Relaxed)));
        let renamed = disk.rename(path, &spare);
        let mut waiting = self.waiting();
        match renamed {
            Ok(()) => {
                let after = self.syncs_begun.load(Ordering::Acquire) + 1;
                waiting.spares.push_back(Spare { path: spare, bytes: found.bytes, after });
                Ok(())
            }
            Err(e) => {
                waiting.bytes -= found.bytes;
                Err(failed(&e))
            }
        }
    }

    /// Runs what ends with a sync of `epochs/`.
    pub(crate) fn while_epochs_are_synced<E>(
        &self,
        put: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let sync = self.syncs_begun.fetch_add(1, Ordering::AcqRel) + 1;
        let put = put()?;
        // Where the name was taken nothing was synced.
        if put {
            self.synced.fetch_max(sync, Ordering::AcqRel);
        }
        Ok(put)
    }

    /// A file to write over, if there is one.
    pub(crate) fn take(&self) -> Option<PathBuf> {
        let mut waiting = self.waiting();
        let synced = self.synced.load(Ordering::Acquire);
        let spare = waiting.spares.pop_front_if(|spare| spare.after <= synced)?;
        waiting.bytes -= spare.bytes;
        Some(spare.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::Files;
    use bytes::Bytes;
    use std::fs::File;

    fn files(root: &Path) -> Files {
        Files::new(&root.into()).expect("made")
    }

    fn put(files: &Files, name: &str, content: &'static [u8]) -> bool {
        files.put_epoch(name, &[Bytes::from_static(content)]).expect("written")
    }

    #[test]
    fn a_retired_file_is_written_over_and_linked_once() {
        let root = tempfile::tempdir().expect("a folder");
        let files = files(root.path());
        let (old, new) = (root.path().join("epochs/old"), root.path().join("epochs/new"));
        assert!(files.spares.take().is_none(), "there is no spare");
        assert!(put(&files, "epochs/old", b"a long content"));
        files.spares.retire(&old).expect("retired");
        assert!(!old.exists());
        assert!(
            put(&files, "epochs/between", b"x"),
            "it is not written over before its name is surely gone"
        );
        assert_eq!(std::fs::read_dir(root.path().join("spares")).expect("listed").count(), 1);
        assert!(put(&files, "epochs/new", b"short"));
        assert_eq!(std::fs::read(&new).expect("read"), b"short");
        assert_eq!(std::fs::read_dir(root.path().join("spares")).expect("listed").count(), 0);
    }

    #[test]
    fn spares_are_few_and_small() {
        let root = tempfile::tempdir().expect("a folder");
        let files = files(root.path());
        let waiting = || files.spares.waiting().spares.len();
        let retire = |bytes: u64| {
            let path = root.path().join("old");
            File::create(&path).and_then(|file| file.set_len(bytes)).expect("made");
            files.spares.retire(&path).expect("retired");
            assert!(!path.exists());
        };
        retire(SPARE_BYTES_MAX + 1);
        assert_eq!(waiting(), 0, "too large");
        for _ in 0..=SPARES_BYTES_MAX / SPARE_BYTES_MAX {
            retire(SPARE_BYTES_MAX);
        }
        let most = usize::try_from(SPARES_BYTES_MAX / SPARE_BYTES_MAX).expect("few");
        assert_eq!(waiting(), most, "they would take too much room");
        assert!(put(&files, "epochs/1", b"x"));
        assert!(put(&files, "epochs/2", b"x"));
        assert_eq!(waiting(), most - 1);
        retire(SPARE_BYTES_MAX);
        assert_eq!(waiting(), most, "there was room for one again");
    }

    #[test]
    fn a_name_that_is_taken_keeps_its_content() {
        let root = tempfile::tempdir().expect("a folder");
        let files = files(root.path());
        assert!(put(&files, "epochs/old", b"old"));
        files.spares.retire(&root.path().join("epochs/old")).expect("retired");
        assert!(put(&files, "epochs/new", b"truth"));
        assert!(!put(&files, "epochs/new", b"other"));
        assert_eq!(std::fs::read(root.path().join("epochs/new")).expect("read"), b"truth");
    }

    #[test]
    fn a_spare_that_a_crash_left_linked_is_never_written_over() {
        let root = tempfile::tempdir().expect("a folder");
        let epoch = root.path().join("epoch");
        std::fs::create_dir(root.path().join("spares")).expect("made");
        std::fs::write(&epoch, b"truth").expect("written");
        std::fs::hard_link(&epoch, root.path().join("spares/0.spare")).expect("linked");
        let files = files(root.path());
        files.clear_hidden().expect("cleared");
        assert!(files.spares.take().is_none());
        assert!(put(&files, "epochs/next", b"next"));
        assert_eq!(std::fs::read(&epoch).expect("read"), b"truth");
    }

    #[test]
    fn what_writers_left_under_hidden_names_is_cleared() {
        let root = tempfile::tempdir().expect("a folder");
        let files = files(root.path());
        assert!(put(&files, "epochs/1", b"x"));
        for left in ["epochs/2#1", "snapshots/3#12", "spares/7.new"] {
            std::fs::write(root.path().join(left), b"left").expect("written");
        }
        files.clear_hidden().expect("cleared");
        assert_eq!(files.list("epochs").expect("listed"), ["1"]);
        assert!(files.list("snapshots").expect("listed").is_empty());
        assert!(files.list("spares").expect("listed").is_empty());
    }
}
