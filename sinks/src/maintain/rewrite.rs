//! The rows of some files into new ones.

use super::choose::Group;
use super::output::{Output, Rewritten};
use super::sort_key::SortKey;
use super::sorter::{FILES_MAX, Sorter};
use super::source::{FileRows, rows_in_order};
use super::work::Work;
use crate::error::SinkError;

pub(super) const READ_BATCH_ROWS: usize = 8_192;

/// Writes the rows of a group's files into new ones; none where it was stopped. Nothing is part of
/// the table yet.
///
/// # Errors
/// A file can't be read or written, or rows are missing; nothing is left then.
pub(super) fn rewrite(work: &Work<'_>, group: &Group) -> Result<Option<Rewritten>, SinkError> {
    let mut output = Output::new(work, group)?;
    let read = match work.key {
        Some(key) => sort(work, key, group, &mut output)?,
        None => copy(work, group, &mut output)?,
    };
    let Some(expected) = read else { return Ok(None) };
    let rewritten = output.finish()?;
    let found = rewritten.rows();
    if found != expected {
        return Err(SinkError::CompactionRows {
            table: work.location.display().to_string(),
            files: group
                .files
                .iter()
                .map(|file| file.path.as_str())
                .take(3)
                .collect::<Vec<_>>()
                .join(", "),
            found,
            expected,
        });
    }
    Ok(Some(rewritten))
}

/// Gives how many rows were read; none where it was stopped.
fn copy(work: &Work<'_>, group: &Group, output: &mut Output<'_>) -> Result<Option<u64>, SinkError> {
    let mut read = 0;
    for file in &group.files {
        let mut rows = FileRows::open(work.location, work.schema, file, READ_BATCH_ROWS)?;
        while let Some(batch) = rows.next_batch()? {
            if work.is_stopped() {
                return Ok(None);
            }
            read += batch.num_rows() as u64;
            output.write(&batch)?;
        }
    }
    Ok(Some(read))
}

/// As [`copy`], in the order of `key`.
fn sort(
    work: &Work<'_>,
    key: &SortKey,
    group: &Group,
    output: &mut Output<'_>,
) -> Result<Option<u64>, SinkError> {
    let mut sorter = Sorter::new(work, key);
    let (mut read, mut in_order) = (0, Vec::new());
    for file in &group.files {
        if in_order.len() < FILES_MAX
            && let Some(rows) = rows_in_order(work.location, file, key)?
        {
            read += rows;
            in_order.push(file);
            continue;
        }
        let mut rows = FileRows::open(work.location, work.schema, file, READ_BATCH_ROWS)?;
        while let Some(batch) = rows.next_batch()? {
            if work.is_stopped() {
                return Ok(None);
            }
            read += batch.num_rows() as u64;
            sorter.push(batch)?;
        }
    }
    let mut sorted = sorter.finish(&in_order)?;
    while let Some(batch) = sorted.next_batch()? {
        if work.is_stopped() {
            return Ok(None);
        }
        output.write(&batch)?;
    }
    // Rows of a sort that was stopped halfway are not all there.
    Ok((!work.is_stopped()).then_some(read))
}
