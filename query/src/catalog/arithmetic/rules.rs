//! The passes over plans, before and after DataFusion makes types meet.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

use super::{casts, checked, clocks, floats, functions, literals};
use crate::trees::change;

/// What casts, and floats beside decimals, mean: before types are made to meet.
#[derive(Debug)]
pub(super) struct Meant;

/// What overflows, and the casts that making types meet has brought.
#[derive(Debug)]
pub(super) struct Checked;

impl AnalyzerRule for Meant {
    fn name(&self) -> &'static str {
        "meant_as_postgres"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.as_deref().unwrap_or("UTC");
        everywhere(plan, &|expr, schema| {
            let expr = casts::meant(expr, schema, zone)?;
            expr.transform_data(|expr| floats::beside_decimals(expr, schema))?
                .transform_data(|expr| literals::operation(expr, schema))?
                .transform_data(|expr| clocks::of_session(expr, schema, zone))?
                .transform_data(|expr| functions::of_values(expr, schema))
        })
    }
}

impl AnalyzerRule for Checked {
    fn name(&self) -> &'static str {
        "checked_as_postgres"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.as_deref().unwrap_or("UTC");
        everywhere(plan, &|expr, schema| {
            let expr = casts::meant(expr, schema, zone)?;
            expr.transform_data(|expr| checked::operation(expr, schema))?
                .transform_data(|expr| functions::of_intervals(expr, schema))
        })
    }
}

/// Changes all expressions of a plan from their leaves up, and keeps their names.
fn everywhere(
    plan: LogicalPlan,
    made: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(change(&mut |plan: LogicalPlan| {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let columns = scan.source.schema();
            let source = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &columns)?;
            schema.merge(&source);
        }
        let names = NamePreserver::new(&plan);
        let changed = plan.map_expressions(change(&mut |expr: Expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(change(&mut |part: Expr| made(part, &schema)))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        }))?;
        changed.map_data(|plan| match plan {
            // Their rows have to be of one type again.
            LogicalPlan::Values(values) => LogicalPlanBuilder::values(values.values)?.build(),
            // The types of columns may be others below.
            plan => floats::of_union(plan)?.recompute_schema(),
        })
    }))?;
    Ok(changed.data)
}
