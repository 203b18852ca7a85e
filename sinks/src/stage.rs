//! Staging: each worker writes the rows of an epoch to Parquet files that nobody sees until the
//! epoch is delivered.
//!
//! A [`Stager`] reads no clock and draws no random numbers: the same rows, epoch, generation and
//! worker give the same files. A generation belongs to one run, so no two runs write the same name.
//! A file has to be synced (by [`sync_files`], from any thread) before an epoch file names it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use riskstream_engine::disk::{Disk, Folder};
use serde::{Deserialize, Serialize};

use crate::error::SinkError;
use crate::parquet_settings::{StageSettings, contents, stage_properties};
use crate::partition::{EventDay, split_by_day};
use crate::row_group::FileLayout;
use crate::stats::{delta_stats, number_stats};
use crate::table::{TableSpec, column_names};

/// The folder name that Hive-style partitioning uses for a missing value.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// A Parquet file that waits for delivery; what an epoch file stores about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// The path below the table's folder, with `/`.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// The file's size.
    pub bytes: u64,
    /// Partition column to value, `None` where the event time is missing.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Delta's per-file statistics.
    pub stats_json: String,
}

/// Writes one worker's rows of each epoch to staged files.
#[derive(Debug)]
pub struct Stager {
    spec: TableSpec,
    settings: StageSettings,
    generation: u64,
    worker: u32,
    time_index: Option<usize>,
    /// Made from the first rows.
    layout: Option<FileLayout>,
    folders_made: HashSet<PathBuf>,
}

impl Stager {
    /// A stager for one worker of one run.
    ///
    /// # Errors
    /// The table's partition rule does not fit its columns.
    pub fn new(
        spec: TableSpec,
        generation: u64,
        worker: u32,
        settings: StageSettings,
    ) -> Result<Self, SinkError> {
        let time_index = spec.time_column_index()?;
        Ok(Self {
            spec,
            settings,
            generation,
            worker,
            time_index,
            layout: None,
            folders_made: HashSet::new(),
        })
    }

    /// Writes the rows of an epoch, one file per event date, and returns the files; none for no
    /// rows. To be called at most once per epoch, since the names carry the epoch. The files are
    /// not synced yet.
    ///
    /// # Errors
    /// Batches with other columns than the table's, event times beyond the calendar, a full or
    /// failing disk.
    pub fn stage(
        &mut self,
        epoch: u64,
        batches: &[RecordBatch],
    ) -> Result<Vec<StagedFile>, SinkError> {
        for batch in batches {
            self.check_schema(batch)?;
        }
        let parts = match self.time_index {
            Some(index) => split_by_day(&self.spec.name, index, batches)?,
            None => {
                let rows: Vec<RecordBatch> =
                    batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
                let mut parts = BTreeMap::new();
                if !rows.is_empty() {
                    parts.insert(None, rows);
                }
                parts
            }
        };
        let mut files = Vec::with_capacity(parts.len());
        for (number, (day, rows)) in parts.into_iter().enumerate() {
            files.push(self.write_file(epoch, number, day, &rows)?);
        }
        Ok(files)
    }

    fn write_file(
        &mut self,
        epoch: u64,
        number: usize,
        day: EventDay,
        rows: &[RecordBatch],
    ) -> Result<StagedFile, SinkError> {
        let (folder, partition_values) = self.partition(day);
        let name = format!(
            "part-{:06}-{epoch:012}-{:04}-{number:04}.parquet",
            self.generation, self.worker
        );
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let full_path = self.spec.location.join(&path);
        self.make_folder(&full_path)?;

        let mut layout = match self.layout.take() {
            Some(layout) => layout,
            None => {
                let properties =
                    stage_properties(&self.spec.schema, &contents(&rows[0]), &self.settings);
                FileLayout::new(parquet_schema(&self.spec.schema), properties)
                    .map_err(SinkError::parquet(&full_path))?
            }
        };
        let written =
            write_parquet(self.spec.location.disk().as_ref(), &full_path, &mut layout, rows)?;
        self.layout = Some(layout);
        Ok(StagedFile {
            path,
            rows: written.rows,
            bytes: written.bytes,
            partition_values,
            stats_json: written.stats_json,
        })
    }

    fn partition(&self, day: EventDay) -> (String, BTreeMap<String, Option<String>>) {
        let Some(rule) = &self.spec.partition else {
            return (String::new(), BTreeMap::new());
        };
        let column = rule.partition_column();
        let value = day.and_then(date_text);
        let folder = format!("{column}={}", value.as_deref().unwrap_or(NULL_PARTITION));
        (folder, BTreeMap::from([(column.to_owned(), value)]))
    }

