//! Names of the files that maintenance makes. They are random, so that two programs never write the
//! same file.

use riskstream_engine::disk::Disk;

const DATA_PREFIX: &str = "compact-";
const DATA_SUFFIX: &str = ".parquet";
const SPILL_PREFIX: &str = "sort-";
const SPILL_SUFFIX: &str = ".arrow";

/// A data file's.
pub(super) fn data_file(disk: &dyn Disk) -> String {
    format!("{DATA_PREFIX}{}{DATA_SUFFIX}", random(disk))
}

/// That of a file of rows that are being sorted.
pub(super) fn spill(disk: &dyn Disk) -> String {
    format!("{SPILL_PREFIX}{}{SPILL_SUFFIX}", random(disk))
}

fn random(disk: &dyn Disk) -> String {
    format!("{:016x}{:016x}", disk.unique(), disk.unique())
}

/// Whether maintenance has made the data file at a path.
pub(super) fn is_compacted(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(DATA_PREFIX))
}

/// Whether a file may be removed once nothing names it: a data file, or what a sort that was killed
/// has left.
pub(super) fn is_removable(name: &str) -> bool {
    name.ends_with(DATA_SUFFIX) || (name.starts_with(SPILL_PREFIX) && name.ends_with(SPILL_SUFFIX))
}
