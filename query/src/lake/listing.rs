//! Which folders of a folder are of a kind: tables have a log in them, stores an identity.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use super::stamp::Remembered;
use crate::error::QueryError;

/// A folder, and which of what is in it was of the kind last.
#[derive(Debug)]
pub(crate) struct Listing {
    path: PathBuf,
    is_of_kind: fn(&Path) -> bool,
    last: Remembered<Listed>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listed {
    names: Vec<String>,
    /// What is not of the kind, and may become so.
    others: Vec<PathBuf>,
}

impl Listing {
    /// The folders in `path` of which `is_of_kind` says yes; it need not be there yet.
    pub(crate) fn new(path: PathBuf, is_of_kind: fn(&Path) -> bool) -> Self {
        Self { path, is_of_kind, last: Remembered::default() }
    }

    /// The tables in a folder.
    pub(crate) fn of_tables(path: PathBuf) -> Self {
        Self::new(path, is_table)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Their names, sorted; none where the folder is not there. Looks at the folder itself, and
    /// into those that were not of the kind, and lists it only if its names have changed.
    ///
    /// # Errors
    /// The folder can't be listed.
    pub(crate) fn names(&self) -> Result<Vec<String>, QueryError> {
        let look = || list(&self.path, self.is_of_kind);
        let listed = self.last.get(&[&self.path], look)?;
        // What is made within a folder changes nothing of the folder above.
        if listed.others.iter().any(|other| (self.is_of_kind)(other)) {
            self.last.forget();
            // Not what is remembered by now: somebody who looked earlier may have ended later.
            return Ok(look()?.names);
        }
        Ok(listed.names)
    }
}

/// The names of the tables in a folder, sorted; none where it is not there.
///
/// # Errors
/// The folder can't be listed.
pub(super) fn table_names(tables_dir: &Path) -> Result<Vec<String>, QueryError> {
    Ok(list(tables_dir, is_table)?.names)
}

/// Whether the log in a folder has begun. Who makes a table makes the log's folder first.
fn is_table(folder: &Path) -> bool {
    let log = folder.join("_delta_log");
    match std::fs::read_dir(&log) {
        Ok(mut entries) => entries.any(|entry| entry.is_ok_and(|entry| is_of_version(&entry))),
        // Reading the table says why its log can't be read.
        Err(_) => log.is_dir(),
    }
}

/// Commits and checkpoints have the number of a version first, and nothing else of a log has.
fn is_of_version(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
}

fn list(folder: &Path, is_of_kind: fn(&Path) -> bool) -> Result<Listed, QueryError> {
    let list_error = |source| QueryError::List { location: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Listed::default()),
        Err(e) => return Err(list_error(e)),
    };
    let mut listed = Listed::default();
    for entry in entries {
        let path = entry.map_err(list_error)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if is_of_kind(&path) {
            listed.names.push(name.to_owned());
        } else {
            listed.others.push(path);
        }
    }
    listed.names.sort();
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What making a table ends with.
    fn commit(table: &Path) {
        let log = table.join("_delta_log");
        std::fs::create_dir(&log).unwrap();
        std::fs::write(log.join(format!("{:020}.json", 0)), "").unwrap();
    }

    #[test]
    fn what_becomes_a_table_is_one_at_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let listing = Listing::of_tables(folder.path().join("tables"));
        let names = || listing.names().unwrap().join(" ");
        assert_eq!(names(), "");
        let first = "00000000000000000000.json";
        for (table, expected) in [("b", "b"), ("a", "a b"), ("c", "a b c")] {
            let path = listing.path().join(table);
            std::fs::create_dir_all(&path).unwrap();
            assert_ne!(names(), expected, "it has no log yet");
            std::fs::create_dir(path.join("_delta_log")).unwrap();
            assert_ne!(names(), expected, "its log has not begun");
            for (entry, is_begun) in [(".00000000000000000000.1.tmp", false), (first, true)] {
                std::fs::write(path.join("_delta_log").join(entry), "").unwrap();
                assert_eq!(names() == expected, is_begun, "{entry}");
            }
        }
        // As if all that had been long ago.
        listing.last.settle(&[listing.path()], list(listing.path(), is_table).unwrap());
        assert_eq!(names(), "a b c");
        std::fs::create_dir(listing.path().join("d")).unwrap();
        listing.last.settle(&[listing.path()], list(listing.path(), is_table).unwrap());
        assert_eq!(names(), "a b c");
        commit(&listing.path().join("d"));
        assert_eq!(names(), "a b c d");
        std::fs::rename(listing.path().join("a"), folder.path().join("away")).unwrap();
        assert_eq!(names(), "b c d");
    }

    #[test]
    fn a_table_that_was_seen_stays_however_many_look() {
        let folder = tempfile::tempdir().unwrap();
        let listing = Listing::of_tables(folder.path().to_owned());
        let tables: Vec<PathBuf> = (0..50).map(|n| folder.path().join(format!("{n:02}"))).collect();
        tables.iter().for_each(|table| std::fs::create_dir(table).unwrap());
        // As if the folder had rested since.
        listing.last.settle(&[listing.path()], list(listing.path(), is_table).unwrap());
        let look = || {
            let mut seen = 0;
            while seen < tables.len() {
                let now = listing.names().unwrap().len();
                assert!(now >= seen, "{now} tables after {seen}");
                seen = now;
                // What a look that began before another's end leaves behind.
                listing.last.settle(
                    &[listing.path()],
                    Listed { names: Vec::new(), others: tables.clone() },
                );
            }
        };
        std::thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(look)));
            for table in &tables {
                commit(table);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
    }
}
