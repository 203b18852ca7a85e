//! Which segments to merge: a pure decision.

use std::ops::Range;

/// So many segments of like size become one.
const FAN_IN: usize = 4;

/// Segments to merge, by their sizes, newest first. A segment counts as large as the largest that
/// is newer, so that a small one that is left between large ones goes along with them. `unit` is
/// the size of what memory becomes.
///
/// With n times as many bytes as `unit` there are never more than about `3 log4(n)` segments for
/// long, and each byte is written about `log4(n)` times.
pub(super) fn to_merge(sizes: &[u64], unit: u64) -> Option<Range<usize>> {
    let mut largest = 0;
    let levels: Vec<u32> = sizes
        .iter()
        .map(|size| {
            largest = largest.max((size / unit.max(1)).checked_ilog(FAN_IN as u64).unwrap_or(0));
            largest
        })
        .collect();
    let mut start = 0;
    for run in levels.chunk_by(|a, b| a == b) {
        if run.len() >= FAN_IN {
            return Some(start..start + run.len());
        }
        start += run.len();
    }
    None
}

/// Segments to merge because of their empty values (tombstones), given each segment's entries and
/// how many of these are empty: all segments, once half of all entries are tombstones. The merge
/// drops the tombstones, so each of them pays for two rewritten entries.
pub(super) fn to_empty(counts: &[(u64, u64)]) -> Option<Range<usize>> {
    let (entries, empty) =
        counts.iter().fold((0, 0), |(entries, empty), of| (entries + of.0, empty + of.1));
    (empty > 0 && empty >= entries / 2).then_some(0..counts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_merged_once_half_is_empty() {
        assert_eq!(to_empty(&[]), None);
        assert_eq!(to_empty(&[(1, 0)]), None);
        assert_eq!(to_empty(&[(10, 9), (20, 5)]), None);
        assert_eq!(to_empty(&[(10, 10), (20, 5)]), Some(0..2));
    }

    #[test]
    fn like_sizes_are_merged() {
        assert_eq!(to_merge(&[], 10), None);
        assert_eq!(to_merge(&[10, 12, 9], 10), None);
        assert_eq!(to_merge(&[10, 12, 9, 11, 500], 10), Some(0..4));
        assert_eq!(to_merge(&[10, 40, 60, 45, 50, 41, 900], 10), Some(1..6));
        assert_eq!(to_merge(&[10, 40, 60, 5, 50], 10), Some(1..5), "the small one goes along");
    }

    #[test]
    fn there_are_never_many_for_long() {
        let (mut sizes, mut written, mut most) = (Vec::new(), 0, 0);
        for _ in 0..1_000 {
            sizes.insert(0, 10);
            while let Some(range) = to_merge(&sizes, 10) {
                let merged: u64 = sizes[range.clone()].iter().sum();
                written += merged;
                sizes.splice(range, [merged]);
            }
            most = most.max(sizes.len());
        }
        assert!(most <= 16, "{most} segments");
        assert!(written <= 5 * 10_000, "{written} bytes for 10000");
    }
}
