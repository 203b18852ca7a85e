//! A folder on a disk.

use super::{Disk, LocalDisk};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder, and the disk that it is on. It dereferences to its [`Path`] on that disk.
#[derive(Debug, Clone)]
pub struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Folder {
    /// A folder on a disk; nothing is made.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>, path: impl Into<PathBuf>) -> Self {
        Self { disk, path: path.into() }
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The path on the disk.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it.
    #[must_use]
    pub fn below(&self, name: impl AsRef<Path>) -> Self {
        Self { disk: Arc::clone(&self.disk), path: self.path.join(name) }
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// On the machine's own disk.
impl From<PathBuf> for Folder {
    fn from(path: PathBuf) -> Self {
        Self { disk: LocalDisk::shared(), path }
    }
}

/// On the machine's own disk.
impl<P: AsRef<Path> + ?Sized> From<&P> for Folder {
    fn from(path: &P) -> Self {
        path.as_ref().to_owned().into()
    }
}

impl From<&Self> for Folder {
    fn from(folder: &Self) -> Self {
        folder.clone()
    }
}
