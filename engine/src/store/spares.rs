//! What is written aside before it gets its name: large files, and what goes over needless epoch files, which are kept for it: an epoch then costs the
//! file system no new file and no deleted one.
//!
//! A stream of short epochs makes and deletes hundreds of files a second. Journaling file systems take that badly: ext4 looks for a free inode
//! past all those deleted in the last minutes, and with `discard` a commit waits until the freed blocks are trimmed. (PostgreSQL recycles
//! its log's segments for the same reason.)
//!
//! A spare is renamed out of the way, written over, made durable, and only then linked to its new name; so a name in `epochs/` is still
//! either absent or whole. A crash may leave a spare that is linked as an epoch too: that is why spares never outlive the process.

use crate::store::error::StoreError;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Spares that are kept, at most.
const SPARES_MAX: usize = 4_096;
/// Bytes of a file that is worth keeping, at most; bigger ones are never so many.
const SPARE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of all spares, at most.
const SPARES_BYTES_MAX: u64 = 256 << 20;
/// Bytes of a large file that are written before they are made durable.
const PIECE_BYTES: usize = 1 << 20;

/// The spares of one open store.
#[derive(Debug, Clone)]
pub(crate) struct Spares {
    folder: PathBuf,
    made: Arc<AtomicU64>,
    /// Of all that wait.
    bytes: Arc<AtomicU64>,
    put: Sender<Spare>,
    take: Receiver<Spare>,
}

#[derive(Debug)]
struct Spare {
    path: PathBuf,
    bytes: u64,
}

impl Spares {
    /// None yet. Whoever holds the store calls [`Self::clear`] first.
    pub(crate) fn new(root: &Path) -> Self {
        let (put, take) = bounded(SPARES_MAX);
        Self { folder: root.join("spares"), made: Arc::default(), bytes: Arc::default(), put, take }
    }

    /// Deletes what an earlier process left.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        let failed = |e: &std::io::Error| StoreError::io("clear the folder", &self.folder, e);
        match std::fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(&e)),
            _ => {}
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| failed(&e))
    }

    /// Takes a file out of the store, as a spare or for good.
    pub(crate) fn retire(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |e: &std::io::Error| StoreError::io("delete", path, e);
        let size = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(&e)),
        };
        if size > SPARE_BYTES_MAX || self.put.is_full() || self.bytes.load(Ordering::Relaxed) + size > SPARES_BYTES_MAX {
            return std::fs::remove_file(path).map_err(|e| failed(&e));
        }
        let spare = self.folder.join(format!("{}.spare", self.made.fetch_add(1, Ordering::Relaxed)));
        std::fs::rename(path, &spare).map_err(|e| failed(&e))?;
        self.bytes.fetch_add(size, Ordering::Relaxed);
        match self.put.try_send(Spare { path: spare, bytes: size }) {
            Ok(()) => Ok(()),
            Err(full) => {
                let Spare { path, bytes } = full.into_inner();
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                std::fs::remove_file(path).map_err(|e| failed(&e))
            }
        }
    }

    /// Writes a file that must not be there yet over a spare, durably but for its folder. `None` without a spare; false when it was there.
    pub(crate) fn write_over(&self, path: &Path, content: &[Bytes]) -> Result<Option<bool>, StoreError> {
        let Ok(Spare { path: spare, bytes }) = self.take.try_recv() else { return Ok(None) };
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        let failed = |e: &std::io::Error| StoreError::io("write", path, e);
        overwrite(&spare, content).map_err(|e| failed(&e))?;
        move_to_absent(&spare, path).map(Some).map_err(|e| failed(&e))
    }

    /// Writes a large file that must not be there yet, durably but for its folder; false when it was there. It becomes durable piece by piece: a
    /// file system that is told to sync a small file meanwhile may have to write first what was written of this one.
    pub(crate) fn write_in_pieces(&self, path: &Path, content: &[Bytes]) -> Result<bool, StoreError> {
        let failed = |e: &std::io::Error| StoreError::io("write", path, e);
        let hidden = self.folder.join(format!("{}.new", self.made.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| File::create(&hidden))
            .and_then(|mut file| {
                let mut written = 0;
                for part in content.iter().flat_map(|piece| piece.chunks(PIECE_BYTES)) {
                    file.write_all(part)?;
                    written += part.len();
                    if written >= PIECE_BYTES {
                        file.sync_data()?;
                        written = 0;
                    }
                }
                file.sync_all()
            })
            .map_err(|e| failed(&e))?;
        move_to_absent(&hidden, path).map_err(|e| failed(&e))
    }
}

