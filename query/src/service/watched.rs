//! A plan's operators, so that they can be stopped.
//!
//! DataFusion's operators give way where their leaves do, once in so many batches. A join, though,
//! makes billions of rows of one batch of a leaf. So every leaf and every operator that takes rows
//! from several others asks the statement's [`Guard`] for each batch that it gives, and gives way
//! like a leaf; and what a join looks up in its other side comes in slices, few enough rows for the
//! join to come back soon.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{
    ReplaceChildrenOptions, replace_children_if_necessary,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, RecordBatchStream,
    SendableRecordBatchStream, StatisticsArgs,
};
use futures::{Stream, StreamExt};

use super::guard::Guard;

/// A join that is back sooner than this gets twice as many rows the next time,
const SOON: Duration = Duration::from_millis(5);
/// and one that takes longer half as many.
const LATE: Duration = Duration::from_millis(20);

/// A plan whose work asks a guard.
pub(super) fn watched(
    plan: Arc<dyn ExecutionPlan>,
    guard: &Arc<Guard>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|plan| {
        let plan = match plan.is::<HashJoinExec>() || plan.is::<NestedLoopJoinExec>() {
            true => with_sliced_probe(plan, guard)?,
            false => plan,
        };
        if plan.children().len() == 1 {
            return Ok(Transformed::no(plan));
        }
        Ok(Transformed::yes(Watched::wrap(plan, guard, false)))
    })
    .data()
}

/// A join whose second side comes in slices. The first is read to its end before.
fn with_sliced_probe(
    join: Arc<dyn ExecutionPlan>,
    guard: &Arc<Guard>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut sides: Vec<_> = join.children().into_iter().cloned().collect();
    if let Some(probe) = sides.pop() {
        sides.push(Watched::wrap(probe, guard, true));
    }
    replace_children_if_necessary(join, sides)
}

/// An operator, to all who look the operator itself.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn ExecutionPlan>,
    guard: Arc<Guard>,
    sliced: bool,
}

impl Watched {
    fn wrap(
        inner: Arc<dyn ExecutionPlan>,
        guard: &Arc<Guard>,
        sliced: bool,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { inner, guard: Arc::clone(guard), sliced })
    }

    fn around(&self, inner: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Self::wrap(inner, &self.guard, self.sliced)
    }
}

impl DisplayAs for Watched {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as(t, f)
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn downcast_delegate(&self) -> Option<&dyn ExecutionPlan> {
        Some(self.inner.as_ref())
    }

    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inner.children()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = Arc::clone(&self.inner).replace_children(children, options)?;
        Ok(self.around(inner))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = replace_children_if_necessary(Arc::clone(&self.inner), children)?;
        Ok(self.around(inner))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = Arc::clone(&self.inner).reset_state()?;
        Ok(self.around(inner))
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn ExecutionPlan>> {
        self.inner.with_new_state(state).map(|inner| self.around(inner))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn dynamic_expressions_produced(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.dynamic_expressions_produced()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.inner.maintains_input_order()
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.guard.check()?;
        let inner = self.inner.execute(partition, context)?;
        let slices = self.sliced.then(Slices::default);
        Ok(Box::pin(WatchedStream { inner, guard: Arc::clone(&self.guard), slices }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.inner.metrics()
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.inner.statistics_from_inputs(inputs, args)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.inner.child_stats_requests(partition)
    }
}

struct WatchedStream {
    inner: SendableRecordBatchStream,
    guard: Arc<Guard>,
    slices: Option<Slices>,
}

impl WatchedStream {
    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let Some(slices) = &mut self.slices else { return self.inner.poll_next_unpin(context) };
        slices.returned();
        loop {
            if let Some(slice) = slices.next() {
                return Poll::Ready(Some(Ok(slice)));
            }
            match ready!(self.inner.poll_next_unpin(context)) {
                Some(Ok(batch)) if batch.num_rows() > 0 => slices.rest = Some(batch),
                // An error, the end, or nothing to slice.
                other => return Poll::Ready(other),
            }
        }
    }
}

impl Stream for WatchedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(stopped) = self.guard.check() {
            return Poll::Ready(Some(Err(stopped)));
        }
        let budget = ready!(tokio::task::coop::poll_proceed(context));
        let polled = self.poll_batch(context);
        if polled.is_ready() {
            budget.made_progress();
        }
        polled
    }
}

impl RecordBatchStream for WatchedStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}

/// Batches in slices: of one row at first, then of as many as the reader takes in a short time.
#[derive(Debug)]
struct Slices {
    rows: usize,
    rest: Option<RecordBatch>,
    given: Option<Instant>,
}

impl Default for Slices {
    fn default() -> Self {
        Self { rows: 1, rest: None, given: None }
    }
}

impl Slices {
    /// The reader asks for more.
    fn returned(&mut self) {
        if let Some(took) = self.given.take().map(|given| given.elapsed()) {
            self.rows = resized(self.rows, took);
        }
    }

    fn next(&mut self) -> Option<RecordBatch> {
        let batch = self.rest.take()?;
        self.given = Some(Instant::now());
        if batch.num_rows() <= self.rows {
            return Some(batch);
        }
        self.rest = Some(batch.slice(self.rows, batch.num_rows() - self.rows));
        Some(batch.slice(0, self.rows))
    }
}

/// How many rows come next after so many, for which the reader took so long.
fn resized(rows: usize, took: Duration) -> usize {
    if took < SOON {
        rows.saturating_mul(2)
    } else if took > LATE {
        (rows / 2).max(1)
    } else {
        rows
    }
}

#[cfg(test)]
mod tests;
