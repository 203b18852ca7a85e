//! Compaction of a table: its small files, group by group.

use std::sync::atomic::{AtomicUsize, Ordering};

use riskstream_engine::disk::Folder;

use super::choose::{Group, choose};
use super::commit::commit;
use super::options::MaintainOptions;
use super::output::Rewritten;
use super::report::MaintainReport;
use super::rewrite::rewrite;
use super::sort_key::SortKey;
use super::work::Work;
use crate::error::{ErrorClass, SinkError};
use crate::runtime::DeltaRuntime;
use crate::snapshot::TableSnapshot;
use crate::stage::{StagedFile, parquet_schema, sync_files};

/// Groups whose files go into one commit: few enough for a small commit, many enough for few
/// versions.
const GROUPS_PER_COMMIT: usize = 32;
/// The same in files of the target size: what a crash may cost.
const TARGETS_PER_COMMIT: u64 = 8;

/// What a thread made of a group; none where it was stopped.
type Made = Result<Option<Rewritten>, SinkError>;

/// Compacts, or says what there is to compact.
///
/// # Errors
/// The log can't be read, or is one that this program must not change; or a file can't be read or
/// written: the other groups are compacted then all the same, unless the disk is at fault.
pub(super) fn compact(
    runtime: &DeltaRuntime,
    location: &Folder,
    options: &MaintainOptions,
) -> Result<MaintainReport, SinkError> {
    let snapshot = TableSnapshot::open(runtime, location)?;
    check_protocol(&snapshot)?;
    let schema = parquet_schema(snapshot.file_schema()?.as_ref());
    let key = SortKey::of(&schema, &options.sort_by)?;
    let groups = choose(snapshot.files()?, options);
    let sorted_by = key.as_ref().map_or_else(Vec::new, |key| key.names().to_vec());
    let mut report = MaintainReport { sorted_by, ..MaintainReport::default() };
    if options.dry_run {
        for group in &groups {
            report.files_compacted += group.files.len() as u64;
            report.files_written += group.files_after(options.target_file_bytes);
            report.rows_rewritten += group.files.iter().filter_map(|file| file.rows).sum::<u64>();
            report.bytes_before += group.bytes();
        }
        return Ok(report);
    }
    let threads = options.threads.max(1);
    let work = Work {
        location,
        schema: &schema,
        key: key.as_ref(),
        target_file_bytes: options.target_file_bytes,
        memory_bytes: options.memory_bytes / threads,
        stop: &options.stop,
    };
    let mut failure = None;
    for some in portions(&groups, options.target_file_bytes) {
        let mut made = Vec::with_capacity(some.len());
        for (group, result) in some.iter().zip(rewrite_all(&work, some, threads)) {
            match result {
                // Files without a row are left as they are.
                Ok(Some(new)) if new.files.is_empty() => {}
                Ok(Some(new)) => made.push((group, new)),
                Ok(None) => report.stopped = true,
                Err(error) => {
                    let _first = failure.get_or_insert(error);
                }
            }
        }
        if !made.is_empty() {
            put_in_place(runtime, location, options.target_file_bytes, made, &mut report)?;
        }
        report.stopped |= work.is_stopped();
        let is_hopeless = failure.as_ref().is_some_and(|error| error.class() != ErrorClass::Bug);
        if report.stopped || is_hopeless {
            break;
        }
    }
    failure.map_or(Ok(report), Err)
}

/// Makes new files durable, commits them, and says so.
fn put_in_place(
    runtime: &DeltaRuntime,
    location: &Folder,
    target_file_bytes: u64,
    mut made: Vec<(&Group, Rewritten)>,
    report: &mut MaintainReport,
) -> Result<(), SinkError> {
    let files: Vec<StagedFile> =
        made.iter().flat_map(|(_, new)| new.files.iter().cloned()).collect();
    sync_files(location, &files)?;
    let landed = commit(runtime, location, target_file_bytes, &mut made)?;
    report.groups_skipped += (made.len() - landed.len()) as u64;
    for (group, new) in landed.into_iter().map(|number| &made[number]) {
        report.files_compacted += group.files.len() as u64;
        report.files_written += new.files.len() as u64;
        report.rows_rewritten += new.rows();
        report.bytes_before += group.bytes();
        report.bytes_after += new.files.iter().map(|file| file.bytes).sum::<u64>();
    }
    Ok(())
}

/// Other writers may mark rows of a file as deleted, or call columns otherwise in files; such
/// tables say so by a higher protocol, and their files can't be rewritten as they are.
fn check_protocol(snapshot: &TableSnapshot) -> Result<(), SinkError> {
    let (reader, writer) = snapshot.protocol()?;
    if reader <= 1 && writer <= 2 {
        return Ok(());
    }
    let location = snapshot.location();
    let name = location.file_name().unwrap_or(location.as_os_str());
    Err(SinkError::UnsupportedProtocol {
        table: name.to_string_lossy().into_owned(),
        location: location.to_owned(),
        reader,
        writer,
    })
}

/// Groups that are committed together.
fn portions(mut groups: &[Group], target_file_bytes: u64) -> impl Iterator<Item = &[Group]> {
    let bytes_max = target_file_bytes.saturating_mul(TARGETS_PER_COMMIT);
    std::iter::from_fn(move || {
        let mut bytes = 0_u64;
        let count = groups
            .iter()
            .take(GROUPS_PER_COMMIT)
            .take_while(|group| {
                let is_first = bytes == 0;
                bytes = bytes.saturating_add(group.bytes().max(1));
                is_first || bytes <= bytes_max
            })
            .count();
        let (some, rest) = groups.split_at(count);
        groups = rest;
        (!some.is_empty()).then_some(some)
    })
}

/// Rewrites groups, several at a time where there are threads for it.
fn rewrite_all(work: &Work<'_>, groups: &[Group], threads: usize) -> Vec<Made> {
    let threads = threads.min(groups.len());
    if threads <= 1 || !work.location.disk().has_threads() {
        return groups.iter().map(|group| rewrite(work, group)).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut made: Vec<(usize, Made)> = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(number) else { return made };
            made.push((number, rewrite(work, group)));
        }
    };
    let mut made = std::thread::scope(|scope| {
        let helper = || std::thread::Builder::new().name("maintain".into());
        // Where the system gives no thread, there are fewer.
        let helpers: Vec<_> =
            (1..threads).filter_map(|_| helper().spawn_scoped(scope, worker).ok()).collect();
        let mut made = worker();
        for helper in helpers {
            // A panic of a thread is passed on.
            made.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        made
    });
    made.sort_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}
