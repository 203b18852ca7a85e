//! Which versions of a table its log can still tell of, and which of them was the newest at a time.
//!
//! A version can be read where a log checkpoint at it or before it, or the first commit, is there,
//! and all commits since. When a version was made its commit's file says by the time at which it
//! was written, as it does to other readers of Delta tables.

use std::collections::BTreeSet;
use std::time::SystemTime;

use riskstream_engine::disk::Folder;

use crate::error::SinkError;
use crate::log::{entries, log_folder};

/// Digits of a version in a file's name.
const VERSION_DIGITS: usize = 20;

/// The versions that a table's log can tell of: all from the first to the last. Their data files
/// may be gone all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogVersions {
    /// The oldest.
    pub first: u64,
    /// The newest.
    pub last: u64,
}

impl LogVersions {
    /// Looks at a table's log; none where it has no version. For callers on a thread that may wait
    /// for the disk.
    ///
    /// # Errors
    /// The log's folder can't be listed.
    pub fn look(location: impl Into<Folder>) -> Result<Option<Self>, SinkError> {
        let location = location.into();
        let listed = Listed::look(&location)?;
        // A name that is made while names are listed may be left out, and one made later may be
        // there. Whatever is before the last one that is listed is listed the second time.
        let listed = if listed.has_gap() { listed.up_to_its_last(&location)? } else { listed };
        Ok(Self::of(&listed.commits, &listed.checkpoints))
    }

    fn of(commits: &BTreeSet<u64>, checkpoints: &BTreeSet<u64>) -> Option<Self> {
        let last = *commits.last().max(checkpoints.last())?;
        // The commits without a gap up to the newest version begin here.
        let gapless = (0..=last).rev().take_while(|version| commits.contains(version)).last();
        let first = match gapless.unwrap_or(last + 1) {
            0 => 0,
            commit => *checkpoints.range(commit - 1..).next()?,
        };
        Some(Self { first, last })
    }

    /// Whether the log can tell of a version.
    #[must_use]
    pub fn contains(&self, version: u64) -> bool {
        (self.first..=self.last).contains(&version)
    }

