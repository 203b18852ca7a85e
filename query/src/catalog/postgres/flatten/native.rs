//! The forms of correlated subqueries that DataFusion makes joins of, which are left to it: its
//! joins read the rows outside once.

use datafusion::common::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::outer::{has_subquery, outer_columns, outer_of};

/// Whether only conditions of a query, with its columns above them alone, refer to the rows
/// outside: `EXISTS` and `IN` in a condition.
pub(super) fn is_filtered(plan: &LogicalPlan) -> Result<bool> {
    let fine = |condition: &Expr| Ok(!has_subquery(condition)?);
    match plan {
        LogicalPlan::Projection(projection) => {
            Ok(none_outer(&projection.expr)? && conditions(&projection.input, &fine)?)
        }
        plan => conditions(plan, &fine),
    }
}

/// Whether a query is an aggregate of the rows of which a column equals one outside.
pub(super) fn is_grouped(plan: &LogicalPlan) -> Result<bool> {
    match plan {
        LogicalPlan::Projection(projection) => {
            Ok(none_outer(&projection.expr)? && is_grouped(&projection.input)?)
        }
        LogicalPlan::Aggregate(aggregate) => Ok(aggregate.group_expr.is_empty()
            && none_outer(&aggregate.aggr_expr)?
            && conditions(&aggregate.input, &is_equality)?),
        _ => Ok(false),
    }
}

fn none_outer(exprs: &[Expr]) -> Result<bool> {
    for expr in exprs {
        if !outer_of(expr)?.is_empty() || has_subquery(expr)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether all conditions that refer to the rows outside are `fine`, and nothing else does.
fn conditions(plan: &LogicalPlan, fine: &dyn Fn(&Expr) -> Result<bool>) -> Result<bool> {
    if outer_columns(plan)?.is_empty() {
        return Ok(true);
    }
    let LogicalPlan::Filter(filter) = plan else { return Ok(false) };
    for condition in split_conjunction(&filter.predicate) {
        if !outer_of(condition)?.is_empty() && !fine(condition)? {
            return Ok(false);
        }
    }
    conditions(&filter.input, fine)
}

/// Whether a condition is that a column of the rows inside equals one outside.
fn is_equality(condition: &Expr) -> Result<bool> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return Ok(false);
    };
    let sides = (left.as_ref(), right.as_ref());
    Ok(matches!(
        sides,
        (Expr::Column(_), Expr::OuterReferenceColumn(..))
            | (Expr::OuterReferenceColumn(..), Expr::Column(_))
    ))
}
