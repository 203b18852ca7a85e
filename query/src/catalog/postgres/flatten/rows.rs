//! How many rows a query has, whatever there is.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Distinct, Expr, JoinType, Limit, LogicalPlan};

/// What of a query decides whether it has rows.
pub(super) fn needed(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Sort(sort) => needed(&sort.input),
        LogicalPlan::Distinct(Distinct::All(input)) => needed(input),
        LogicalPlan::Limit(Limit { skip: None, fetch: Some(fetch), input }) => {
            match fetch.as_ref() {
                Expr::Literal(ScalarValue::Int64(Some(1..)), _) => needed(input),
                _ => plan,
            }
        }
        _ => plan,
    }
}

/// Whether a query has a row, whatever there is.
pub(super) fn has_sure_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(relation) => relation.produce_one_row,
        LogicalPlan::Projection(projection) => has_sure_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_sure_row(&alias.input),
        _ => false,
    }
}

/// Whether a query has one row at most, whatever there is.
pub(super) fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(limit) => {
            let fetch = limit.fetch.as_deref();
            matches!(fetch, Some(Expr::Literal(ScalarValue::Int64(Some(0..=1)), _)))
                || has_one_row(&limit.input)
        }
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(values) => values.values.len() <= 1,
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::Filter(filter) => has_one_row(&filter.input),
        LogicalPlan::Sort(sort) => has_one_row(&sort.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Window(window) => has_one_row(&window.input),
        LogicalPlan::Distinct(distinct) => has_one_row(distinct.input()),
        LogicalPlan::Join(join) => {
            matches!(join.join_type, JoinType::Inner | JoinType::Left)
                && has_one_row(&join.left)
                && has_one_row(&join.right)
        }
        _ => false,
    }
}
