//! What a broker keeps in its files: the ends of transactions, which a test takes out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::broker::THEIRS;

/// The logs of the sink's topic and of its group, how long they were, and which of the two it is.
pub(super) fn logs_with_ends(
    state: &Path,
    lengths: &BTreeMap<PathBuf, u64>,
) -> Vec<(PathBuf, u64, &'static str)> {
    let mut logs = Vec::new();
    for (log, _) in
        listing(state).into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "log"))
    {
        let partition =
            log.parent().and_then(|p| p.file_name()).unwrap().to_string_lossy().into_owned();
        let of = ["doubled", "__consumer_offsets"]
            .into_iter()
            .find(|topic| partition.starts_with(&format!("{topic}-")));
        let from = lengths.get(&log).copied().unwrap_or(0);
        logs.extend(of.map(|of| (log, from, of)));
    }
    logs
}

/// The end of a transaction in a partition.
pub(super) struct End {
    /// The offset of the transaction's first message.
    pub(super) begins: u64,
    /// Its bytes in the log.
    pub(super) batch: Range<usize>,
}

/// The end markers of our transactions in a partition's log, from byte `from` on. Another
/// producer's open transaction is left out, since only that producer can end it: see
/// [`Broker::open_transaction`].
pub(super) fn ends(log: &Path, from: u64) -> Vec<End> {
    let bytes = std::fs::read(log).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    // A batch: its first offset (8 bytes), how many bytes follow (4), and so on; of its attributes
    // (from the 21st on) one says that it is such an end, and the producer (from the 43rd on)
    // whose.
    let (mut ends, mut open, mut next) = (Vec::new(), BTreeMap::new(), 0);
    let mut strangers = BTreeSet::new();
    while next + 12 <= bytes.len() && number(next + 8) > 0 {
        let batch = next..next + 12 + number(next + 8);
        next = batch.end;
        let number = |at: usize| {
            u64::from_be_bytes(bytes[batch.start + at..batch.start + at + 8].try_into().unwrap())
        };
        let (offset, producer) = (number(0), number(43));
        if bytes[batch.start + 22] & 0x20 == 0 {
            open.entry(producer).or_insert(offset);
            if bytes[batch].windows(THEIRS.len()).any(|text| text == THEIRS.as_bytes()) {
                strangers.insert(producer);
            }
        } else {
            let begins = open.remove(&producer).unwrap_or(offset);
            let is_wanted = batch.start as u64 >= from && !strangers.contains(&producer);
            ends.extend(is_wanted.then_some(End { begins, batch }));
        }
    }
    ends
}

/// Takes ends out of a partition's log.
pub(super) fn remove(log: &Path, ends: &[End]) {
    let mut bytes = std::fs::read(log).unwrap();
    ends.iter().rev().for_each(|end| drop(bytes.drain(end.batch.clone())));
    std::fs::write(log, bytes).unwrap();
}

/// Copies the folder of a running program at a moment in which it writes nothing, since a copy that
/// is behind what was delivered is refused.
pub(super) fn copy_at_rest(from: &Path, to: &Path) {
    for _ in 0..100 {
        let before = listing(from);
        let copied =
            Command::new("cp").arg("-r").args([from, to]).stderr(Stdio::null()).status().unwrap();
        if copied.success() && listing(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{} was never at rest", from.display());
}

/// Every file under a folder with its length.
pub(super) fn listing(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A folder may be removed while it is being listed.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(of) if of.is_dir() => folders.push(entry.path()),
                Ok(of) => drop(files.insert(entry.path(), of.len())),
                Err(_) => {}
            }
        }
    }
    files
}
