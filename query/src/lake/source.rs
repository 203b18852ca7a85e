//! How Parquet files are read for one query.
//!
//! [`LakeSource`] stands for DataFusion's [`ParquetSource`] while the plan is made, and steps aside
//! when it runs. It decides three things that DataFusion decides for a whole session:
//! - A filter that the query applies above the scan too is not held twice.
//! - Rows are filtered while they are read (late materialisation) where [`choice`](super::choice)
//!   says so. A limit with an order counts as such a filter; what a join finds out while it runs
//!   does not, and only skips files, row groups and pages.
//! - A filter whose casts do not keep the order of values skips nothing.

use std::collections::HashSet;
use std::fmt::Formatter;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileSource, ParquetSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::{collect_columns, conjunction};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr};
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use object_store::ObjectStore;

use super::choice::order_filters_first;
use super::constants::plain;
use super::select::keeps_order;

/// A scan of a table's files: see the docs of this module.
#[derive(Debug, Clone)]
pub(super) struct LakeSource {
    inner: ParquetSource,
    /// What the scan was asked for, until the same filters come down from above it: then they are
    /// with `inner`.
    asked: Vec<Arc<dyn PhysicalExpr>>,
    /// An order with a limit is wanted: what is pushed down while running comes from it.
    ordered: bool,
}

impl LakeSource {
    /// A scan for these filters, which are applied to rows before their other columns are read if
    /// `filters_first`.
    pub(super) fn new(
        source: ParquetSource,
        filters: &[Arc<dyn PhysicalExpr>],
        filters_first: bool,
    ) -> Self {
        let schema = source.table_schema().table_schema();
        let asked: Vec<_> =
            filters.iter().filter(|filter| keeps_order(filter, schema)).cloned().collect();
        let inner = source
            .with_pushdown_filters(filters_first)
            .with_reorder_filters(filters_first)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true);
        Self { inner, asked, ordered: false }
    }

    fn with(&self, inner: ParquetSource) -> Self {
        Self { inner, ..self.clone() }
    }

    /// The reader itself.
    fn reader(&self) -> ParquetSource {
        match self.filter() {
            Some(filter) => self.inner.with_predicate(filter),
            None => self.inner.clone(),
        }
    }

    /// What DataFusion's source has become.
    fn parquet(source: &Arc<dyn FileSource>) -> Result<ParquetSource> {
        let any: &dyn std::any::Any = source.as_ref();
        any.downcast_ref::<ParquetSource>()
            .cloned()
            .ok_or_else(|| DataFusionError::Internal("a Parquet scan is none any more".into()))
    }

    /// How many columns are read.
    fn columns(&self) -> usize {
        self.inner.projection().map_or(0, |projection| {
            let columns = projection.iter().flat_map(|column| collect_columns(&column.expr));
            columns.collect::<HashSet<_>>().len()
        })
    }
}

impl FileSource for LakeSource {
    fn create_file_opener(
        &self,
        _store: Arc<dyn ObjectStore>,
        _config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Err(DataFusionError::Internal("files are opened by the Parquet source itself".into()))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    /// Called when the scan begins: from here on DataFusion's own source reads.
    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.reader().with_batch_size(batch_size)
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        let all: Vec<_> = self.inner.filter().into_iter().chain(self.asked.clone()).collect();
        (!all.is_empty()).then(|| conjunction(all))
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, form: DisplayFormatType, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.reader().fmt_extra(form, f)?;
        if form != DisplayFormatType::TreeRender
            && self.inner.table_parquet_options().global.pushdown_filters
        {
            write!(f, ", filters_first=true")?;
        }
        Ok(())
    }

    /// The files are divided already.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let filters: Vec<_> = filters.iter().map(plain).collect();
        let schema = self.table_schema().table_schema();
        let is_dynamic = |filter: &Arc<dyn PhysicalExpr>| {
            DynamicFilterTracking::classify(filter).contains_dynamic_filter()
        };
        let taken: Vec<bool> = filters.iter().map(|filter| keeps_order(filter, schema)).collect();
        let down: Vec<_> = filters
            .iter()
            .zip(&taken)
            .filter(|(_, taken)| **taken)
            .map(|(f, _)| f.clone())
            .collect();
        if down.is_empty() {
            let refused = vec![PushedDown::No; filters.len()];
            return Ok(FilterPushdownPropagation::with_parent_pushdown_result(refused));
        }
        let mut next = self.clone();
        if filters.iter().any(|filter| !is_dynamic(filter)) {
            // These are what was asked for, and what of it is not here again was refused here.
            next.asked.clear();
        }
        let dynamic: Vec<_> = down.iter().filter(|filter| is_dynamic(filter)).cloned().collect();
        if !dynamic.is_empty() {
            next.inner = next.inner.with_reorder_filters(false);
            if self.ordered && order_filters_first(&dynamic, self.columns()) {
                next.inner = next.inner.with_pushdown_filters(true);
            }
        }
        let result = next.inner.try_pushdown_filters(down, config)?;
        if let Some(source) = &result.updated_node {
            next.inner = Self::parquet(source)?;
        }
        let mut said = result.filters.into_iter();
        let said = taken
            .iter()
            .map(
                |taken| if *taken { said.next().unwrap_or(PushedDown::No) } else { PushedDown::No },
            )
            .collect();
        let node: Arc<dyn FileSource> = Arc::new(next);
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(said).with_updated_node(node))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        self.inner.try_pushdown_sort(order, properties)?.try_map(|source| {
            let next = Self { ordered: true, ..self.with(Self::parquet(&source)?) };
            Ok(Arc::new(next) as Arc<dyn FileSource>)
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.inner.reorder_files(files)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let Some(source) = self.inner.try_pushdown_projection(projection)? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(self.with(Self::parquet(&source)?))))
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.reader().apply_expressions(visit)
    }

    fn repartitioned(
        &self,
        _target_partitions: usize,
        _file_bytes_min: usize,
        _order: Option<LexOrdering>,
        _config: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        Ok(None)
    }
}
