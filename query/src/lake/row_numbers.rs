//! `row_number()` of rows that come in order.
//!
//! DataFusion's window works partition by partition, with a state for each: of a table of
//! revisions, which has two or three rows for each key, that is most of a query. [`RowNumbersExec`]
//! counts the rows of a batch between the places where the partition's columns change. It takes the
//! place of a window of `row_number()` alone whose rows are sorted by the partition's columns; what
//! it wants of its input, gives and tells is that window's.

use std::fmt::{self, Formatter};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat, partition};
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_window::row_number::RowNumber;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_expr_common::sort_expr::OrderingRequirements;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, ReplaceChildrenOptions, replace_children_if_necessary,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
    InputOrderMode, PlanProperties, StatisticsArgs,
};
use futures::StreamExt;

use crate::trees::change;

/// Puts [`RowNumbersExec`] where it fits.
#[derive(Debug)]
pub(super) struct CountRowNumbers;

impl PhysicalOptimizerRule for CountRowNumbers {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(change(&mut |node: Arc<dyn ExecutionPlan>| {
            let keys = node.downcast_ref::<BoundedWindowAggExec>().and_then(keys_of_row_numbers);
            Ok(match keys {
                Some(keys) => Transformed::yes(RowNumbersExec::of(node, keys)),
                None => Transformed::no(node),
            })
        }))?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "count_row_numbers"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The expressions by which rows are divided, of a window that only numbers them as they come.
fn keys_of_row_numbers(window: &BoundedWindowAggExec) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let is_sorted = matches!(window.input_order_mode, InputOrderMode::Sorted);
    if !is_sorted || window.state_observer().is_some() {
        return None;
    }
    let (first, others) = window.window_expr().split_first()?;
    let keys = first.partition_by();
    let is_alike = |one: &Arc<dyn WindowExpr>| is_row_number(one) && one.partition_by() == keys;
    (is_row_number(first) && others.iter().all(is_alike)).then(|| keys.to_vec())
}

fn is_row_number(window: &Arc<dyn WindowExpr>) -> bool {
    let standard = window.as_any().downcast_ref::<StandardWindowExpr>();
    let function = standard.and_then(|standard| {
        standard.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>()
    });
    function.is_some_and(|function| function.fun().inner().is::<RowNumber>())
}

/// Rows with their numbers, which begin anew with 1 where one of `keys` changes.
#[derive(Debug)]
struct RowNumbersExec {
    /// The window in whose place this is.
    window: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    metrics: ExecutionPlanMetricsSet,
}

impl RowNumbersExec {
    fn of(
        window: Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { window, keys, metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for RowNumbersExec {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        if form == DisplayFormatType::TreeRender {
            return Ok(());
        }
        f.write_str("RowNumbersExec: partition_by=[")?;
        for (index, key) in self.keys.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{key}")?;
        }
        f.write_str("]")
    }
}

impl ExecutionPlan for RowNumbersExec {
    fn name(&self) -> &str {
        "RowNumbersExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.window.children()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let window = Arc::clone(&self.window).replace_children(children, options)?;
        Ok(Self::of(window, self.keys.clone()))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let window = replace_children_if_necessary(Arc::clone(&self.window), children)?;
        Ok(Self::of(window, self.keys.clone()))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(f)
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.window.required_input_ordering()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.window.input_distribution_requirements()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.window.maintains_input_order()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let children = self.window.children();
        let [input] = children.as_slice() else {
            return datafusion::common::internal_err!("a window has one input");
        };
        let input = input.execute(partition, context)?;
        let schema = self.window.schema();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut numbers = Numbers::new(Arc::clone(&schema), self.keys.clone());
        let numbered = input.map(move |batch| {
            let _timer = metrics.elapsed_compute().timer();
            let batch = numbers.beside(&batch?)?;
            metrics.record_output(batch.num_rows());
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, numbered)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.window.statistics_from_inputs(inputs, args)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.window.child_stats_requests(partition)
    }
}

/// Numbers rows, batch by batch.
struct Numbers {
    schema: SchemaRef,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// The keys of the row before, one value each.
    before: Option<Vec<ArrayRef>>,
    /// The number of the next row, if its keys are the same.
    next: u64,
}

impl Numbers {
    fn new(schema: SchemaRef, keys: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        Self { schema, keys, before: None, next: 1 }
    }

    /// The rows with their numbers, in as many columns as there are more of in the schema.
    fn beside(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut columns = batch.columns().to_vec();
        let numbers: ArrayRef = Arc::new(UInt64Array::from(self.numbers(batch)?));
        columns.resize(self.schema.fields().len(), numbers);
        debug_assert_eq!(columns.last().map(|column| column.len()), Some(rows));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn numbers(&mut self, batch: &RecordBatch) -> Result<Vec<u64>> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(Vec::new());
        }
        let of_rows = |key: &Arc<dyn PhysicalExpr>| key.evaluate(batch)?.into_array(rows);
        let keys = self.keys.iter().map(of_rows).collect::<Result<Vec<_>>>()?;
        let alike = match keys.is_empty() {
            true => std::iter::once(0..rows).collect(),
            false => partition(&keys)?.ranges(),
        };
        let goes_on = self.goes_on(&keys)?;
        let mut numbers = Vec::with_capacity(rows);
        for range in alike {
            if range.start > 0 || !goes_on {
                self.next = 1;
            }
            let end = self.next + range.len() as u64;
            numbers.extend(self.next..end);
            self.next = end;
        }
        self.before = Some(keys.iter().map(|key| key.slice(rows - 1, 1)).collect());
        Ok(numbers)
    }

    /// Whether the first row of these keys is of the same partition as the row before it.
    fn goes_on(&self, keys: &[ArrayRef]) -> Result<bool> {
        let Some(before) = &self.before else { return Ok(false) };
        if keys.is_empty() {
            return Ok(true);
        }
        let both = before.iter().zip(keys).map(|(before, key)| {
            let first = key.slice(0, 1);
            concat(&[before.as_ref(), first.as_ref()])
        });
        let both = both.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(partition(&both)?.len() == 1)
    }
}