    fn make_folder(&mut self, file: &Path) -> Result<(), SinkError> {
        let Some(folder) = file.parent() else {
            return Ok(());
        };
        if self.folders_made.contains(folder) {
            return Ok(());
        }
        // Not the folders above: where the table's own is not there it is away, and another one in
        // its place would be a table without its rows.
        match self.spec.location.disk().make_folder(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(SinkError::io("create folder", folder)(error));
            }
            Ok(()) | Err(_) => self.folders_made.insert(folder.to_owned()),
        };
        Ok(())
    }

    fn check_schema(&self, batch: &RecordBatch) -> Result<(), SinkError> {
        let (found, expected) = (batch.schema_ref(), &self.spec.schema);
        let same = Arc::ptr_eq(found, expected)
            || (found.fields().len() == expected.fields().len()
                && found
                    .fields()
                    .iter()
                    .zip(expected.fields())
                    .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type()));
        if same {
            return Ok(());
        }
        let with_types = |schema: &Schema| {
            let columns: Vec<String> = schema
                .fields()
                .iter()
                .map(|field| format!("{} {}", field.name(), field.data_type()))
                .collect();
            columns.join(", ")
        };
        let names_differ = column_names(found) != column_names(expected);
        let text = |schema: &Schema| {
            if names_differ { column_names(schema) } else { with_types(schema) }
        };
        Err(SinkError::BatchSchema {
            table: self.spec.name.clone(),
            found: text(found),
            expected: text(expected),
        })
    }
}

/// Makes staged files durable: the files, the folders that name them, and the table's folder. Safe
/// to call from several threads and more than once.
///
/// # Errors
/// A file is missing or the disk fails.
pub fn sync_files(table_root: impl Into<Folder>, files: &[StagedFile]) -> Result<(), SinkError> {
    if files.is_empty() {
        return Ok(());
    }
    let table_root = table_root.into();
    let paths: Vec<PathBuf> = files.iter().map(|file| table_root.join(&file.path)).collect();
    let mut folders: BTreeSet<PathBuf> =
        paths.iter().filter_map(|path| path.parent().map(Path::to_owned)).collect();
    folders.insert(table_root.path().to_owned());
    let sync = |paths: &[PathBuf]| {
        table_root.disk().sync_all(paths).map_err(SinkError::io("sync files of", table_root.path()))
    };
    sync(&paths)?;
    // Folders after files: a name that is durable names a whole file.
    sync(&Vec::from_iter(folders))
}

/// Syncs a file, or a folder's entries.
pub(crate) fn sync_path(disk: &dyn Disk, path: &Path) -> Result<(), SinkError> {
    disk.sync(path).map_err(SinkError::io("sync", path))
}

/// What was written to a Parquet file.
#[derive(Debug)]
struct WrittenFile {
    rows: u64,
    bytes: u64,
    stats_json: String,
}

/// Writes batches to a new Parquet file, without syncing it. A file of the same name is replaced.
fn write_parquet(
    disk: &dyn Disk,
    path: &Path,
    layout: &mut FileLayout,
    batches: &[RecordBatch],
) -> Result<WrittenFile, SinkError> {
    let file = disk.create(path).map_err(SinkError::io("create", path))?;
    let mut writer = layout
        .start(BufWriter::with_capacity(WRITE_BUFFER_BYTES, file))
        .map_err(SinkError::parquet(path))?;
    // The columns as the file has them: names and types were checked by the caller.
    let batches = batches.iter().map(|batch| {
        Ok(RecordBatch::try_new(Arc::clone(layout.schema()), batch.columns().to_vec())?)
    });
    let batches = batches.collect::<Result<Vec<_>, SinkError>>()?;
    for group in row_groups(&batches, layout.group_rows_max()) {
        layout.write_row_group(&mut writer, &group).map_err(SinkError::parquet(path))?;
    }
    let metadata = writer.finish().map_err(SinkError::parquet(path))?;
    let bytes = writer.bytes_written() as u64;
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let stats_json =
        delta_stats(layout.schema(), &metadata, &[], number_stats(layout.schema(), &batches));
    writer.inner_mut().flush().map_err(SinkError::io("write", path))?;
    Ok(WrittenFile { rows, bytes, stats_json })
}

/// The rows of `batches`, in groups of at most `rows_max`.
fn row_groups(batches: &[RecordBatch], rows_max: usize) -> Vec<Vec<RecordBatch>> {
    let mut groups: Vec<Vec<RecordBatch>> = vec![Vec::new()];
    let mut room = rows_max.max(1);
    for batch in batches {
        let mut from = 0;
        while from < batch.num_rows() {
            if room == 0 {
                groups.push(Vec::new());
                room = rows_max.max(1);
            }
            let taken = room.min(batch.num_rows() - from);
            if let Some(group) = groups.last_mut() {
                group.push(batch.slice(from, taken));
            }
            from += taken;
            room -= taken;
        }
    }
    groups
}

/// The columns as they are written: all nullable, so that files agree with the log whatever the
/// batches promised.
pub(crate) fn parquet_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// A day since 1970 as `2018-04-01`.
pub(crate) fn date_text(day: i32) -> Option<String> {
    let date = chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0)?;
    Some(date.format("%Y-%m-%d").to_string())
}
