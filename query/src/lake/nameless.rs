//! A scan of files whose plan does not tell where they are, for those who may see a table and
//! nothing of the machine.

use std::any::Any;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::{DataSource, OpenArgs};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, Metric, MetricsSet};
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};

/// In a session's configuration it says that plans do not tell where files are.
#[derive(Debug)]
pub(crate) struct FilesUntold;

/// A scan as the session's plans are to tell of it.
pub(super) fn told(scan: FileScanConfig, state: &dyn Session) -> Arc<dyn DataSource> {
    match state.config().get_extension::<FilesUntold>() {
        Some(_untold) => Arc::new(Nameless(scan)),
        None => Arc::new(scan),
    }
}

/// A scan that says how many files it reads, and not which.
#[derive(Clone)]
struct Nameless(FileScanConfig);

impl fmt::Debug for Nameless {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Nameless")
    }
}

/// A scan that DataFusion has changed, without names again.
fn again(scan: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
    match scan.downcast_ref::<FileScanConfig>() {
        Some(scan) => Arc::new(Nameless(scan.clone())),
        None => scan,
    }
}

impl DataSource for Nameless {
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.0.open(partition, context)
    }

    fn open_with_args(&self, args: OpenArgs) -> Result<SendableRecordBatchStream> {
        self.0.open_with_args(args)
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.create_sibling_state(config)
    }

    /// Files have numbers in the place of names.
    fn fmt_as(&self, form: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        let mut scan = self.0.clone();
        let mut number = 0;
        for group in &mut scan.file_groups {
            let files = group.files().iter().map(|file| {
                number += 1;
                let range = file.range.clone();
                PartitionedFile { range, ..PartitionedFile::new(number.to_string(), 0) }
            });
            *group = FileGroup::new(files.collect());
        }
        scan.fmt_as(form, f)
    }

    fn repartitioned(
        &self,
        partitions: usize,
        file_bytes_min: usize,
        order: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(self.0.repartitioned(partitions, file_bytes_min, order)?.map(again))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.0.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.0.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.0.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        self.0.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.0.with_fetch(limit).map(again)
    }

    fn fetch(&self) -> Option<usize> {
        self.0.fetch()
    }

    /// Measures of a file have its name for a label.
    fn metrics(&self) -> ExecutionPlanMetricsSet {
        let unlabelled = |metric: &Arc<Metric>| {
            if metric.labels().is_empty() {
                return Arc::clone(metric);
            }
            let bare = Metric::new(metric.value().clone(), metric.partition())
                .with_type(metric.metric_type());
            Arc::new(match metric.metric_category() {
                Some(category) => bare.with_category(category),
                None => bare,
            })
        };
        let measured = self.0.metrics().clone_inner();
        measured.iter().map(unlabelled).collect::<MetricsSet>().into()
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(self.0.try_swapping_with_projection(projection)?.map(again))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let FilterPushdownPropagation { filters, updated_node } =
            self.0.try_pushdown_filters(filters, config)?;
        Ok(FilterPushdownPropagation { filters, updated_node: updated_node.map(again) })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        Ok(self.0.try_pushdown_sort(order)?.map(again))
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        self.0.with_preserve_order(preserve_order).map(again)
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.0.apply_expressions(visit)
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn DataSource>> {
        self.0.with_new_state(state).map(again)
    }
}
