//! Old versions of tables that were asked for lately.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stamp::Stamp;

/// The versions used last, at most so many.
#[derive(Debug)]
pub(super) struct Kept<T> {
    most: usize,
    /// The one used last comes last.
    versions: Mutex<VecDeque<Version<T>>>,
}

#[derive(Debug)]
struct Version<T> {
    location: PathBuf,
    version: u64,
    /// Of its commit, by which the version of a table that was made anew is known for another.
    commit: Option<Stamp>,
    table: Arc<T>,
}

impl<T> Kept<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, versions: Mutex::default() }
    }

    fn versions(&self) -> MutexGuard<'_, VecDeque<Version<T>>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version, if it is kept.
    pub(super) fn get(
        &self,
        location: &Path,
        version: u64,
        commit: Option<Stamp>,
    ) -> Option<Arc<T>> {
        let mut versions = self.versions();
        let at = versions.iter().position(|kept| {
            (kept.version, kept.commit) == (version, commit) && kept.location == location
        })?;
        let kept = versions.remove(at)?;
        let table = Arc::clone(&kept.table);
        versions.push_back(kept);
        Some(table)
    }

    /// Keeps a version, and gives up the one used longest ago if there are too many.
    pub(super) fn put(&self, location: &Path, version: u64, commit: Option<Stamp>, table: &Arc<T>) {
        let mut versions = self.versions();
        versions.retain(|kept| kept.version != version || kept.location != location);
        let (location, table) = (location.to_owned(), Arc::clone(table));
        versions.push_back(Version { location, version, commit, table });
        while versions.len() > self.most {
            versions.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_used_last_are_kept() {
        let kept = Kept::new(2);
        let get = |version| kept.get(Path::new("t"), version, None).map(|table| *table);
        kept.put(Path::new("t"), 1, None, &Arc::new("one"));
        kept.put(Path::new("t"), 2, None, &Arc::new("two"));
        assert_eq!((get(1), get(3)), (Some("one"), None));
        kept.put(Path::new("t"), 3, None, &Arc::new("three"));
        assert_eq!((get(1), get(2), get(3)), (Some("one"), None, Some("three")));
        kept.put(Path::new("u"), 1, None, &Arc::new("other"));
        assert_eq!((get(1), get(3)), (None, Some("three")));
        kept.put(Path::new("t"), 3, None, &Arc::new("anew"));
        assert_eq!(get(3), Some("anew"));
        assert_eq!(kept.versions().len(), 2);
    }
}
