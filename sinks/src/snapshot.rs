//! A table at one version, read from its Delta log: columns, active files, and the epochs that
//! applications recorded.
//!
//! A snapshot is read from the log, or read on from an older one by the commits since. Each reading
//! on leaves a batch of its own in memory, through which the next one goes again, so after
//! [`READINGS_ON_MAX`] of them the log is read anew. (A new checkpoint in the log has deltalake do
//! that by itself.)

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake_core::kernel::{LogicalFileView, Metadata, StructType};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use riskstream_engine::disk::Folder;
use url::Url;

use crate::error::SinkError;
use crate::log::log_folder;
use crate::objects::DiskObjects;
use crate::runtime::DeltaRuntime;
use crate::table::logical_type;
use crate::watch::Watch;

/// How often a snapshot is read on before the log is read anew.
const READINGS_ON_MAX: u32 = 100;

/// Before the path of a table on a disk that is not this machine's.
const ELSEWHERE: &str = "memory://";

/// A data file that belongs to a table's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveFile {
    /// The path below the table's folder.
    pub path: String,
    /// The file's size.
    pub bytes: u64,
    /// Rows in the file, if the log says.
    pub rows: Option<u64>,
    /// Partition column to value.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Delta's per-file statistics as JSON, if the log has them.
    pub stats_json: Option<String>,
    /// When the log says the file was written, milliseconds since 1970.
    pub modified_ms: i64,
}

/// A table pinned at one version. Later commits do not change it.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    location: Folder,
    table: DeltaTable,
    /// How often it was read on.
    read_on: u32,
}

impl TableSnapshot {
    /// Reads the newest version. For callers on a thread of their own.
    ///
    /// # Errors
    /// There is no table, or its log can't be read.
    pub fn open(runtime: &DeltaRuntime, location: impl Into<Folder>) -> Result<Self, SinkError> {
        runtime.block_on(Self::open_async(location))
    }

    /// Reads the newest version, within an async task.
    ///
    /// # Errors
    /// There is no table, or its log can't be read.
    pub async fn open_async(location: impl Into<Folder>) -> Result<Self, SinkError> {
        Self::load(location.into(), None).await
    }

    /// Reads one version, within an async task. [`LogVersions`](crate::LogVersions) says which the
    /// log can tell of.
    ///
    /// # Errors
    /// There is no table, the log has no such version, or it can't be read.
    pub async fn open_version_async(
        location: impl Into<Folder>,
        version: u64,
    ) -> Result<Self, SinkError> {
        Self::load(location.into(), Some(version)).await
    }

    /// The newest version, within an async task: by the commits since this one, where the log has
    /// them all.
    ///
    /// # Errors
    /// There is no table any more, or its log can't be read.
    pub async fn newer_async(&self) -> Result<Self, SinkError> {
        if self.read_on < READINGS_ON_MAX {
            let mut table = self.table.clone();
            // Where that fails, commits may have been trimmed that this version would need: then
            // the log is read anew, and that says what is wrong with it if anything is.
            if table.update_incremental(None).await.is_ok() {
                let read_on = self.read_on + u32::from(table.version() != self.table.version());
                return Ok(Self { location: self.location.clone(), table, read_on });
            }
        }
        Self::load(self.location.clone(), None).await
    }

    async fn load(location: Folder, version: Option<u64>) -> Result<Self, SinkError> {
        let not_a_table = || SinkError::NotATable { location: location.path().to_owned() };
        let log = log_folder(&location);
        let found = location.disk().look(&log).map_err(SinkError::io("look for", &log))?;
        if found.is_none_or(|found| !found.is_folder) {
            return Err(not_a_table());
        }
        let mut watch = Watch::begin(&location)?;
        let table = loop {
            let mut builder = table_builder(&location)?;
            if let Some(version) = version {
                builder = builder.with_version(version);
            }
            match builder.load().await {
                Ok(table) => break table,
                Err(DeltaTableError::NotATable(_)) => return Err(not_a_table()),
                Err(error) => {
                    if !watch.has_changed()? {
                        return Err(SinkError::delta(location.path())(error));
                    }
                }
            }
        };
        Ok(Self { location, table, read_on: 0 })
    }

    /// The table's folder.
    pub fn location(&self) -> &Path {
        &self.location
    }

    /// The table's folder, and its disk.
    pub(crate) fn folder(&self) -> &Folder {
        &self.location
    }

    /// The version read.
    pub fn version(&self) -> u64 {
        self.table.version().unwrap_or(0)
    }

    /// The columns a reader sees, in the log's order, partition columns included.
    ///
    /// # Errors
    /// The log's schema has a type that Arrow lacks.
    pub fn schema(&self) -> Result<SchemaRef, SinkError> {
        let kernel = self.state()?.schema();
        let schema: Schema = kernel.as_ref().try_into_arrow()?;
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|field| {
                Field::new(field.name(), logical_type(field.data_type()), field.is_nullable())
            })
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The partition columns.
    ///
    /// # Errors
    /// Never for a snapshot that was opened; kept for symmetry.
    pub fn partition_by(&self) -> Result<Vec<String>, SinkError> {
        Ok(self.metadata()?.partition_columns().to_vec())
    }