/// Gives a file another name, unless that is taken.
fn move_to_absent(file: &Path, to: &Path) -> std::io::Result<bool> {
    let linked = std::fs::hard_link(file, to);
    std::fs::remove_file(file)?;
    match linked {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

fn overwrite(spare: &Path, content: &[Bytes]) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(spare)?;
    content.iter().try_for_each(|piece| file.write_all(piece))?;
    file.set_len(content.iter().map(|piece| piece.len() as u64).sum())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_file_is_written_over_and_linked_once() {
        let root = tempfile::tempdir().expect("a folder");
        let spares = Spares::new(root.path());
        spares.clear().expect("made");
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        assert_eq!(spares.write_over(&new, &[Bytes::from_static(b"x")]).expect("looked"), None, "there is no spare");
        std::fs::write(&old, b"a long content").expect("written");
        spares.retire(&old).expect("retired");
        assert!(!old.exists());
        assert_eq!(spares.write_over(&new, &[Bytes::from_static(b"short")]).expect("written"), Some(true));
        assert_eq!(std::fs::read(&new).expect("read"), b"short");
        assert_eq!(std::fs::read_dir(root.path().join("spares")).expect("listed").count(), 0);
    }

    #[test]
    fn spares_are_few_and_small() {
        let root = tempfile::tempdir().expect("a folder");
        let spares = Spares::new(root.path());
        spares.clear().expect("made");
        let retire = |bytes: u64| {
            let path = root.path().join("old");
            File::create(&path).and_then(|file| file.set_len(bytes)).expect("made");
            spares.retire(&path).expect("retired");
            assert!(!path.exists());
        };
        retire(SPARE_BYTES_MAX + 1);
        assert_eq!(spares.take.len(), 0, "too large");
        for _ in 0..=SPARES_BYTES_MAX / SPARE_BYTES_MAX {
            retire(SPARE_BYTES_MAX);
        }
        let most = usize::try_from(SPARES_BYTES_MAX / SPARE_BYTES_MAX).expect("few");
        assert_eq!(spares.take.len(), most, "they would take too much room");
        assert_eq!(spares.write_over(&root.path().join("new"), &[Bytes::from_static(b"x")]).expect("written"), Some(true));
        retire(SPARE_BYTES_MAX);
        assert_eq!(spares.take.len(), most, "there was room for one again");
    }

    #[test]
    fn a_large_file_is_written_once_in_pieces() {
        let root = tempfile::tempdir().expect("a folder");
        let spares = Spares::new(root.path());
        let (path, content) = (root.path().join("large"), vec![7; 2 * PIECE_BYTES + 1]);
        assert!(spares.write_in_pieces(&path, &[Bytes::from_static(b"head"), content.clone().into()]).expect("written"));
        assert!(!spares.write_in_pieces(&path, &[Bytes::from_static(b"other")]).expect("looked"));
        assert_eq!(std::fs::read(&path).expect("read"), [b"head".as_slice(), &content].concat());
        assert_eq!(std::fs::read_dir(root.path().join("spares")).expect("listed").count(), 0);
    }

    #[test]
    fn a_name_that_is_taken_keeps_its_content() {
        let root = tempfile::tempdir().expect("a folder");
        let spares = Spares::new(root.path());
        spares.clear().expect("made");
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        std::fs::write(&old, b"old").expect("written");
        std::fs::write(&new, b"truth").expect("written");
        spares.retire(&old).expect("retired");
        assert_eq!(spares.write_over(&new, &[Bytes::from_static(b"other")]).expect("looked"), Some(false));
        assert_eq!(std::fs::read(&new).expect("read"), b"truth");
    }

    #[test]
    fn a_spare_that_a_crash_left_linked_is_never_written_over() {
        let root = tempfile::tempdir().expect("a folder");
        let epoch = root.path().join("epoch");
        std::fs::create_dir(root.path().join("spares")).expect("made");
        std::fs::write(&epoch, b"truth").expect("written");
        std::fs::hard_link(&epoch, root.path().join("spares/0.spare")).expect("linked");
        let spares = Spares::new(root.path());
        spares.clear().expect("cleared");
        assert_eq!(spares.write_over(&root.path().join("next"), &[Bytes::from_static(b"next")]).expect("looked"), None);
        assert_eq!(std::fs::read(&epoch).expect("read"), b"truth");
    }
}
