//! Files of the store on its disk: put if absent, made durable, read, listed, deleted.
//!
//! A file is written under a name in `spares/` that nobody reads, made durable, and only then
//! linked to its own name; it counts as written only after the folder was synced too. So a name is
//! either absent or whole, also after a loss of power. Epoch files are written over needless ones
//! where there are any (see [`Spares`]).

use crate::disk::{Disk, Folder};
use crate::store::error::StoreError;
use crate::store::spares::Spares;
use bytes::Bytes;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Folders of a store.
const FOLDERS: [&str; 5] = ["epochs", "snapshots", "generations", "history", "spares"];

/// The files below one folder.
#[derive(Debug)]
pub(crate) struct Files {
    root: Folder,
    pub(crate) spares: Spares,
}

impl Files {
    /// Files below `root`, which is made if absent.
    pub(crate) fn new(root: &Folder) -> Result<Self, StoreError> {
        for folder in FOLDERS {
            let path = root.join(folder);
            root.disk()
                .make_folders_durably(&path)
                .map_err(|e| StoreError::io("make the folder", &path, &e))?;
        }
        Ok(Self { root: root.clone(), spares: Spares::new(root) })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.root.disk().as_ref()
    }

    /// Writes a file that must not be there yet, durably. False when it was there.
    pub(crate) fn put_if_absent(&self, name: &str, content: &[Bytes]) -> Result<bool, StoreError> {
        let path = self.path(name);
        let put = self.disk().create_durably(&self.spares.hidden(), &path, content);
        put.map_err(|e| StoreError::io("write", path, &e))
    }

    /// As [`Self::put_if_absent`], for an epoch file: over a spare when there is one.
    pub(crate) fn put_epoch(&self, name: &str, content: &[Bytes]) -> Result<bool, StoreError> {
        let path = self.path(name);
        self.spares
            .while_epochs_are_synced(|| match self.spares.take() {
                Some(spare) => self.disk().create_over(&spare, &path, content),
                None => self.disk().create_durably(&self.spares.hidden(), &path, content),
            })
            .map_err(|e| StoreError::io("write", path, &e))
    }

    /// As [`Self::put_if_absent`], for a large file beside small ones that are in a hurry.
    pub(crate) fn put_in_pieces(
        &self,
        name: &str,
        content: &mut dyn Iterator<Item = std::io::Result<Bytes>>,
    ) -> Result<bool, StoreError> {
        let path = self.path(name);
        let put = self.disk().create_in_pieces(&self.spares.hidden(), &path, content);
        put.map_err(|e| StoreError::io("write", path, &e))
    }

    pub(crate) fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        self.disk().read(&self.path(name)).map_err(|e| StoreError::io("read", self.path(name), &e))
    }

    /// Makes files, or names in folders, durable.
    pub(crate) fn sync(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), StoreError> {
        let paths: Vec<PathBuf> = names.into_iter().map(|name| self.path(name.as_ref())).collect();
        let first = || paths.first().cloned().unwrap_or_default();
        self.disk().sync_all(&paths).map_err(|e| StoreError::io("sync", first(), &e))
    }

    /// Names of files below `folder`, without it.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(below) = folders.pop() {
            let path = self.path(folder).join(&below);
            for entry in self.disk().list(&path).map_err(|e| StoreError::io("list", &path, &e))? {
                let name =
                    if below.is_empty() { entry.name } else { format!("{below}/{}", entry.name) };
                if entry.is_folder { folders.push(name) } else { names.push(name) }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.disk().remove(&self.path(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(StoreError::io("delete", self.path(name), &e))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Deletes what writers that crashed left under names that nobody reads: `spares/`, and the
    /// `NAME#1` of earlier versions.
    pub(crate) fn clear_hidden(&self) -> Result<(), StoreError> {
        let is_left =
            |name: &str| name.rsplit_once('#').is_some_and(|(_, n)| n.parse::<u32>().is_ok());
        let in_root = self
            .disk()
            .list(&self.root)
            .map_err(|e| StoreError::io("list", self.root.path(), &e))?;
        for entry in in_root.iter().filter(|entry| !entry.is_folder && is_left(&entry.name)) {
            self.delete(&entry.name)?;
        }
        for folder in FOLDERS {
            for name in self.list(folder)? {
                if folder == "spares" || is_left(&name) {
                    self.delete(&format!("{folder}/{name}"))?;
                }
            }
        }
        Ok(())
    }
}
