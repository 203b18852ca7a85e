//! The files that statements of this process see, for whoever removes old ones.
//!
//! All services of a process are asked at once, whatever ports they stand behind: a file is not to
//! be removed while any of them reads it. What other processes read is not known here.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError, Weak};

use crate::error::QueryError;

/// Something that needs files of a table.
pub(super) trait HoldsFiles: Send + Sync {
    /// Adds the paths, below the table's folder, of the files that it needs of this table.
    fn add_files(&self, location: &Path, to: &mut HashSet<String>) -> Result<(), QueryError>;
}

/// What holds files, and how many of them there may be before those that are gone are looked for.
static HOLDERS: Mutex<(Vec<Weak<dyn HoldsFiles>>, usize)> = Mutex::new((Vec::new(), HOLDERS_MIN));
const HOLDERS_MIN: usize = 64;

/// From now on its files are held, for as long as it is there.
pub(super) fn hold(holder: Weak<dyn HoldsFiles>) {
    let mut known = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let (holders, most) = &mut *known;
    if holders.len() >= *most {
        holders.retain(|holder| holder.strong_count() > 0);
        *most = HOLDERS_MIN.max(2 * holders.len());
    }
    holders.push(holder);
}

/// The paths, below the folder of a table, of its files that statements of this process see: those
/// that run, and those that share a transaction with one that has run.
///
/// # Errors
/// What the log said of the files can't be read.
pub fn held_files(location: &Path) -> Result<HashSet<String>, QueryError> {
    let holders: Vec<_> = {
        let known = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        known.0.iter().filter_map(Weak::upgrade).collect()
    };
    let mut files = HashSet::new();
    holders.iter().try_for_each(|holder| holder.add_files(location, &mut files))?;
    Ok(files)
}

#[cfg(test)]
mod tests;