    /// The newest of these versions that was there at a time, in microseconds since 1970; none
    /// where all are younger. For callers on a thread that may wait for the disk.
    ///
    /// # Errors
    /// A file of the log can't be looked at.
    pub fn at(&self, location: impl Into<Folder>, micros: i64) -> Result<Option<u64>, SinkError> {
        let location = location.into();
        // No version before `low` is younger than the time, none from `high` on is not.
        let (mut low, mut high) = (self.first, self.last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            // A file that was trimmed since the look belonged to an older version.
            let is_there = made_at(&location, middle)?.is_none_or(|made| made <= micros);
            if is_there {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok((low > self.first).then(|| low - 1))
    }

    /// When the oldest of these versions was made, in microseconds since 1970, where it is known.
    ///
    /// # Errors
    /// A file of the log can't be looked at.
    pub fn first_made_at(&self, location: impl Into<Folder>) -> Result<Option<i64>, SinkError> {
        made_at(&location.into(), self.first)
    }
}

/// The names of a log.
#[derive(Debug, Default)]
struct Listed {
    commits: BTreeSet<u64>,
    checkpoints: BTreeSet<u64>,
}

impl Listed {
    fn look(location: &Folder) -> Result<Self, SinkError> {
        let mut listed = Self::default();
        for entry in entries(location)? {
            match kind(&entry.name) {
                Some((version, Kind::Commit)) => listed.commits.insert(version),
                Some((version, Kind::Checkpoint)) => listed.checkpoints.insert(version),
                None => false,
            };
        }
        Ok(listed)
    }

    /// Whether a commit lacks the one before it.
    fn has_gap(&self) -> bool {
        self.commits.iter().zip(self.commits.iter().skip(1)).any(|(a, b)| a + 1 < *b)
    }

    /// The names up to the last version of these, listed again.
    fn up_to_its_last(&self, location: &Folder) -> Result<Self, SinkError> {
        let Some(last) = self.commits.last().max(self.checkpoints.last()) else {
            return Ok(Self::default());
        };
        let mut again = Self::look(location)?;
        again.commits.retain(|version| version <= last);
        again.checkpoints.retain(|version| version <= last);
        Ok(again)
    }
}

enum Kind {
    Commit,
    Checkpoint,
}

/// What a file of the log is, by its name.
fn kind(name: &str) -> Option<(u64, Kind)> {
    let (digits, rest) = name.split_at_checked(VERSION_DIGITS)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kind = match rest {
        ".json" => Kind::Commit,
        rest if rest.starts_with(".checkpoint.") => Kind::Checkpoint,
        _ => return None,
    };
    Some((digits.parse().ok()?, kind))
}

/// When a version was made, in microseconds since 1970; none where its file is gone, or the disk
/// knows no times.
fn made_at(location: &Folder, version: u64) -> Result<Option<i64>, SinkError> {
    let log = log_folder(location);
    // The oldest version may have nothing but its checkpoint.
    for name in [format!("{version:020}.json"), format!("{version:020}.checkpoint.parquet")] {
        let path = log.join(name);
        let found = location.disk().look(&path).map_err(SinkError::io("look at", &path))?;
        if let Some(modified) = found.and_then(|found| found.modified) {
            return Ok(Some(micros(modified)));
        }
    }
    Ok(None)
}

fn micros(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn named(names: &[&str]) -> Option<LogVersions> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("_delta_log");
        std::fs::create_dir(&log).unwrap();
        for name in names {
            let (version, rest) = name.split_once('.').unwrap();
            std::fs::write(log.join(format!("{version:0>20}.{rest}")), "").unwrap();
        }
        LogVersions::look(folder.path()).unwrap()
    }

    #[test]
    fn a_version_needs_a_checkpoint_or_the_first_commit_and_all_commits_since() {
        type Case<'a> = (&'a [&'a str], Option<(u64, u64)>);
        let cases: [Case<'_>; 9] = [
            (&[], None),
            (&["0.json"], Some((0, 0))),
            (&["0.json", "1.json", "2.json", "2.crc"], Some((0, 2))),
            // Trimmed up to a checkpoint.
            (&["7.json", "6.checkpoint.parquet", "8.json"], Some((6, 8))),
            (&["6.json", "7.json", "6.checkpoint.parquet"], Some((6, 7))),
            // Of two checkpoints the older one has lost the commits after it.
            (&["3.checkpoint.parquet", "8.checkpoint.parquet", "8.json"], Some((8, 8))),
            (&["9.checkpoint.0000000001.0000000002.parquet"], Some((9, 9))),
            // No checkpoint to begin at.
            (&["4.json", "5.json"], None),
            (&["0.json", "0.1.compacted.json"], Some((0, 0))),
        ];
        for (names, expected) in cases {
            let found = named(names).map(|versions| (versions.first, versions.last));
            assert_eq!(found, expected, "{names:?}");
        }
        assert_eq!(LogVersions::look(std::path::Path::new("/no/such/table")).unwrap(), None);
    }

    #[test]
    fn the_version_of_a_time_is_the_last_one_made_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("_delta_log");
        std::fs::create_dir(&log).unwrap();
        for version in 3..=9_u64 {
            let name = match version {
                3 => format!("{version:020}.checkpoint.parquet"),
                _ => format!("{version:020}.json"),
            };
            std::fs::write(log.join(&name), "").unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(version * 10);
            let file = std::fs::OpenOptions::new().write(true).open(log.join(&name)).unwrap();
            file.set_modified(at).unwrap();
        }
        let versions = LogVersions::look(folder.path()).unwrap().unwrap();
        assert_eq!(versions, LogVersions { first: 3, last: 9 });
        assert_eq!(versions.first_made_at(folder.path()).unwrap(), Some(30_000_000));
        // As counted by going through them one by one.
        for second in 0..120_i64 {
            let made = |version: &u64| i64::try_from(version * 10).unwrap() <= second;
            let expected = (3..=9_u64).take_while(made).last();
            let found = versions.at(folder.path(), second * 1_000_000).unwrap();
            assert_eq!(found, expected, "at {second} s");
        }
        assert_eq!(versions.at(folder.path(), 39_999_999).unwrap(), Some(3));
        assert_eq!(versions.at(folder.path(), i64::MAX).unwrap(), Some(9));
        assert_eq!(versions.at(folder.path(), i64::MIN).unwrap(), None);
    }
}
