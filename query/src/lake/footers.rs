//! Parquet files are read through this: footers stay in memory for the next query, and what is
//! read is counted.
//!
//! A file of a Delta table never changes, so a footer is known by its path and size. Bounds of
//! float columns are kept only where the log knows that the column has no NaN: writers of Parquet
//! leave NaN out of bounds, while a comparison orders it above all numbers.

use std::collections::HashSet;
use std::fmt::{Debug, Formatter};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetMetaData;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Type as PhysicalType;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::files::PlainFloats;

/// Bytes at a file's end that are read at once: of most files the footer and the page index.
const TAIL_BYTES: usize = 64 << 10;

/// Bytes of one request that are read where they are wanted, which is over before another thread
/// would begin; more are left to threads that may wait for the disk.
const HERE_BYTES_MAX: u64 = 256 << 10;

/// What has been read from files so far.
#[derive(Debug, Default)]
pub struct ReadCounts {
    logs: AtomicU64,
    footers: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl ReadCounts {
    /// How often a table's log was read, or read on.
    #[must_use]
    pub fn logs(&self) -> u64 {
        self.logs.load(Ordering::Relaxed)
    }

    pub(super) fn count_log(&self) {
        self.logs.fetch_add(1, Ordering::Relaxed);
    }

    /// Footers that were read from files, and not found in memory.
    #[must_use]
    pub fn footers(&self) -> u64 {
        self.footers.load(Ordering::Relaxed)
    }

    /// Files that queries have opened.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Bytes of rows that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Footers of files, those least asked for given up first.
pub(super) struct Footers {
    cache: Arc<FileMetadataCache>,
    /// Where files lie.
    files: LocalFileSystem,
    counts: Arc<ReadCounts>,
}

impl Debug for Footers {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let footers = self.cache.len();
        f.debug_struct("Footers").field("footers", &footers).field("counts", &self.counts).finish()
    }
}

impl Footers {
    /// Of at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let cache = Arc::new(DefaultCache::new(bytes_max));
        Self { cache, files: LocalFileSystem::new(), counts: Arc::default() }
    }

    /// What was read.
    pub(super) fn counts(&self) -> &Arc<ReadCounts> {
        &self.counts
    }

    /// What opens files for a query.
    pub(super) fn readers(
        self: &Arc<Self>,
        store: Arc<dyn ObjectStore>,
    ) -> Arc<dyn ParquetFileReaderFactory> {
        Arc::new(Readers { footers: Arc::clone(self), store })
    }

    fn kept(&self, meta: &ObjectMeta) -> Option<Arc<ParquetMetaData>> {
        let entry = self.cache.get(&meta.location)?;
        let footer = entry.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
        (entry.meta.size == meta.size).then(|| Arc::clone(footer.parquet_metadata()))
    }

    async fn footer(
        &self,
        store: &Arc<dyn ObjectStore>,
        meta: &ObjectMeta,
        plain_floats: &PlainFloats,
    ) -> ParquetResult<Arc<ParquetMetaData>> {
        if let Some(footer) = self.kept(meta) {
            return Ok(footer);
        }
        self.counts.footers.fetch_add(1, Ordering::Relaxed);
        let footer = DFParquetMetadata::new(store.as_ref(), meta)
            .with_metadata_size_hint(Some(TAIL_BYTES))
            .with_page_index_policy(Some(PageIndexPolicy::Optional))
            .fetch_metadata()
            .await
            .map_err(|error| {
                ParquetError::General(format!("read the footer of {}: {error}", meta.location))
            })?;
        let footer = without_bounds_of_floats(footer, plain_floats)?;
        let entry = CachedParquetMetaData::new(Arc::clone(&footer));
        let entry = CachedFileMetadataEntry::new(meta.clone(), Arc::new(entry));
        let _replaced = self.cache.put(&meta.location, entry);
        Ok(footer)
    }
}

