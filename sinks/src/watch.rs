//! Reading a log that changes at the same time.
//!
//! Whoever reads a log lists it first. Maintenance may remove entries that a new checkpoint has
//! replaced before they are opened. And names that others make while it is listed may be left out,
//! though later ones are there: deltalake takes that for a gap in the log. In both cases the
//! reading fails, and the next one gets through.

use riskstream_engine::disk::Folder;

use crate::error::SinkError;
use crate::versions::LogVersions;

/// How often a reading begins again.
const AGAIN_MAX: u32 = 20;

/// Watches a log from before it is read.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    location: &'a Folder,
    versions: Option<LogVersions>,
    again: u32,
}

impl<'a> Watch<'a> {
    /// Looks at the log, which is read from now on.
    pub(crate) fn begin(location: &'a Folder) -> Result<Self, SinkError> {
        Ok(Self { location, versions: LogVersions::look(location.clone())?, again: 0 })
    }

    /// Whether entries have come or gone since, so that a reading that failed is worth another.
    pub(crate) fn has_changed(&mut self) -> Result<bool, SinkError> {
        let versions = LogVersions::look(self.location.clone())?;
        let has_changed = versions != self.versions && self.again < AGAIN_MAX;
        self.versions = versions;
        self.again += 1;
        Ok(has_changed)
    }
}

/// What `read` finds in a table's log; it reads again where it failed while the log changed.
pub(crate) fn reread<T>(
    location: &Folder,
    mut read: impl FnMut() -> Result<T, SinkError>,
) -> Result<T, SinkError> {
    let mut watch = Watch::begin(location)?;
    loop {
        match read() {
            Err(error) => {
                if !watch.has_changed()? {
                    return Err(error);
                }
            }
            found => return found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_begins_again_as_long_as_entries_come_or_go() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("_delta_log");
        std::fs::create_dir(&log).unwrap();
        let commit = |version: u64| log.join(format!("{version:020}.json"));
        for version in 0..9 {
            std::fs::write(commit(version), "").unwrap();
            std::fs::write(log.join(format!("{version:020}.checkpoint.parquet")), "").unwrap();
        }
        let location = Folder::from(folder.path());
        let not_a_table = || SinkError::NotATable { location: folder.path().to_owned() };
        // Three times an entry goes, or comes; the fourth reading gets through.
        let mut readings = 0;
        let read = || {
            readings += 1;
            match readings {
                1 => std::fs::remove_file(commit(5)).unwrap(),
                2 => std::fs::write(commit(9), "").unwrap(),
                3 => std::fs::remove_file(commit(7)).unwrap(),
                _ => return Ok(readings),
            }
            Err(not_a_table())
        };
        assert_eq!(reread(&location, read).unwrap(), 4);
        // Nothing goes: what failed fails.
        let mut readings = 0;
        let read = || {
            readings += 1;
            Err::<(), _>(not_a_table())
        };
        assert!(reread(&location, read).is_err());
        assert_eq!(readings, 1);
    }
}
