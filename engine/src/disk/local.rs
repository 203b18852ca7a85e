//! The machine's own disk, by the standard library.
//!
//! Why not `object_store`'s local store: see
//! docs/decisions/0006-one-trait-for-everything-durable.md.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place that speaks to the operating system's files"
)]

use super::{Disk, Entry, Found, Lock, NewFile, OpenFile};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{Error, ErrorKind, Result, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Files that are synced at the same time: a journaling file system commits them together, so
/// waiting for one is waiting for all.
const SYNCS_AT_ONCE: usize = 16;

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub struct LocalDisk {
    /// Its keys are random in every process.
    names: RandomState,
    named: AtomicU64,
}

impl LocalDisk {
    /// The local disk that this process uses where no disk is given.
    #[must_use]
    pub fn shared() -> Arc<dyn Disk> {
        static SHARED: OnceLock<Arc<LocalDisk>> = OnceLock::new();
        Arc::<Self>::clone(SHARED.get_or_init(Arc::default))
    }
}

#[derive(Debug)]
struct LocalFile {
    file: File,
    bytes: u64,
}

impl OpenFile for LocalFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(into, at)
    }
}

#[derive(Debug)]
struct LocalNewFile(File);

impl Write for LocalNewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

impl NewFile for LocalNewFile {
    fn sync(&mut self) -> Result<()> {
        self.0.sync_all()
    }

    fn cut(&mut self, bytes: u64) -> Result<()> {
        self.0.set_len(bytes)
    }
}

/// The system drops the lock with the file, however the process ends.
#[derive(Debug)]
struct LocalLock {
    _file: File,
}

impl Lock for LocalLock {}

fn new_file(file: File) -> Box<dyn NewFile> {
    Box::new(LocalNewFile(file))
}

impl Disk for LocalDisk {
    fn open(&self, path: &Path) -> Result<Box<dyn OpenFile>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Box::new(LocalFile { file, bytes }))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        File::create(path).map(new_file)
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        File::create_new(path).map(new_file)
    }

    fn overwrite(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        OpenOptions::new().write(true).open(path).map(new_file)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path)
    }

    fn make_folder(&self, path: &Path) -> Result<()> {
        match fs::create_dir(path) {
            // A name that is taken by a file is not a folder that is there.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && !path.is_dir() => {
                Err(Error::from(ErrorKind::NotADirectory))
            }
            made => made,
        }
    }

    fn sync(&self, path: &Path) -> Result<()> {
        File::open(path)?.sync_all()
    }

    fn look(&self, path: &Path) -> Result<Option<Found>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Found {
                bytes: found.len(),
                is_folder: found.is_dir(),
                modified: found.modified().ok(),
            })),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_folder: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))?;
        Ok(Some(Box::new(LocalLock { _file: file })))
    }

    /// Where the system lists its locks (Linux) the lock is not touched; elsewhere it is tried for
    /// a moment, shared.
    fn holder(&self, path: &Path) -> Option<Option<u32>> {
        let held = match fs::read_to_string("/proc/locks") {
            Ok(locks) => {
                let inode = path.metadata().ok()?.ino().to_string();
                locks.lines().any(|line| {
                    let mut words = line.split_whitespace();
                    words.any(|w| w == "FLOCK")
                        && words.filter_map(|w| w.rsplit(':').next()).any(|w| w == inode)
                })
            }
            Err(_) => File::open(path).ok().is_some_and(|file| file.try_lock_shared().is_err()),
        };
        held.then(|| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()))
    }

    fn unique(&self) -> u64 {
        self.names.hash_one(self.named.fetch_add(1, Ordering::Relaxed))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn sync_all(&self, paths: &[PathBuf]) -> Result<()> {
        let stripe = paths.len().div_ceil(SYNCS_AT_ONCE).max(1);
        if let [one] = paths {
            return self.sync(one);
        }
        std::thread::scope(|scope| {
            let syncing = paths.chunks(stripe).map(|stripe| {
                scope.spawn(move || stripe.iter().try_for_each(|path| self.sync(path)))
            });
            let syncing: Vec<_> = syncing.collect();
            let panicked = |_| Err(Error::other("the thread that syncs panicked"));
            // Every thread is joined, whichever failed.
            let results: Vec<_> =
                syncing.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect();
            results.into_iter().collect()
        })
    }
}
