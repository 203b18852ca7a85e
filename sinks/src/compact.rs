//! Compaction: the small files of a partition become one, in a commit that changes no data.
//!
//! The commit is put at the version after the one whose log was read. If another commit took that
//! version, the log is read again: while all files to be replaced are still there, the same
//! compaction goes to the next version, otherwise it is dropped. An append never notices more than
//! a version that is taken, which its own retry handles, so neither side fails.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use deltalake_core::kernel::{Action, Remove};
use deltalake_core::protocol::DeltaOperation;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use riskstream_engine::disk::Folder;
use serde_json::Map;

use crate::delta::add_action;
use crate::error::SinkError;
use crate::log::{Put, commit_bytes, put_commit};
use crate::maintain_options::MaintainOptions;
use crate::parquet_file::ParquetFile;
use crate::parquet_settings::compacted_properties;
use crate::runtime::DeltaRuntime;
use crate::snapshot::{ActiveFile, TableSnapshot};
use crate::stage::{StagedFile, sync_files};
use crate::stats::{delta_stats, nan_columns};

/// Groups whose files go into one commit: few enough for a small commit, many enough for few
/// versions.
const GROUPS_PER_COMMIT: usize = 32;
const READ_BATCH_ROWS: usize = 8192;
const ATTEMPTS_MAX: u32 = 20;

/// What compaction did, or would do.
#[derive(Debug, Default)]
pub(crate) struct Compacted {
    pub(crate) files_before: u64,
    pub(crate) files_after: u64,
    pub(crate) rows: u64,
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
    pub(crate) groups_skipped: u64,
}

type PartitionValues = BTreeMap<String, Option<String>>;

/// The files that become one.
struct Group {
    partition_values: PartitionValues,
    files: Vec<ActiveFile>,
}

pub(crate) fn compact(
    runtime: &DeltaRuntime,
    location: &Folder,
    options: &MaintainOptions,
) -> Result<Compacted, SinkError> {
    let snapshot = TableSnapshot::open(runtime, location)?;
    let groups = plan(snapshot.files()?, options);
    let mut report = Compacted::default();
    if options.dry_run {
        for group in &groups {
            report.files_before += group.files.len() as u64;
            report.files_after += 1;
            report.rows += group.files.iter().filter_map(|file| file.rows).sum::<u64>();
            report.bytes_before += group.files.iter().map(|file| file.bytes).sum::<u64>();
        }
        return Ok(report);
    }
    let schema = snapshot.file_schema()?;
    for chunk in groups.chunks(GROUPS_PER_COMMIT) {
        let mut written = Vec::with_capacity(chunk.len());
        for group in chunk {
            written.push(rewrite(location, &schema, group)?);
        }
        sync_files(location, &written)?;
        commit(runtime, location, options, chunk, &written, &mut report)?;
    }
    Ok(report)
}

