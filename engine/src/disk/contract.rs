//! What any disk does, and the ways to make something durable, each written once, over the small
//! calls of any disk.

use bytes::Bytes;
use std::fmt::Debug;
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of a large file that are written before they are made durable.
pub const PIECE_BYTES: usize = 1 << 20;

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// What is known of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The file's length.
    pub bytes: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// When it was last written, where the disk knows.
    pub modified: Option<SystemTime>,
}

/// A file that is being written; dropped, it stays as it is.
pub trait NewFile: Write + Send + Debug {
    /// Makes all that was written durable (fsync), but not the file's name.
    ///
    /// # Errors
    /// When the disk can't: what was written may be lost, and a second sync that succeeds says
    /// nothing about it.
    fn sync(&mut self) -> Result<()>;

    /// Ends the file after `bytes`.
    ///
    /// # Errors
    /// When the disk can't.
    fn cut(&mut self, bytes: u64) -> Result<()>;
}

/// A file that is open for reading, from several threads at once.
pub trait OpenFile: Send + Sync + Debug {
    /// The file's length when it was opened.
    fn bytes(&self) -> u64;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; others when the disk can't.
    fn read_at(&self, into: &mut [u8], at: u64) -> Result<()>;
}

/// A folder that is held by this process; let go when it is dropped, or when the process ends.
pub trait Lock: Send + Sync + Debug {}

/// See the [module documentation](self). Paths are the disk's own; folders of a path must be there
/// unless it says otherwise.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn open(&self, path: &Path) -> Result<Box<dyn OpenFile>>;

    /// A file without content under this name; one that is there is emptied.
    ///
    /// # Errors
    /// When the disk can't.
    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>>;

    /// A file without content under this name, which must be free.
    ///
    /// # Errors
    /// `AlreadyExists`, or when the disk can't.
    fn create_new(&self, path: &Path) -> Result<Box<dyn NewFile>>;

    /// Opens a file to be written over from its start; what is not written over stays.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn overwrite(&self, path: &Path) -> Result<Box<dyn NewFile>>;

    /// Gives a file a second name, which must be free.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound`, or when the disk can't.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file another name; a file that has that name loses it.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Takes a file's name away.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Makes a folder in a folder that is there.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound`, or when the disk can't.
    fn make_folder(&self, path: &Path) -> Result<()>;

    /// Makes a file's content, or a folder's names, durable.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn sync(&self, path: &Path) -> Result<()>;

    /// What is under a name; `None` when it is free.
    ///
    /// # Errors
    /// When the disk can't.
    fn look(&self, path: &Path) -> Result<Option<Found>>;

    /// The names in a folder, in no order. Names that are not UTF-8 are left out, since this
    /// program made none of them.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn list(&self, folder: &Path) -> Result<Vec<Entry>>;

    /// Holds a file for this process and writes the process's number into it; `None` when another
    /// process holds it.
    ///
    /// # Errors
    /// When the disk can't.
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>>;

    /// Whether a process holds a file, and its number when it is known. The lock is not touched.
    fn holder(&self, path: &Path) -> Option<Option<u32>>;

    /// A number for file names, which no other call on this disk returns.
    fn unique(&self) -> u64;

    /// Whether threads beside the caller's may use the disk. Not in the simulation, where the order
    /// of all calls follows from its seed.
    fn has_threads(&self) -> bool {
        true
    }

    /// Whether others find the files under the same paths on this machine.
    fn is_local(&self) -> bool {
        false
    }

    /// Makes files or folders durable, several at once where the disk is faster so.
    ///
    /// # Errors
    /// As [`Self::sync`], of any of them.
    fn sync_all(&self, paths: &[PathBuf]) -> Result<()> {
        paths.iter().try_for_each(|path| self.sync(path))
    }

    /// A file's whole content.
    ///
    /// # Errors
    /// `NotFound`, or when the disk can't.
    fn read(&self, path: &Path) -> Result<Bytes> {
        let file = self.open(path)?;
        let bytes = usize::try_from(file.bytes())
            .map_err(|_| std::io::Error::from(ErrorKind::FileTooLarge))?;
        let mut content = vec![0; bytes];
        file.read_at(&mut content, 0)?;
        Ok(content.into())
    }

    /// Makes a folder, and those that it lies in, where they are missing.
    ///
    /// # Errors
    /// When the disk can't.
    fn make_folders(&self, path: &Path) -> Result<()> {
        match (self.make_folder(path), parent(path)) {
            (Err(e), Some(above)) if e.kind() == ErrorKind::NotFound => {
                self.make_folders(above)?;
                there(self.make_folder(path))
            }
            (made, _) => there(made),
        }
    }

    /// As [`Self::make_folders`]; the names are durable then, also that of a folder that was there,
    /// since whoever made it may not have come to sync it.
    ///
    /// # Errors
    /// When the disk can't.
    fn make_folders_durably(&self, path: &Path) -> Result<()> {
        make_folders_durably(self, path)
    }

    /// Makes the names in the folder of `path` durable.
    ///
    /// # Errors
    /// When the disk can't.
    fn sync_parent(&self, path: &Path) -> Result<()> {
        self.sync(parent(path).unwrap_or(Path::new(".")))
    }

    /// Writes a file under a name that must be free, durably: first under the name `hidden`, which
    /// nobody reads. False when the name was taken. After an error the file may have its name, and
    /// is whole then.
    ///
    /// # Errors
    /// When the disk can't.
    fn create_durably(&self, hidden: &Path, path: &Path, content: &[Bytes]) -> Result<bool> {
        create_durably(self, hidden, path, content)
    }

    /// As [`Self::create_durably`], for a large file beside small ones that are in a hurry. It
    /// becomes durable piece by piece: a file system that is told to sync a small file meanwhile
    /// may have to write first what was written of this one. Its content is asked for as it is
    /// written, so that it need not be in memory whole.
    ///
    /// # Errors
    /// When the disk can't, or the first error of `content`; then the name stays free.
    fn create_in_pieces(
        &self,
        hidden: &Path,
        path: &Path,
        content: &mut dyn Iterator<Item = Result<Bytes>>,
    ) -> Result<bool> {
        self.create(hidden).and_then(|mut file| {
            let mut written = 0;
            for piece in content {
                for part in piece?.chunks(PIECE_BYTES) {
                    file.write_all(part)?;
                    written += part.len();
                    if written >= PIECE_BYTES {
                        file.sync()?;
                        written = 0;
                    }
                }
            }
            file.sync()
        })?;
        self.give_name(hidden, path)
    }

    /// As [`Self::create_durably`], written over the file `spare`, which loses its name. Nobody may
    /// need its content, under any name that a loss of power may bring back.
    ///
    /// # Errors
    /// When the disk can't.
    fn create_over(&self, spare: &Path, path: &Path, content: &[Bytes]) -> Result<bool> {
        self.overwrite(spare).and_then(|mut file| {
            content.iter().try_for_each(|piece| file.write_all(piece))?;
            file.cut(content.iter().map(|piece| piece.len() as u64).sum())?;
            file.sync()
        })?;
        self.give_name(spare, path)
    }

    /// Gives a file, whose content is durable, its name in place of `hidden`; false when that is
    /// taken.
    ///
    /// # Errors
    /// When the disk can't.
    fn give_name(&self, hidden: &Path, path: &Path) -> Result<bool> {
        give_name(self, hidden, path)
    }

    /// Writes a file in the place of the one that has this name, durably. After a loss of power one
    /// or the other is there, whole.
    ///
    /// # Errors
    /// When the disk can't; then one or the other is there, too.
    fn replace_durably(&self, path: &Path, content: &[Bytes]) -> Result<()> {
        replace_durably(self, path, content)
    }
}

