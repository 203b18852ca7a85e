//! How the files of a scan are divided among threads.

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;

/// A file is not divided into parts of less than this: a part reads the row groups that begin in
/// it, and these are rarely smaller.
const PART_BYTES_MIN: u64 = 4 << 20;

/// At most so many groups, of about the same bytes. Large files are divided, so that their row
/// groups are read by several threads.
pub(super) fn file_groups(files: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    if groups <= 1 {
        return vec![FileGroup::new(files)];
    }
    let total: u64 = files.iter().map(|file| file.object_meta.size).sum();
    let part_bytes = total.div_ceil(groups as u64).max(PART_BYTES_MIN);
    let mut parts: Vec<PartitionedFile> =
        files.into_iter().flat_map(|file| divided(file, part_bytes)).collect();
    // The largest first, each to the group that has the least.
    parts.sort_by_key(|part| std::cmp::Reverse(part.effective_size()));
    let mut filled: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); groups];
    for part in parts {
        if let Some((bytes, group)) = filled.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += part.effective_size().max(1);
            group.push(part);
        }
    }
    let groups = filled.into_iter().map(|(_, group)| group);
    groups.filter(|group| !group.is_empty()).map(FileGroup::new).collect()
}

/// A file in parts of about `part_bytes`.
fn divided(file: PartitionedFile, part_bytes: u64) -> Vec<PartitionedFile> {
    let size = file.object_meta.size;
    let parts = size.div_ceil(part_bytes).max(1);
    if parts == 1 {
        return vec![file];
    }
    let end = |part: u64| i64::try_from(size * part / parts).unwrap_or(i64::MAX);
    (0..parts).map(|part| file.clone().with_range(end(part), end(part + 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn sizes(groups: &[FileGroup]) -> Vec<u64> {
        groups
            .iter()
            .map(|group| group.files().iter().map(PartitionedFile::effective_size).sum())
            .collect()
    }

    #[test]
    fn groups_are_alike_and_large_files_are_divided() {
        let file = |name: &str, bytes| PartitionedFile::new(name, bytes);
        let small = || vec![file("a", 300_000), file("b", 400_000)];
        assert_eq!(sizes(&file_groups(small(), 1)), [700_000]);
        assert_eq!(sizes(&file_groups(small(), 4)), [400_000, 300_000]);
        assert!(file_groups(vec![], 4).iter().all(FileGroup::is_empty));
        let large = file_groups(vec![file("a", 64 * MIB)], 4);
        assert_eq!(sizes(&large), [16 * MIB; 4]);
        let mut ranges: Vec<_> = large
            .iter()
            .flat_map(|group| group.files())
            .filter_map(|part| part.range.clone())
            .map(|range| (range.start, range.end))
            .collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ranges:?}");
        assert_eq!(ranges.last().map(|range| range.1), Some(64 << 20));
        let many: Vec<_> = (0..100).map(|i| file("a", (i % 7 + 1) * 100_000)).collect();
        let balanced = sizes(&file_groups(many, 3));
        assert!(balanced.iter().max().unwrap() - balanced.iter().min().unwrap() < 200_000);
    }
}
