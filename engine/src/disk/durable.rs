//! The ways to make something durable, each written once, over the small calls of any disk:
//! [`Disk`]'s methods of these names are these.

use super::Disk;
use bytes::Bytes;
use std::io::{ErrorKind, Result};
use std::path::Path;

/// How a sync of a folder fails that is none of ours.
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
            // Nobody of ours made a name in a folder that we may not look into, or whose file
            // system has nothing to sync.
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
    // Under that name nobody looks for it; what can't be removed now is collected at the next
    // start.
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
