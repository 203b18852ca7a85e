//! Which sinks a run waits for, written down for whoever looks at its store meanwhile
//! (`riskstream status`).
//!
//! The file only informs: no decision depends on it, so it is not synced, and a file that can't be
//! written or read counts as none.

use crate::disk::Folder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;

const FILE: &str = "away.json";

/// A sink that is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwayNote {
    /// Since when, microseconds since 1970.
    pub since_micros: i64,
    /// How often it was tried.
    pub tried: u64,
    /// When it was last tried, microseconds since 1970.
    pub tried_micros: i64,
    /// What came of that.
    pub reason: String,
}

/// The notes of a run, by sink.
#[derive(Debug)]
pub(crate) struct AwayNotes {
    root: Folder,
    notes: BTreeMap<String, AwayNote>,
}

impl AwayNotes {
    /// A run begins with none.
    pub(crate) fn begin(root: &Folder) -> Self {
        let notes = Self { root: root.clone(), notes: BTreeMap::new() };
        notes.write();
        notes
    }

    /// The sink is away, or is back.
    pub(crate) fn set(&mut self, sink: &str, note: Option<AwayNote>) {
        match note {
            Some(note) => self.notes.insert(sink.to_owned(), note),
            None => self.notes.remove(sink),
        };
        self.write();
    }

    fn write(&self) {
        let (disk, path) = (self.root.disk(), self.root.join(FILE));
        if self.notes.is_empty() {
            let _never_written = disk.remove(&path);
        } else if let Ok(bytes) = serde_json::to_vec(&self.notes) {
            let next = path.with_extension("next");
            let written = disk.create(&next).and_then(|mut file| file.write_all(&bytes));
            let _not_told = written.and_then(|()| disk.rename(&next, &path));
        }
    }
}

/// The sinks that the run on the store in the folder `root` waits for, or waited for when it ended.
/// Reads one small file.
#[must_use]
pub fn read_away(root: impl Into<Folder>) -> BTreeMap<String, AwayNote> {
    let root = root.into();
    root.disk()
        .read(&root.join(FILE))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_can_be_read_until_it_is_back() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Folder::from(temporary.path());
        let note = |tried| AwayNote {
            since_micros: 1,
            tried,
            tried_micros: 2,
            reason: "nobody answers".into(),
        };
        let mut notes = AwayNotes::begin(&folder);
        assert!(read_away(&folder).is_empty());
        notes.set("a", Some(note(1)));
        notes.set("b", Some(note(1)));
        notes.set("a", Some(note(2)));
        notes.set("b", None);
        assert_eq!(read_away(&folder), BTreeMap::from([("a".to_owned(), note(2))]));
        drop(AwayNotes::begin(&folder));
        assert!(read_away(&folder).is_empty(), "the next run has not tried yet");
    }
}
