//! A Delta table at one version, as DataFusion reads it.
//!
//! A filter on partition columns alone is decided here, file by file, and needs no second look.
//! Other filters leave out files whose bounds in the log they cannot meet, and are handed to the
//! Parquet reader, which skips row groups and pages by them; DataFusion still applies them to the
//! rows.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use arrow::array::UInt32Array;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use riskstream_sinks::{ActiveFile, TableSnapshot};

use super::choice::{Choice, Wanted};
use super::files::TableFiles;
use super::footers::{Footers, ReadCounts};
use super::groups::file_groups;
use super::nameless::told;
use super::source::LakeSource;
use crate::error::QueryError;

/// Bytes of footers that a table keeps which is opened by itself.
const OWN_FOOTER_BYTES: usize = 32 << 20;

/// A table pinned at a version.
#[derive(Debug)]
pub struct DeltaProvider {
    pub(super) table: TableFiles,
    footers: Arc<Footers>,
    /// What the optimizer is told of the whole table, once somebody has asked.
    whole: OnceLock<Option<Statistics>>,
}

impl DeltaProvider {
    /// The files of a snapshot.
    ///
    /// # Errors
    /// The log's schema or a partition value can't be understood.
    pub fn new(snapshot: &TableSnapshot) -> std::result::Result<Self, QueryError> {
        Self::after(snapshot, None, Arc::new(Footers::new(OWN_FOOTER_BYTES)))
    }

    /// The files of a snapshot: what `before` has of them is taken from there.
    pub(super) fn after(
        snapshot: &TableSnapshot,
        before: Option<&Self>,
        footers: Arc<Footers>,
    ) -> std::result::Result<Self, QueryError> {
        let table = TableFiles::new(snapshot, before.map(|before| &before.table))?;
        Ok(Self { table, footers, whole: OnceLock::new() })
    }

    /// The same table with other files: some that were staged and belong to no version yet.
    ///
    /// # Errors
    /// A partition value can't be understood.
    pub(crate) fn with_files(
        &self,
        location: &std::path::Path,
        files: Vec<ActiveFile>,
    ) -> std::result::Result<Self, QueryError> {
        let footers = Arc::clone(&self.footers);
        let table = self.table.with(location, files)?;
        Ok(Self { table, footers, whole: OnceLock::new() })
    }

    /// The columns whose values decide in which file a row is.
    pub(crate) fn divided_by(&self) -> BTreeSet<String> {
        self.table.partition_fields.iter().map(|field| field.name().clone()).collect()
    }

    /// What was read of this table's files, and of all others with the same cache.
    #[must_use]
    pub fn counts(&self) -> &Arc<ReadCounts> {
        self.footers.counts()
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = &self.table;
        let (by_partition, by_rows): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| table.decides(filter));
        // With a filter still to come, any of the limited rows might be dropped.
        let limit = limit.filter(|_| by_rows.is_empty());
        let schema = DFSchema::try_from(Arc::clone(&table.schema))?;
        let by_rows = by_rows
            .into_iter()
            .map(|filter| state.create_physical_expr(filter, &schema))
            .collect::<Result<Vec<_>>>()?;
        let selected = table.select(state, by_partition, &by_rows)?;
        if selected.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(table.schema.project(indices)?),
                None => Arc::clone(&table.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let columns = match projection {
            Some(indices) => indices.clone(),
            None => (0..table.schema.fields().len()).collect(),
        };
        let looked_at = with_columns_of(&by_rows, &columns);
        let statistics = table.bounds.total(&selected, &looked_at)?;
        let files = self.partitioned_files(&selected, &looked_at)?;
        let choice = Choice::of(Wanted {
            schema: &table.schema,
            in_files: table.file_schema.fields().len(),
            filters: &by_rows,
            columns: &columns,
            bytes: files.iter().map(|file| file.object_meta.size).sum(),
            threads: state.config().target_partitions(),
        });
        let url = ObjectStoreUrl::local_filesystem();
        let store = state.runtime_env().object_store(&url)?;
        let mut options = state.table_options().parquet.clone();
        options.global = state.config_options().execution.parquet.clone();
        let source = ParquetSource::new(table.reader_schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(self.footers.readers(store));
        let source = LakeSource::new(source, &by_rows, choice.filters_first);
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(file_groups(files, choice.groups))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(Arc::new(DataSourceExec::new(told(config, state))))
    }

    fn partitioned_files(
        &self,
        selected: &UInt32Array,
        columns: &[usize],
    ) -> Result<Vec<PartitionedFile>> {
        let file = |index: u32| {
            let index = index as usize;
            let known = &self.table.files[index];
            let mut file = PartitionedFile::new_from_meta(known.meta.clone())
                .with_partition_values(known.partition_values.clone());
            let statistics = self.table.bounds.file_statistics(index, columns)?;
            file.statistics = Some(Arc::new(statistics));
            file.extensions.insert_arc(Arc::clone(&known.plain_floats));
            Ok(file)
        };
        selected.values().iter().copied().map(file).collect()
    }

    /// What the optimizer is told of the whole table.
    pub(super) fn whole(&self) -> Result<Statistics> {
        let count = u32::try_from(self.table.files.len()).unwrap_or(u32::MAX);
        let all: Vec<usize> = (0..self.table.schema.fields().len()).collect();
        self.table.bounds.total(&UInt32Array::from_iter_values(0..count), &all)
    }
}

fn with_columns_of(filters: &[Arc<dyn PhysicalExpr>], columns: &[usize]) -> Vec<usize> {
    let mut all = columns.to_vec();
    all.extend(filters.iter().flat_map(collect_columns).map(|column| column.index()));
    all.sort_unstable();
    all.dedup();
    all
}

impl TableProvider for DeltaProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        self.whole.get_or_init(|| self.whole().ok()).clone()
    }

    // Written out, since the trait is an `async_trait`; planning itself waits for nothing.
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        state: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::ready(self.plan(state, projection, filters, limit)))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.table.decides(filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }
}
