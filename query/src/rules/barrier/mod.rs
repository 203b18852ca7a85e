//! A table of which a user sees some rows, and some columns masked.
//!
//! ```text
//!   the user's statement: filters, joins, functions …
//!        │ rows and values that the user may see, and nothing of what is below
//!   BarrierExec: a leaf for the optimizer
//!        │ the rule's rows, of these those that safe comparisons of the statement find, then masks
//!   the table's own scan: `column = literal` and its kin may skip files there in which all rows
//!                         are the user's
//! ```
//! In DataFusion a rule that is a view or a filter is mixed with the statement's own filters, and
//! `10 / balance > 0` then tells of a balance of zero in a row of somebody else. So nothing of a
//! statement goes below but comparisons that can't fail, of columns that are not masked. The
//! barrier itself asks them again of the rows that are seen: which files the scan could skip
//! depends on rows of others, and would show in how many rows come out. How long it takes would
//! show it, too: see [`passed::of_filter`].

mod asked;
mod exec;
mod hide;
mod masks;
mod passed;
mod rows;
mod stream;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, Session, TableProvider};
use datafusion::common::{Constraints, Result};
use datafusion::datasource::TableType;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::empty::EmptyExec;

use self::exec::BarrierExec;
use self::hide::hide;
use self::rows::Screen;
use super::rule::TableRule;

/// The table as a rule shows it. It tells nothing of what is left out: no statistics, no file, no
/// text of an error of the table's own. By the columns in `divided_by` the table is divided into
/// files: what a statement asks of them may skip any file, so that it can be told by time of which
/// of their values there are rows.
#[must_use]
pub(crate) fn guard(
    provider: Arc<dyn TableProvider>,
    rule: TableRule,
    divided_by: BTreeSet<String>,
) -> Arc<dyn TableProvider> {
    let masked: BTreeSet<String> = rule.masked().keys().map(|name| (*name).to_owned()).collect();
    let inner = provider.schema();
    let fields: Vec<_> = inner
        .fields()
        .iter()
        .map(|field| match masked.contains(field.name()) {
            // A mask may be no value.
            true => Arc::new(field.as_ref().clone().with_nullable(true)),
            false => Arc::clone(field),
        })
        .collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, inner.metadata().clone()));
    Arc::new(Guarded { provider, rule, masked, divided_by, schema })
}

/// The table of which a rule shows a part, and the rule; none where a table is not guarded.
pub(crate) fn guarded(
    provider: &Arc<dyn TableProvider>,
) -> Option<(Arc<dyn TableProvider>, TableRule)> {
    let provider: &dyn Any = provider.as_ref();
    let guarded = provider.downcast_ref::<Guarded>()?;
    Some((Arc::clone(&guarded.provider), guarded.rule.clone()))
}

struct Guarded {
    provider: Arc<dyn TableProvider>,
    rule: TableRule,
    /// Columns that are masked in some rows at least.
    masked: BTreeSet<String>,
    /// Columns whose values decide in which file a row is.
    divided_by: BTreeSet<String>,
    schema: SchemaRef,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

impl Guarded {
    fn may_pass(&self, filter: &Expr) -> bool {
        passed::is_safe(filter, &self.schema, &self.masked)
    }

    /// What of a filter goes below.
    fn below(&self, filter: &Expr) -> Option<Expr> {
        if !self.may_pass(filter) {
            return None;
        }
        if filter.column_refs().iter().all(|column| self.divided_by.contains(&column.name)) {
            return Some(filter.clone());
        }
        passed::of_filter(filter, &self.rule, &self.provider.schema())
    }

    /// Those of these filters that the table's own scan can use.
    fn usable(&self, filters: Vec<Expr>) -> Result<Vec<Expr>> {
        let asked: Vec<&Expr> = filters.iter().collect();
        let answers = self.provider.supports_filters_pushdown(&asked).map_err(hide)?;
        let used = answers.iter().map(|a| *a != TableProviderFilterPushDown::Unsupported);
        Ok(filters
            .into_iter()
            .zip(used)
            .filter_map(|(filter, used)| used.then_some(filter))
            .collect())
    }

    async fn inner_plan(
        &self,
        state: &dyn Session,
        columns: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.rule.lets_no_row_pass() {
            let schema = self.provider.schema().project(columns)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        let mut passed: Vec<Expr> =
            filters.iter().filter_map(|filter| self.below(filter)).collect();
        passed.extend(passed::of_rule(&self.rule, &self.provider.schema()));
        let passed = self.usable(passed)?;
        // A limit counts rows that the user sees, which are known above only.
        let limit = limit
            .filter(|_| filters.is_empty() && passed.is_empty() && !self.rule.leaves_out_rows());
        let args = ScanArgs::default()
            .with_projection(Some(columns))
            .with_filters(Some(&passed))
            .with_limit(limit);
        let plan = self.provider.scan_with_args(state, args).await.map_err(hide)?.into_inner();
        let partitions = state.config().target_partitions();
        if plan.output_partitioning().partition_count() >= partitions {
            return Ok(plan);
        }
        // The optimizer would do this, and does not see the plan.
        let spread = plan.repartitioned(partitions, state.config_options()).map_err(hide)?;
        Ok(spread.unwrap_or(plan))
    }
}

#[async_trait]
impl TableProvider for Guarded {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        // A masked key is none.
        if self.masked.is_empty() { self.provider.constraints() } else { None }
    }

    fn table_type(&self) -> TableType {
        self.provider.table_type()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let shown: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let asked: Vec<Expr> =
            filters.iter().filter(|filter| self.may_pass(filter)).cloned().collect();
        let screen = Screen::new(&self.rule, &self.schema, &shown)?;
        let screen = screen.asked(&asked, state, &self.schema)?;
        let plan = self.inner_plan(state, screen.columns(), filters, limit).await?;
        let partitions = state.config().target_partitions();
        Ok(Arc::new(BarrierExec::new(plan, Arc::new(screen), partitions)))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.may_pass(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }
}

#[cfg(test)]
mod tests;
