//! Which files are compacted together.

use std::collections::BTreeMap;

use super::options::MaintainOptions;
use crate::snapshot::ActiveFile;

/// Partition column to value.
pub(super) type PartitionValues = BTreeMap<String, Option<String>>;

/// Files of one partition that are rewritten together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) partition_values: PartitionValues,
    pub(super) files: Vec<ActiveFile>,
}

/// A group holds no more than so many files of the target size, which bounds what a sort puts on
/// the disk.
const TARGETS_PER_GROUP: u64 = 4;
/// A file is spared while it holds more than so many times what the smaller ones hold.
const SPARED_ABOVE: u64 = 2;

impl Group {
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |bytes, file| bytes.saturating_add(file.bytes))
    }

    /// The files that it becomes, about.
    pub(super) fn files_after(&self, target_file_bytes: u64) -> u64 {
        self.bytes().div_ceil(target_file_bytes.max(1)).max(1)
    }
}

/// Groups of each partition's small files, in the order of their names (which is that of the
/// epochs).
pub(super) fn choose(files: Vec<ActiveFile>, options: &MaintainOptions) -> Vec<Group> {
    let small_below = options.target_file_bytes / 2;
    let mut partitions: BTreeMap<PartitionValues, Vec<ActiveFile>> = BTreeMap::new();
    for file in files {
        if file.bytes < small_below {
            partitions.entry(file.partition_values.clone()).or_default().push(file);
        }
    }
    let mut groups = Vec::new();
    for (partition_values, mut files) in partitions {
        if options.spares_large {
            spare_large(&mut files);
        }
        if files.len() < options.min_files.max(2) {
            continue;
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let limit = options.target_file_bytes.saturating_mul(TARGETS_PER_GROUP);
        let (mut some, mut bytes) = (Vec::new(), 0);
        for file in files {
            if file.bytes.saturating_add(bytes) > limit && !some.is_empty() {
                add(&mut groups, &partition_values, std::mem::take(&mut some));
                bytes = 0;
            }
            bytes = file.bytes.saturating_add(bytes);
            some.push(file);
        }
        add(&mut groups, &partition_values, some);
    }
    groups
}

fn add(groups: &mut Vec<Group>, partition_values: &PartitionValues, files: Vec<ActiveFile>) {
    if files.len() >= 2 {
        groups.push(Group { partition_values: partition_values.clone(), files });
    }
}

/// Leaves the largest out while they hold far more than the others together.
fn spare_large(files: &mut Vec<ActiveFile>) {
    files.sort_by_key(|file| file.bytes);
    let mut total = files.iter().fold(0_u64, |total, file| total.saturating_add(file.bytes));
    while let Some(largest) = files.last().map(|file| file.bytes)
        && largest / SPARED_ABOVE > total.saturating_sub(largest)
    {
        total = total.saturating_sub(largest);
        files.pop();
    }
}