/// A footer without the bounds of those float columns that may hold NaN.
fn without_bounds_of_floats(
    footer: Arc<ParquetMetaData>,
    plain_floats: &PlainFloats,
) -> ParquetResult<Arc<ParquetMetaData>> {
    let columns = footer.file_metadata().schema_descr().columns();
    let unsure: HashSet<usize> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| {
            let float =
                matches!(column.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE);
            let path = column.path().parts();
            float && !(path.len() == 1 && plain_floats.0.contains(&path[0]))
        })
        .map(|(leaf, _)| leaf)
        .collect();
    if unsure.is_empty() {
        return Ok(footer);
    }
    let mut builder = Arc::unwrap_or_clone(footer).into_builder();
    let row_groups = builder
        .take_row_groups()
        .into_iter()
        .map(|row_group| without_bounds(row_group, &unsure))
        .collect::<ParquetResult<Vec<_>>>()?;
    let index = builder.take_column_index().map(|mut index| {
        for row_group in &mut index {
            for (leaf, column) in row_group.iter_mut().enumerate() {
                if unsure.contains(&leaf) {
                    *column = ColumnIndexMetaData::NONE;
                }
            }
        }
        index
    });
    Ok(Arc::new(builder.set_row_groups(row_groups).set_column_index(index).build()))
}

fn without_bounds(
    row_group: RowGroupMetaData,
    unsure: &HashSet<usize>,
) -> ParquetResult<RowGroupMetaData> {
    let mut builder = row_group.into_builder();
    let columns = builder.take_columns().into_iter().enumerate().map(|(leaf, column)| {
        if !unsure.contains(&leaf) {
            return Ok(column);
        }
        let column = column.into_builder().clear_statistics();
        column.set_column_index_offset(None).set_column_index_length(None).build()
    });
    let columns = columns.collect::<ParquetResult<Vec<_>>>()?;
    builder.set_column_metadata(columns).build()
}

#[derive(Debug)]
struct Readers {
    footers: Arc<Footers>,
    store: Arc<dyn ObjectStore>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let location = file.object_meta.location.as_ref();
        Ok(Box::new(Reader {
            metrics: ParquetFileMetrics::new(partition_index, location, metrics),
            footers: Arc::clone(&self.footers),
            store: Arc::clone(&self.store),
            file,
        }))
    }
}

struct Reader {
    footers: Arc<Footers>,
    store: Arc<dyn ObjectStore>,
    file: PartitionedFile,
    metrics: ParquetFileMetrics,
}

impl Reader {
    /// Ranges of the file, read by this thread.
    fn read_here(&self, ranges: &[Range<u64>]) -> ParquetResult<Vec<Bytes>> {
        let failed = |error| ParquetError::External(Box::new(error));
        let path = self.footers.files.path_to_filesystem(&self.file.object_meta.location);
        let mut file =
            File::open(path.map_err(|e| ParquetError::External(Box::new(e)))?).map_err(failed)?;
        let read = |range: &Range<u64>| {
            let mut bytes = vec![0; usize::try_from(range.end - range.start)?];
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
            file.read_exact(&mut bytes).map_err(failed)?;
            Ok(Bytes::from(bytes))
        };
        ranges.iter().map(read).collect()
    }

    fn count(&self, bytes: u64) {
        self.metrics.bytes_scanned.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.footers.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let bytes = range.end - range.start;
        self.count(bytes);
        async move {
            if bytes <= HERE_BYTES_MAX {
                let read = self.read_here(std::slice::from_ref(&range))?.pop();
                return read.ok_or_else(|| ParquetError::EOF("nothing was read".to_owned()));
            }
            let bytes = self.store.get_range(&self.file.object_meta.location, range).await;
            bytes.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let bytes = ranges.iter().map(|range| range.end - range.start).sum();
        self.count(bytes);
        async move {
            if bytes <= HERE_BYTES_MAX {
                return self.read_here(&ranges);
            }
            let bytes = self.store.get_ranges(&self.file.object_meta.location, &ranges).await;
            bytes.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    /// The page index is there whatever the options say: it is read with the footer, once.
    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            // Of a file in parts, the first counts.
            if self.file.range.as_ref().is_none_or(|range| range.start == 0) {
                self.footers.counts.files.fetch_add(1, Ordering::Relaxed);
            }
            let no_floats = PlainFloats::default();
            let plain_floats = self.file.extensions.get::<PlainFloats>().unwrap_or(&no_floats);
            self.footers.footer(&self.store, &self.file.object_meta, plain_floats).await
        }
        .boxed()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let ratio = &self.metrics.scan_efficiency_ratio;
        ratio.add_part(self.metrics.bytes_scanned.value());
        ratio.set_total(usize::try_from(self.file.object_meta.size).unwrap_or(usize::MAX));
    }
}