    /// The columns stored in the files: all but the partition columns.
    ///
    /// # Errors
    /// The log's schema has a type that Arrow lacks.
    pub fn file_schema(&self) -> Result<SchemaRef, SinkError> {
        let partitions = self.partition_by()?;
        let schema = self.schema()?;
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .filter(|field| !partitions.contains(field.name()))
            .cloned()
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The files of this version. All rows of them are the table's.
    ///
    /// # Errors
    /// The log can't be read; or another program has deleted rows by a deletion vector, beside a
    /// file that still has them.
    pub fn files(&self) -> Result<Vec<ActiveFile>, SinkError> {
        let file = |view: LogicalFileView| {
            if view.deletion_vector_descriptor().is_some() {
                let said = format!(
                    "rows of {} are deleted by a deletion vector, which this program does not \
                     read: have the files rewritten by the program that deleted them",
                    view.path()
                );
                let delta = SinkError::delta(self.location.path());
                return Err(delta(DeltaTableError::Generic(said)));
            }
            Ok(ActiveFile {
                path: view.path().into_owned(),
                bytes: u64::try_from(view.size()).unwrap_or(0),
                rows: view.num_records().map(|rows| rows as u64),
                partition_values: view.partition_values_map().into_iter().collect(),
                stats_json: view.stats(),
                modified_ms: view.modification_time(),
            })
        };
        self.state()?.log_data().iter().map(file).collect()
    }

    /// The epoch recorded for an application, if any.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn delivered_through(&self, app_id: &str) -> Result<Option<i64>, SinkError> {
        let log_store = self.table.log_store();
        self.state()?
            .transaction_version(log_store.as_ref(), app_id)
            .await
            .map_err(SinkError::delta(self.location.path()))
    }

    pub(crate) fn delta_table(&self) -> &DeltaTable {
        &self.table
    }

    pub(crate) fn metadata(&self) -> Result<&Metadata, SinkError> {
        Ok(self.state()?.metadata())
    }

    pub(crate) fn kernel_schema(&self) -> Result<Arc<StructType>, SinkError> {
        Ok(self.state()?.schema())
    }

    /// The reader and writer version that the table asks for.
    pub(crate) fn protocol(&self) -> Result<(i32, i32), SinkError> {
        let protocol = self.state()?.protocol();
        Ok((protocol.min_reader_version(), protocol.min_writer_version()))
    }

    fn state(&self) -> Result<&deltalake_core::table::state::DeltaTableState, SinkError> {
        self.table.snapshot().map_err(SinkError::delta(self.location.path()))
    }
}

/// What opens a table's log, through the disk that the table is on.
pub(crate) fn table_builder(location: &Folder) -> Result<DeltaTableBuilder, SinkError> {
    let url = table_url(location)?;
    let failed = SinkError::delta(location.path());
    if location.disk().is_local() {
        return DeltaTableBuilder::from_url(url).map_err(failed);
    }
    // What deltalake takes for a path of this machine it looks for there.
    let elsewhere = format!("{ELSEWHERE}{}", url.path());
    let not_a_table = |_| SinkError::NotATable { location: location.path().to_owned() };
    let url = Url::parse(&elsewhere).map_err(not_a_table)?;
    let objects = Arc::new(DiskObjects(Arc::clone(location.disk())));
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(failed)?;
    Ok(builder.with_storage_backend(objects, url))
}

pub(crate) fn table_url(location: &Path) -> Result<Url, SinkError> {
    let absolute = std::path::absolute(location).map_err(SinkError::io("resolve", location))?;
    Url::from_directory_path(&absolute)
        .map_err(|()| SinkError::NotATable { location: location.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of one file, two of whose five rows another program has deleted.
    const DELETED: &str = r#"
{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],
"writerFeatures":["deletionVectors"]}}
{"metaData":{"id":"f","format":{"provider":"parquet","options":{}},"schemaString":
"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",
\"nullable\":true,\"metadata\":{}}]}",
"partitionColumns":[],"configuration":{"delta.enableDeletionVectors":"true"},"createdTime":0}}
{"add":{"path":"a.parquet","partitionValues":{},"size":10,"modificationTime":0,"dataChange":true,
"stats":"{\"numRecords\":5}"VECTOR}}
"#;
    const VECTOR: &str = r#","deletionVector":{"storageType":"u","pathOrInlineDv":
"vBn[lx{q8@P<9BNH/isA","offset":1,"sizeInBytes":36,"cardinality":2}"#;

    #[test]
    fn rows_that_another_program_has_deleted_are_not_taken_for_rows() {
        let runtime = DeltaRuntime::new().unwrap();
        for (vector, is_read) in [("", true), (VECTOR, false)] {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("_delta_log");
            std::fs::create_dir(&log).unwrap();
            // One action a line.
            let text = DELETED.replace("VECTOR", vector).replace('\n', "").replace("}}{", "}}\n{");
            std::fs::write(log.join("00000000000000000000.json"), text).unwrap();
            let files = TableSnapshot::open(&runtime, folder.path()).unwrap().files();
            match files {
                Ok(files) => assert!(is_read && files[0].rows == Some(5), "{files:?}"),
                Err(error) => {
                    let said = format!("{error:?}");
                    assert!(!is_read && said.contains("deletion vector"), "{said}");
                }
            }
        }
    }
}
