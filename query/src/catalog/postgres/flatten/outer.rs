//! Which columns of the rows outside a plan refers to.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

use crate::trees::{look, test};

/// The columns outside that a plan refers to, each once. Subqueries within it are done: what they
/// refer to is in it.
pub(super) fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    plan.apply(look(&mut |node: &LogicalPlan| {
        node.apply_expressions(look(&mut |expr: &Expr| {
            note(expr, &mut found)?;
            Ok(TreeNodeRecursion::Continue)
        }))
    }))?;
    Ok(found)
}

/// Likewise of an expression.
pub(super) fn outer_of(expr: &Expr) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    note(expr, &mut found)?;
    Ok(found)
}

fn note(expr: &Expr, found: &mut Vec<Column>) -> Result<()> {
    expr.apply(look(&mut |part: &Expr| {
        if let Expr::OuterReferenceColumn(_, column) = part
            && !found.contains(column)
        {
            found.push(column.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    }))?;
    Ok(())
}

/// A plan with these columns alone.
pub(super) fn restore(plan: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
    let columns = schema.columns();
    if plan.schema().columns() == columns {
        return Ok(plan);
    }
    let columns = columns.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// An expression under the name that another has.
pub(super) fn named_as(expr: Expr, other: &Expr) -> Expr {
    let (relation, name) = other.qualified_name();
    if expr.qualified_name() == (relation.clone(), name.clone()) {
        return expr;
    }
    expr.alias_qualified(relation, name)
}

/// Whether an expression has a subquery.
pub(super) fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(test(&mut |part: &Expr| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        ))
    }))
}
