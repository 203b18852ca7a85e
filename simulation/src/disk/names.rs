//! Names in folders: as they are seen, as they are durable, and what lies between.

use super::survives::Survives;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Folder,
}

/// See the module documentation. Paths are absolute; the root is always there.
#[derive(Debug, Default)]
pub(super) struct Names {
    visible: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    unsynced: Vec<(u64, NameChange)>,
}

/// A change of a name, which survives a loss of power wholly or not at all.
#[derive(Debug)]
enum NameChange {
    Added { path: PathBuf, node: Node },
    Removed { path: PathBuf },
    Moved { from: PathBuf, to: PathBuf, node: Node },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Added { path, node } => {
                names.insert(path.clone(), *node);
            }
            Self::Removed { path } => {
                names.remove(path);
            }
            Self::Moved { from, to, node } => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Added { path, .. } | Self::Removed { path } => path.parent() == Some(folder),
            Self::Moved { from, to, .. } => {
                from.parent() == Some(folder) || to.parent() == Some(folder)
            }
        }
    }
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        if path.parent().is_none() { Some(Node::Folder) } else { self.visible.get(path).copied() }
    }

    pub(super) fn file(&self, path: &Path) -> Result<u64> {
        match self.get(path) {
            Some(Node::File(number)) => Ok(number),
            Some(Node::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// The names in a folder.
    pub(super) fn list(&self, folder: &Path) -> Result<Vec<(String, bool)>> {
        match self.get(folder) {
            Some(Node::Folder) => {}
            Some(Node::File(_)) => return Err(ErrorKind::NotADirectory.into()),
            None => return Err(ErrorKind::NotFound.into()),
        }
        let below = self
            .visible
            .range(folder.to_owned()..)
            .take_while(|(path, _)| path.starts_with(folder));
        let here = below.filter(|(path, _)| path.parent() == Some(folder));
        Ok(here
            .filter_map(|(path, node)| {
                Some((path.file_name()?.to_str()?.to_owned(), *node == Node::Folder))
            })
            .collect())
    }

    /// Whether a name may be added here.
    pub(super) fn must_be_free(&self, path: &Path) -> Result<()> {
        if self.get(path).is_some() {
            Err(ErrorKind::AlreadyExists.into())
        } else {
            self.must_have_folder(path)
        }
    }

    pub(super) fn must_have_folder(&self, path: &Path) -> Result<()> {
        match path.parent().and_then(|folder| self.get(folder)) {
            Some(Node::Folder) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => {
                Err(Error::new(ErrorKind::NotFound, format!("no folder for {}", path.display())))
            }
        }
    }

    pub(super) fn add(&mut self, moment: u64, path: &Path, node: Node) {
        self.change(moment, NameChange::Added { path: path.to_owned(), node });
    }

    pub(super) fn remove(&mut self, moment: u64, path: &Path) {
        self.change(moment, NameChange::Removed { path: path.to_owned() });
    }

    pub(super) fn rename(&mut self, moment: u64, from: &Path, to: &Path, node: Node) {
        self.change(moment, NameChange::Moved { from: from.to_owned(), to: to.to_owned(), node });
    }

    fn change(&mut self, moment: u64, change: NameChange) {
        change.apply(&mut self.visible);
        self.unsynced.push((moment, change));
    }

    pub(super) fn sync(&mut self, folder: &Path) {
        for (_, change) in self.unsynced.extract_if(.., |(_, change)| change.is_in(folder)) {
            change.apply(&mut self.durable);
        }
    }

    /// What is visible after a loss of power.
    pub(super) fn lose(&mut self, survives: Survives, rng: &mut ChaCha8Rng) {
        for (moment, change) in self.unsynced.drain(..) {
            if survives.draw(moment, rng) {
                change.apply(&mut self.durable);
            }
        }
        // A name whose folder is gone is gone with it; folders come before what is in them.
        self.visible.clear();
        for (path, node) in std::mem::take(&mut self.durable) {
            let folder = path.parent();
            if folder.is_some_and(|folder| {
                folder.parent().is_none() || self.visible.get(folder) == Some(&Node::Folder)
            }) {
                self.visible.insert(path, node);
            }
        }
        self.durable.clone_from(&self.visible);
    }

    /// The files that have a name.
    pub(super) fn files(&self) -> impl Iterator<Item = u64> {
        self.visible
            .values()
            .filter_map(|node| if let Node::File(number) = node { Some(*number) } else { None })
    }
}
