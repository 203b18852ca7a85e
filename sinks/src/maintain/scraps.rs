//! Files that are nobody's unless they are kept.

use std::path::PathBuf;
use std::sync::Arc;

use riskstream_engine::disk::Disk;

/// Files that are removed with this, unless they are kept.
#[derive(Debug)]
pub(super) struct Scraps {
    disk: Arc<dyn Disk>,
    paths: Vec<PathBuf>,
}

impl Scraps {
    pub(super) fn new(disk: &Arc<dyn Disk>) -> Self {
        Self { disk: Arc::clone(disk), paths: Vec::new() }
    }

    pub(super) fn add(&mut self, path: PathBuf) {
        self.paths.push(path);
    }

    /// Leaves the files where they are.
    pub(super) fn keep(&mut self) {
        self.paths.clear();
    }
}

impl Drop for Scraps {
    fn drop(&mut self) {
        for path in &self.paths {
            // What can't be removed is left to the vacuum.
            let _left = self.disk.remove(path);
        }
    }
}
