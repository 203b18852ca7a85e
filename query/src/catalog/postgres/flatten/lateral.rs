//! `LATERAL`: the right side of a join that refers to its left side.

use std::sync::Arc;

use datafusion::common::{NullEquality, Result, not_impl_err};
use datafusion::logical_expr::{Join, JoinConstraint, JoinType, LogicalPlan};

use super::domain::{Domain, Names};
use super::outer::{outer_columns, restore};
use super::push::Pusher;

/// A join whose right side refers to its left side no more.
pub(super) fn lateral(join: Join, names: &Names) -> Result<LogicalPlan> {
    let mut columns = outer_columns(&join.right)?;
    columns.retain(|column| join.left.schema().has_column(column));
    if columns.is_empty() {
        return Ok(LogicalPlan::Join(join));
    }
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return not_impl_err!("LATERAL in a join that keeps all rows of its right side");
    }
    let domain = Domain::new(&join.left, columns, names)?;
    let right = Pusher::new(&domain, names).push(Arc::unwrap_or_clone(join.right))?;
    let mut on = domain.pairs(&domain.columns, &right.keys)?;
    on.extend(join.on);
    let joined = Join::try_new(
        Arc::clone(&join.left),
        Arc::new(right.plan),
        on,
        join.filter,
        join.join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    restore(LogicalPlan::Join(joined), &join.schema)
}
