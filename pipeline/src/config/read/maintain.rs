//! `[maintain]`.

use std::time::Duration;

use crate::config::defaults;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::spec::Maintain;

/// Smallest `target_file`.
const TARGET_MIN: u64 = 1024 * 1024;
/// Smallest `memory`: a few batches, and a row group.
const MEMORY_MIN: u64 = 16 * 1024 * 1024;
const SMALL_FILES_MAX: u64 = 1_000_000;
const THREADS_MAX: u64 = 256;
/// Shortest and longest `retention`. Statements that another process runs may need files that were
/// dropped since they began. After a week the log forgets when a file was dropped.
const RETENTION_MIN: Duration = Duration::from_secs(600);
const RETENTION_MAX: Duration = Duration::from_secs(7 * 86_400);

/// `[maintain]`.
pub(super) fn maintain(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Maintain {
    let mut maintain = defaults::MAINTAIN;
    if let Some(background) = table.boolean("background", problems) {
        maintain.background = background;
    }
    if let Some(every) = table.duration("every", problems) {
        maintain.every = every.value;
        if every.is_zero() {
            problems.push(
                Problem::new(every.span, "`every` is zero")
                    .help("write some time between two rounds, such as \"5m\""),
            );
        }
    }
    if let Some(bytes) = table.size("target_file", TARGET_MIN, problems) {
        maintain.target_file = bytes;
    }
    if let Some(files) = table.integer("small_files", 2, SMALL_FILES_MAX, problems) {
        maintain.small_files = usize::try_from(files.value).unwrap_or(usize::MAX);
    }
    if let Some(retention) = table.duration("retention", problems) {
        maintain.retention = retention.value;
        if !(RETENTION_MIN..=RETENTION_MAX).contains(&retention.value) {
            problems.push(
                Problem::new(retention.span, "`retention` is from \"10m\" to \"7d\"").help(
                    "with less, statements that run in another process may lose files; after a \
                     week the table's log forgets when a file was dropped",
                ),
            );
        }
    }
    if let Some(threads) = table.integer("threads", 1, THREADS_MAX, problems) {
        maintain.threads = usize::try_from(threads.value).unwrap_or(usize::MAX);
    }
    if let Some(bytes) = table.size("memory", MEMORY_MIN, problems) {
        maintain.memory = bytes;
    }
    table.finish(problems);
    maintain
}