/// Packs each partition's small files, in the order of their names (which is that of the epochs),
/// into groups of about the target size.
fn plan(files: Vec<ActiveFile>, options: &MaintainOptions) -> Vec<Group> {
    let small_below = options.target_file_bytes / 4 * 3;
    let mut partitions: BTreeMap<PartitionValues, Vec<ActiveFile>> = BTreeMap::new();
    for file in files {
        if file.bytes < small_below {
            partitions.entry(file.partition_values.clone()).or_default().push(file);
        }
    }
    let mut groups = Vec::new();
    for (partition_values, mut files) in partitions {
        if files.len() < options.min_files.max(2) {
            continue;
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut group: Vec<ActiveFile> = Vec::new();
        let mut bytes = 0;
        for file in files {
            if bytes + file.bytes > options.target_file_bytes && !group.is_empty() {
                push_group(&mut groups, &partition_values, std::mem::take(&mut group));
                bytes = 0;
            }
            bytes += file.bytes;
            group.push(file);
        }
        push_group(&mut groups, &partition_values, group);
    }
    groups
}

fn push_group(groups: &mut Vec<Group>, partition_values: &PartitionValues, files: Vec<ActiveFile>) {
    if files.len() >= 2 {
        groups.push(Group { partition_values: partition_values.clone(), files });
    }
}

/// Reads a group's files, a batch at a time, into one new file.
fn rewrite(location: &Folder, schema: &SchemaRef, group: &Group) -> Result<StagedFile, SinkError> {
    Ok(rewrite_where(location, schema, group, |_| Ok(None))?.0)
}

/// Reads a file into a new one without the rows for which `keep` is false; gives the new one, and
/// how many rows were read.
pub(crate) fn rewrite_one(
    location: &Folder,
    schema: &SchemaRef,
    file: &ActiveFile,
    keep: impl Fn(&RecordBatch) -> Result<BooleanArray, SinkError>,
) -> Result<(StagedFile, u64), SinkError> {
    let group =
        Group { partition_values: file.partition_values.clone(), files: vec![file.clone()] };
    rewrite_where(location, schema, &group, |batch| Ok(Some(keep(batch)?)))
}

/// As [`rewrite`], with only the rows that `keep` picks, where it picks; gives how many rows were
/// read too.
fn rewrite_where(
    location: &Folder,
    schema: &SchemaRef,
    group: &Group,
    keep: impl Fn(&RecordBatch) -> Result<Option<BooleanArray>, SinkError>,
) -> Result<(StagedFile, u64), SinkError> {
    let first = &group.files[0].path;
    let folder = first.rsplit_once('/').map_or("", |(folder, _)| folder);
    // Random, so that two maintenance runs never write the same file.
    let name = format!(
        "compact-{:016x}{:016x}.parquet",
        location.disk().unique(),
        location.disk().unique()
    );
    let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
    let full_path = location.join(&path);

    let file =
        location.disk().create_new(&full_path).map_err(SinkError::io("create", &full_path))?;
    let writer_options = ArrowWriterOptions::new()
        .with_properties(compacted_properties())
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, schema.clone(), writer_options)
        .map_err(SinkError::parquet(&full_path))?;
    let mut has_nan = vec![false; schema.fields().len()];
    let (mut rows, mut kept_rows) = (0u64, 0u64);
    for source in &group.files {
        let source_path = location.join(&source.path);
        let file =
            location.disk().open(&source_path).map_err(SinkError::io("open", &source_path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(ParquetFile(file.into()))
            .and_then(|builder| builder.with_batch_size(READ_BATCH_ROWS).build())
            .map_err(SinkError::parquet(&source_path))?;
        let mut source_rows = 0u64;
        for batch in reader {
            let batch = conform(&batch?, schema)?;
            source_rows += batch.num_rows() as u64;
            let batch = match keep(&batch)? {
                Some(kept) => filter_record_batch(&batch, &kept)?,
                None => batch,
            };
            kept_rows += batch.num_rows() as u64;
            for (found, nan) in
                has_nan.iter_mut().zip(nan_columns(schema, std::slice::from_ref(&batch)))
            {
                *found |= nan;
            }
            writer.write(&batch).map_err(SinkError::parquet(&full_path))?;
        }
        if let Some(logged) = source.rows.filter(|logged| *logged != source_rows) {
            // What can't be removed is left to the vacuum.
            let _left = location.disk().remove(&full_path);
            return Err(SinkError::CompactionRows {
                table: location.display().to_string(),
                partition: source.path.clone(),
                read: source_rows,
                logged,
            });
        }
        rows += source_rows;
    }
    let metadata = writer.finish().map_err(SinkError::parquet(&full_path))?;
    let file = StagedFile {
        path,
        rows: kept_rows,
        bytes: writer.bytes_written() as u64,
        partition_values: group.partition_values.clone(),
        stats_json: delta_stats(schema, &metadata, &has_nan, Vec::new()),
    };
    Ok((file, rows))
}

/// The batch with the table's columns in the table's order: a column that was added later is null
/// in an old file.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SinkError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<ArrayRef>, SinkError>>()?;
    let nullable = Schema::new(
        schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>(),
    );
    Ok(RecordBatch::try_new(Arc::new(nullable), columns)?)
}

fn commit(
    runtime: &DeltaRuntime,
    location: &Folder,
    options: &MaintainOptions,
    groups: &[Group],
    written: &[StagedFile],
    report: &mut Compacted,
) -> Result<(), SinkError> {
    let mut reason = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let snapshot = TableSnapshot::open(runtime, location)?;
        let active: HashSet<String> = snapshot.files()?.into_iter().map(|file| file.path).collect();
        // An earlier attempt with an unknown outcome may have landed after all.
        let landed = written.iter().any(|file| active.contains(&file.path));
        let live: Vec<(&Group, &StagedFile)> = groups
            .iter()
            .zip(written)
            .filter(|(group, file)| {
                if landed {
                    active.contains(&file.path)
                } else {
                    group.files.iter().all(|source| active.contains(&source.path))
                }
            })
            .collect();
        let outcome = if landed || live.is_empty() {
            Ok(Put::Landed)
        } else {
            put(location, snapshot.version(), options, &live)
        };
        match outcome {
            Ok(Put::Landed) => {
                discard(location, written, &live);
                for (group, file) in &live {
                    report.files_before += group.files.len() as u64;
                    report.files_after += 1;
                    report.rows += file.rows;
                    report.bytes_before +=
                        group.files.iter().map(|source| source.bytes).sum::<u64>();
                    report.bytes_after += file.bytes;
                }
                report.groups_skipped += (groups.len() - live.len()) as u64;
                return Ok(());
            }
            Ok(Put::Taken) => reason = format!("version {} was taken", snapshot.version() + 1),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(SinkError::DeliveryGaveUp {
        table: location.display().to_string(),
        attempts: ATTEMPTS_MAX,
        reason,
    })
}

fn put(
    location: &Folder,
    version: u64,
    options: &MaintainOptions,
    live: &[(&Group, &StagedFile)],
) -> Result<Put, SinkError> {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let removes = live.iter().flat_map(|(group, _)| &group.files).map(|file| {
        Action::Remove(Remove {
            path: file.path.clone(),
            data_change: false,
            deletion_timestamp: Some(now_ms),
            extended_file_metadata: Some(true),
            partition_values: Some(file.partition_values.clone().into_iter().collect()),
            size: i64::try_from(file.bytes).ok(),
            ..Remove::default()
        })
    });
    let adds = live.iter().map(|(_, file)| Action::Add(add_action(file, now_ms, false)));
    let operation = DeltaOperation::Optimize {
        predicate: None,
        target_size: i64::try_from(options.target_file_bytes).unwrap_or(i64::MAX),
    };
    let actions = removes.chain(adds).collect();
    let bytes = commit_bytes(actions, operation, Map::new(), Vec::new())?;
    put_commit(location, version + 1, bytes)
}

/// Removes new files that did not come to be part of the table; what fails here is left to the
/// vacuum.
fn discard(location: &Folder, written: &[StagedFile], live: &[(&Group, &StagedFile)]) {
    for file in written {
        if !live.iter().any(|(_, kept)| kept.path == file.path) {
            let _left = location.disk().remove(&location.join(&file.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(date: &str, number: u64, bytes: u64) -> ActiveFile {
        ActiveFile {
            path: format!("event_date={date}/part-{number:03}.parquet"),
            bytes,
            rows: Some(1),
            partition_values: BTreeMap::from([("event_date".into(), Some(date.into()))]),
            stats_json: None,
            modified_ms: 0,
        }
    }

    #[test]
    fn small_files_are_packed_per_partition_up_to_the_target() {
        let options =
            MaintainOptions { target_file_bytes: 100, min_files: 3, ..MaintainOptions::default() };
        let mut files: Vec<ActiveFile> = (0..7).map(|n| file("2018-04-01", n, 30)).collect();
        files.push(file("2018-04-01", 7, 90));
        files.extend((0..2).map(|n| file("2018-04-02", n, 10)));
        let groups = plan(files, &options);
        let sizes: Vec<usize> = groups.iter().map(|group| group.files.len()).collect();
        assert_eq!(sizes, [3, 3], "the seventh is alone, the large one and the second day stay");
        assert!(groups[0].files.is_sorted_by_key(|file| file.path.clone()));
    }
}
