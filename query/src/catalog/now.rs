//! `NAME_now`: of a table with revisions, the newest revision of each key.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, ident, lit};

use super::newest::newest;
use crate::live::PinnedTable;
use crate::rules::{TableRule, guard};

/// The newest revisions among the rows that a rule shows of a table; none where the table has no
/// revisions. Where the rule masks what tells rows apart, they are told apart by what is there:
/// rows whose keys look alike are not one.
pub(crate) fn newest_of_rule(
    table: &PinnedTable,
    provider: Arc<dyn TableProvider>,
    rule: TableRule,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let fact = table.fact();
    let mut deciding = fact.key.iter().chain(&fact.revision).chain(&fact.gone_at_zero);
    if !deciding.any(|column| rule.masks(column)) {
        return newest_revisions(table, guard(provider, rule, table.divided_by()));
    }
    let rows = guard(provider, rule.unmasked(), table.divided_by());
    let newest = newest_revisions(table, rows)?;
    Ok(newest.map(|newest| guard(newest, rule, BTreeSet::new())))
}

/// The newest revisions among the rows of a table that `provider` gives; none where the table has
/// no revisions.
///
/// They are found in one pass over the columns that are asked for. A condition on key columns is
/// applied before, so a look-up of one key reads as little as it would of the table.
pub(crate) fn newest_revisions(
    table: &PinnedTable,
    provider: Arc<dyn TableProvider>,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let fact = table.fact();
    let Some(revision) = fact.revision.as_deref() else { return Ok(None) };
    if fact.key.is_empty() {
        return Ok(None);
    }
    let schema = provider.schema();
    let names = || schema.fields().iter().map(|field| field.name());
    let rows = LogicalPlanBuilder::scan(table.name(), provider_as_source(provider), None)?;
    let revision = ident(revision).cast_to(&DataType::Int64, rows.schema())?;
    let of_newest = names()
        .filter(|name| !fact.key.contains(name))
        .map(|name| newest(ident(name), revision.clone()).alias(name))
        .collect::<Vec<Expr>>();
    let mut found = rows.aggregate(fact.key.iter().map(ident), of_newest)?;
    if let Some(count) = &fact.gone_at_zero {
        found = found.filter(ident(count).not_eq(lit(0_i64)))?;
    }
    let plan = found.project(names().map(ident))?.build()?;
    Ok(Some(Arc::new(ViewTable::new(plan, None))))
}
