//! How many files are held open at once, and which is closed when another one must be opened.
//!
//! The number is of the whole process: a part of what the system allows it. A file that is closed
//! is opened again where it was, which costs a seek for plain text, reading the footer and skipping
//! rows for Parquet, and decompressing all that was read for gzip and zstd. So plain text is closed
//! first, then Parquet, then what has the least to be decompressed again; of equals the one that
//! was read longest ago.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that sources hold open in this process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A source may hold a quarter of what the system allows the process: tables, state and connections
/// need the rest.
const SHARE: u64 = 4;
/// More than this are no faster.
const OPEN_MAX: u64 = 1024;
const OPEN_MIN: u64 = 4;
/// Where the system does not say.
#[cfg(not(unix))]
const OPEN_UNKNOWN: u64 = 256;

static ALLOWED: LazyLock<usize> = LazyLock::new(|| {
    usize::try_from((limit() / SHARE).clamp(OPEN_MIN, OPEN_MAX)).unwrap_or(usize::MAX)
});

#[cfg(unix)]
fn limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(OPEN_MAX * SHARE)
}

#[cfg(not(unix))]
fn limit() -> u64 {
    OPEN_UNKNOWN
}

/// What opening a file again costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reopening {
    /// A seek.
    Seek,
    /// Its footer, and rows to skip.
    Footer,
    /// So many bytes to be decompressed again.
    Decompress(u64),
    /// It is read past a long record: all of that would be read again.
    Never,
}

/// An open file; it counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Permit {
    fn new() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The open files of one source.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    /// At most so many, whatever the process may.
    max: Option<usize>,
    uses: u64,
    by_cost: BTreeSet<(Reopening, u64, u32)>,
    of: BTreeMap<u32, (Reopening, u64)>,
}

impl OpenFiles {
    pub(crate) fn new(max: Option<usize>) -> Self {
        Self { max, ..Self::default() }
    }

    /// The file to close before another one may be opened; none when there is room, or nothing of
    /// this source is open.
    pub(crate) fn next_to_close(&mut self) -> Option<u32> {
        let is_full = match self.max {
            Some(max) => self.of.len() >= max.max(1),
            None => OPEN.load(Ordering::Relaxed) >= *ALLOWED,
        };
        if !is_full {
            return None;
        }
        let (_, _, partition) = self.by_cost.pop_first()?;
        self.of.remove(&partition);
        Some(partition)
    }

    pub(crate) fn permit() -> Permit {
        Permit::new()
    }

    /// The file was read just now.
    pub(crate) fn used(&mut self, partition: u32, cost: Reopening) {
        self.closed(partition);
        self.uses += 1;
        self.by_cost.insert((cost, self.uses, partition));
        self.of.insert(partition, (cost, self.uses));
    }

    pub(crate) fn closed(&mut self, partition: u32) {
        if let Some((cost, used)) = self.of.remove(&partition) {
            self.by_cost.remove(&(cost, used, partition));
        }
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.of.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_least_to_open_again_is_closed_and_of_equals_what_was_read_longest_ago() {
        let mut open = OpenFiles::new(Some(4));
        open.used(0, Reopening::Decompress(10));
        open.used(1, Reopening::Seek);
        open.used(2, Reopening::Seek);
        assert_eq!(open.next_to_close(), None, "there is room for one more");
        open.used(3, Reopening::Footer);
        open.used(1, Reopening::Seek);
        assert_eq!(open.next_to_close(), Some(2));
        open.used(4, Reopening::Decompress(5));
        assert_eq!(open.next_to_close(), Some(1));
        open.used(5, Reopening::Never);
        assert_eq!(open.next_to_close(), Some(3));
        open.used(6, Reopening::Decompress(7));
        assert_eq!(open.next_to_close(), Some(4));
        open.closed(0);
        assert_eq!(open.next_to_close(), None);
        assert_eq!(open.count(), 2);
    }
}
