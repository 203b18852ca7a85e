//! Files of the store through `object_store`: put if absent, made durable, read, listed, deleted.
//!
//! On a local folder a put is a hidden file linked into place, so a name is either absent or whole; it counts as written only after the
//! file and its folder were synced. Epoch files are written over needless ones where there are any (see [`Spares`]).

use crate::store::error::StoreError;
use crate::store::spares::Spares;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files below one folder.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    root: PathBuf,
    objects: Arc<dyn ObjectStore>,
    pub(crate) spares: Spares,
}

impl Files {
    /// Files below `root`, which is made if absent.
    pub(crate) fn new(root: &Path) -> Result<Self, StoreError> {
        for folder in ["epochs", "snapshots", "generations", "history"] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path).map_err(|e| StoreError::io("make the folder", &path, &e))?;
        }
        let objects = LocalFileSystem::new_with_prefix(root).map_err(|e| StoreError::io("open", root, &e))?;
        Ok(Self { root: root.to_owned(), objects: Arc::new(objects), spares: Spares::new(root) })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file that must not be there yet, durably. False when it was there.
    pub(crate) fn put_if_absent(&self, name: &str, content: impl IntoIterator<Item = Bytes>) -> Result<bool, StoreError> {
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        match block_on(self.objects.put_opts(&ObjectPath::from(name), PutPayload::from_iter(content), options)) {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
            Err(e) => return Err(StoreError::io("write", self.path(name), &e)),
        }
        let path = self.path(name);
        sync(&path)?;
        sync_folder(&path)?;
        Ok(true)
    }

    /// As [`Self::put_if_absent`], over a spare when there is one.
    pub(crate) fn put_over_spare(&self, name: &str, content: Vec<Bytes>) -> Result<bool, StoreError> {
        let path = self.path(name);
        let Some(written) = self.spares.write_over(&path, &content)? else { return self.put_if_absent(name, content) };
        sync_folder(&path)?;
        Ok(written)
    }

    /// As [`Self::put_if_absent`], for a large file beside small ones that are in a hurry.
    pub(crate) fn put_in_pieces(&self, name: &str, content: Vec<Bytes>) -> Result<bool, StoreError> {
        let path = self.path(name);
        let written = self.spares.write_in_pieces(&path, &content)?;
        sync_folder(&path)?;
        Ok(written)
    }

    pub(crate) fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        block_on(async { self.objects.get(&ObjectPath::from(name)).await?.bytes().await })
            .map_err(|e| StoreError::io("read", self.path(name), &e))
    }

    /// Names below `folder`, without it.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let prefix = ObjectPath::from(folder);
        let found: Vec<_> =
            block_on(self.objects.list(Some(&prefix)).try_collect()).map_err(|e| StoreError::io("list", self.path(folder), &e))?;
        Ok(found.iter().filter_map(|m| m.location.as_ref().strip_prefix(folder)?.strip_prefix('/').map(str::to_owned)).collect())
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), StoreError> {
        match block_on(self.objects.delete(&ObjectPath::from(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StoreError::io("delete", self.path(name), &e)),
        }
    }
}

fn sync_folder(file: &Path) -> Result<(), StoreError> {
    file.parent().map_or(Ok(()), sync)
}

/// Makes a file's or folder's content durable.
fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| StoreError::io("sync", path, &e))
}
