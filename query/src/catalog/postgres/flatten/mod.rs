//! Correlated subqueries as joins, wherever they stand.
//!
//! DataFusion makes joins of a few forms only: `EXISTS` and `IN` in conditions, and aggregates of
//! rows that equal a column outside. All others become joins here, in the way of "Unnesting
//! Arbitrary Queries" (Neumann, Kemper 2015): what a subquery needs of the rows outside is a table
//! of its own, its [`Domain`](domain::Domain); the subquery is asked once for all rows of that, and
//! its answer is joined with the rows outside.
//!
//! Invariants:
//! - A plan keeps its columns, with their names and in their order.
//! - What is left of outer references is in subqueries that DataFusion makes joins of, and these
//!   refer to the rows just outside of them alone.

mod domain;
mod lateral;
mod lift;
mod native;
mod outer;
mod push;
mod push_join;
mod push_rows;
mod rows;
mod single;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};

use self::domain::Names;
use crate::trees::{change, look, test};

/// The same plan with joins in place of correlated subqueries.
///
/// # Errors
/// A subquery refers to columns outside from a place where that can't be asked, or the rows outside
/// may be others each time they are read.
pub(crate) fn flatten(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !has_subqueries(&plan)? {
        return Ok(plan);
    }
    let plan = node(plan, &Names::default())?;
    match outer::outer_columns(&plan)?.first() {
        Some(column) => not_impl_err!("the column {column} of the rows outside at this place"),
        None => Ok(plan),
    }
}

fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(test(&mut |node: &LogicalPlan| {
        let mut found = matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(look(&mut |expr: &Expr| {
            found |= outer::has_subquery(expr)?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        }))?;
        Ok(found)
    }))
}

/// A node whose inputs and subqueries are done before it is.
fn node(plan: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    if let LogicalPlan::Subquery(subquery) = plan {
        // That of LATERAL: the join above it says what it refers to.
        return node(Arc::unwrap_or_clone(subquery.subquery), names);
    }
    let plan = plan
        .map_children(change(&mut |child: LogicalPlan| node(child, names).map(Transformed::yes)))?
        .data;
    // A column may be null where it was not: where a subquery has no row.
    let plan = plan.recompute_schema()?;
    let plan = plan
        .map_subqueries(change(&mut |subquery: LogicalPlan| match subquery {
            LogicalPlan::Subquery(Subquery { subquery, spans, .. }) => {
                let inner = node(Arc::unwrap_or_clone(subquery), names)?;
                let outer_ref_columns = inner.all_out_ref_exprs();
                let subquery = Arc::new(inner);
                let subquery = Subquery { subquery, outer_ref_columns, spans };
                Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
            }
            other => Ok(Transformed::no(other)),
        }))?
        .data;
    match plan {
        LogicalPlan::Join(join) => lift::lift(lateral::lateral(join, names)?, names),
        plan => lift::lift(plan, names),
    }
}
