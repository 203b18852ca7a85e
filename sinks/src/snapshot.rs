//! A table at one version, read from its Delta log: columns, active files, and the epochs that
//! applications recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake_core::kernel::{Metadata, StructType};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use riskstream_engine::disk::Folder;
use url::Url;

use crate::error::SinkError;
use crate::log::log_folder;
use crate::objects::DiskObjects;
use crate::runtime::DeltaRuntime;
use crate::table::logical_type;

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
        let location = location.into();
        let not_a_table = || SinkError::NotATable { location: location.path().to_owned() };
        let log = log_folder(&location);
        let found = location.disk().look(&log).map_err(SinkError::io("look for", &log))?;
        if found.is_none_or(|found| !found.is_folder) {
            return Err(not_a_table());
        }
        let builder = table_builder(&location)?;
        let table = builder.load().await.map_err(|error| match error {
            DeltaTableError::NotATable(_) => not_a_table(),
            other => SinkError::delta(location.path())(other),
        })?;
        Ok(Self { location, table })
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

    /// The files of this version.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn files(&self) -> Result<Vec<ActiveFile>, SinkError> {
        Ok(self
            .state()?
            .log_data()
            .iter()
            .map(|view| ActiveFile {
                path: view.path().into_owned(),
                bytes: u64::try_from(view.size()).unwrap_or(0),
                rows: view.num_records().map(|rows| rows as u64),
                partition_values: view.partition_values_map().into_iter().collect(),
                stats_json: view.stats(),
                modified_ms: view.modification_time(),
            })
            .collect())
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
    let builder =
        DeltaTableBuilder::from_url(url.clone()).map_err(SinkError::delta(location.path()))?;
    if location.disk().is_local() {
        return Ok(builder);
    }
    Ok(builder.with_storage_backend(Arc::new(DiskObjects(Arc::clone(location.disk()))), url))
}

pub(crate) fn table_url(location: &Path) -> Result<Url, SinkError> {
    let absolute = std::path::absolute(location).map_err(SinkError::io("resolve", location))?;
    Url::from_directory_path(&absolute)
        .map_err(|()| SinkError::NotATable { location: location.to_owned() })
}