/// Takes a folder that exists already for made.
fn there(made: Result<()>) -> Result<()> {
    made.or_else(|e| if e.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
}

/// The folder that a path names an entry of.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// Errors of a folder's sync that show that this program made no name in that folder.
const NOT_OURS: [ErrorKind; 4] = [
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::InvalidInput,
    ErrorKind::Unsupported,
];

/// See [`Disk::make_folders_durably`].
///
/// # Errors
/// As there.
pub fn make_folders_durably<D: Disk + ?Sized>(disk: &D, path: &Path) -> Result<()> {
    disk.make_folders(path)?;
    // All the way up: whoever made one of them may have died before it was durable.
    for folder in path
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty() && folder.parent().is_some())
    {
        match disk.sync_parent(folder) {
            // This program made no name in a folder that it may not open, or whose file system has
            // nothing to sync.
            Err(e) if NOT_OURS.contains(&e.kind()) => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// See [`Disk::create_durably`].
///
/// # Errors
/// As there.
pub fn create_durably<D: Disk + ?Sized>(
    disk: &D,
    hidden: &Path,
    path: &Path,
    content: &[Bytes],
) -> Result<bool> {
    disk.create(hidden).and_then(|mut file| {
        content.iter().try_for_each(|piece| file.write_all(piece))?;
        file.sync()
    })?;
    disk.give_name(hidden, path)
}

/// See [`Disk::give_name`].
///
/// # Errors
/// As there.
pub fn give_name<D: Disk + ?Sized>(disk: &D, hidden: &Path, path: &Path) -> Result<bool> {
    let linked = disk.link(hidden, path);
    // No reader looks for the hidden name; if it can't be removed now, the next start removes it.
    let _left = disk.remove(hidden);
    match linked {
        Ok(()) => disk.sync_parent(path).map(|()| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

/// See [`Disk::replace_durably`].
///
/// # Errors
/// As there.
pub fn replace_durably<D: Disk + ?Sized>(disk: &D, path: &Path, content: &[Bytes]) -> Result<()> {
    let next = path.with_extension("next");
    let mut file = disk.create(&next)?;
    content.iter().try_for_each(|piece| file.write_all(piece))?;
    file.sync()?;
    disk.rename(&next, path)?;
    disk.sync_parent(path)
}
